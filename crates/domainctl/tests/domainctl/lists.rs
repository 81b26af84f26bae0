use anonymous_domains_protocol::problem::ErrorName;
use serde_json::{Value, json};

use crate::{Shell, server::Mishap, text};

fn names(list: &Value) -> Vec<&str> {
    let domains = list["domains"].as_array().unwrap();
    domains
        .iter()
        .map(|domain| domain["domain"].as_str().unwrap())
        .collect()
}

#[test]
fn domains_are_listed_by_name() {
    let shell = Shell::new();
    let output = shell.run(&["domain", "list"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "");
    assert_eq!(text(&output.stderr), "domainctl: there are no domains\n");
    assert_eq!(
        shell.json(&["domain", "list"], 0),
        json!({ "domains": [], "next": null, "ok": true })
    );

    shell.server.domain("kitchen", 0);
    shell.server.domain("a-much-longer-name", 2);
    let mut state = shell.server.state();
    let kitchen = state.domains.get_mut("kitchen").unwrap();
    kitchen.settings.authentication_required = true;
    kitchen.settings.auth_namespace = Some("home\x1b[2J".to_owned());
    kitchen.settings.max_membership = Some(7);
    drop(state);
    assert_eq!(
        shell.says(&["domain", "list"]),
        "\
DOMAIN              AUTHENTICATION  NAMESPACE      MAXIMUM  KEY  ROLLOVER  CREATED
a-much-longer-name  no              -              -        -    no        2026-11-22T12:00:00Z
kitchen             yes             home\\u{1b}[2J  7        -    no        2026-11-22T12:00:00Z
"
    );
    let list = shell.json(&["domain", "list"], 0);
    assert_eq!(names(&list), ["a-much-longer-name", "kitchen"]);
    assert_eq!(list["domains"][1]["maxMembership"], 7);
    assert_eq!(list["domains"][1].get("memberCount"), None);
}

#[test]
fn a_long_list_is_whole() {
    let shell = Shell::new();
    let members = shell.server.domain("stadium", 1234);
    let list = shell.json(&["member", "list", "stadium"], 0);
    let listed: Vec<_> = list["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member["machineGuid"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        listed,
        members.iter().map(ToString::to_string).collect::<Vec<_>>()
    );
    assert_eq!(list["next"], Value::Null);
    assert_eq!(
        shell.server.requests(),
        [
            "GET /admin/v1/domains/stadium/members?limit=500".to_owned(),
            format!(
                "GET /admin/v1/domains/stadium/members?limit=500&after={}",
                members[499]
            ),
            format!(
                "GET /admin/v1/domains/stadium/members?limit=500&after={}",
                members[999]
            ),
        ]
    );
    let table = shell.says(&["member", "list", "stadium"]);
    assert_eq!(table.lines().count(), 1 + 1234);
}

#[test]
fn a_limit_is_of_the_whole_list_and_says_how_to_go_on() {
    let shell = Shell::new();
    for number in 0..7 {
        shell.server.domain(&format!("d{number}"), 0);
    }
    let first = shell.json(&["domain", "list", "--limit", "3"], 0);
    assert_eq!(names(&first), ["d0", "d1", "d2"]);
    assert_eq!(first["next"], "d2");
    let rest = shell.json(&["domain", "list", "--after", "d2"], 0);
    assert_eq!(names(&rest), ["d3", "d4", "d5", "d6"]);
    assert_eq!(rest["next"], Value::Null);
    assert_eq!(
        shell.server.requests(),
        [
            "GET /admin/v1/domains?limit=3",
            "GET /admin/v1/domains?limit=500&after=d2"
        ]
    );
    let output = shell.run(&["domain", "list", "--limit", "3"]);
    assert_eq!(
        text(&output.stderr),
        "domainctl: there are more: go on with --after d2\n"
    );
    assert!(
        shell
            .fails(&["domain", "list", "--limit", "0"], 2)
            .contains("--limit")
    );
}

#[test]
fn a_list_that_breaks_off_says_so() {
    let shell = Shell::new();
    shell.server.domain("stadium", 600);
    let mishaps = || [Mishap::None, Mishap::problem(ErrorName::Internal)];
    shell.server.next(mishaps());
    let list = shell.json(&["member", "list", "stadium"], 1);
    assert_eq!(list["members"].as_array().unwrap().len(), 500);
    assert_eq!(list["error"], "INTERNAL");
    assert_eq!(list["problem"]["status"], 500);

    shell.server.next(mishaps());
    let output = shell.run(&["member", "list", "stadium"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout).lines().count(), 1 + 500);
    assert!(text(&output.stderr).contains("INTERNAL"), "{output:?}");
}

#[test]
fn blocked_machines_are_a_list_of_their_own() {
    let shell = Shell::new();
    let members = shell.server.domain("kitchen", 2);
    let [one, two] = members.as_slice() else {
        panic!()
    };
    let output = shell.run(&["member", "list", "kitchen", "--blocked"]);
    assert_eq!(
        text(&output.stderr),
        "domainctl: no machine is blocked in kitchen\n"
    );
    let one = one.to_string();
    assert_eq!(
        shell.says(&["member", "block", "kitchen", &one]),
        format!("blocked {one}: it is not a member of kitchen and cannot join\n")
    );
    assert_eq!(
        shell.says(&["member", "list", "kitchen"]),
        format!(
            "\
MACHINE                               REGISTERED            KEY THUMBPRINT
{two}  2026-11-22T12:00:00Z  abc
"
        )
    );
    assert_eq!(
        shell.says(&["member", "list", "kitchen", "--blocked"]),
        format!(
            "\
MACHINE                               BLOCKED
{one}  2026-11-22T12:00:00Z
"
        )
    );
    shell.says(&["member", "unblock", "kitchen", &one]);
    assert_eq!(
        shell.json(&["member", "list", "kitchen", "--blocked"], 0)["blocked"],
        json!([])
    );
}
