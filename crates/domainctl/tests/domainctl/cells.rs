//! Several servers, each with domains of its own.

use anonymous_domains_protocol::{ids::MachineGuid, problem::ErrorName};
use serde_json::json;

use crate::{
    Shell,
    server::{Mishap, Server},
    text,
};

/// A shell whose environment names a server and another one.
struct Both {
    shell: Shell,
    other: Server,
    urls: Vec<String>,
}

impl Both {
    fn new() -> Self {
        let (shell, other) = (Shell::new(), Server::start());
        let urls = ["--server", &shell.server.url(), "--server", &other.url()];
        let urls = urls.map(str::to_owned).to_vec();
        Self { shell, other, urls }
    }

    /// The arguments, for both servers.
    fn with<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let urls = self.urls.iter().map(String::as_str);
        urls.chain(arguments.iter().copied()).collect()
    }

    /// Each domain that is listed, and whether the other server has it.
    fn listed(&self, arguments: &[&str]) -> (Vec<(String, bool)>, serde_json::Value) {
        let list = self.shell.json(&self.with(arguments), 0);
        let domains = list["domains"].as_array().unwrap().iter();
        let named = domains.map(|domain| {
            let server = domain["server"].as_str().unwrap();
            (
                domain["domain"].as_str().unwrap().to_owned(),
                server == self.other.url(),
            )
        });
        (named.collect(), list["next"].clone())
    }
}

#[test]
fn the_domains_of_all_servers_are_listed_by_name() {
    let both = Both::new();
    let name = |number: usize| format!("d-{number:04}");
    for number in 0..1100 {
        let server = match number % 3 {
            0 => &both.shell.server,
            _ => &both.other,
        };
        server.domain(&name(number), 0);
    }
    let list = ["domain", "list"];
    let (listed, next) = both.listed(&list);
    let all = |range: std::ops::Range<usize>| -> Vec<_> {
        range
            .map(|number| (name(number), number % 3 != 0))
            .collect()
    };
    assert_eq!(listed, all(0..1100));
    assert_eq!(next, json!(null));

    let (listed, next) = both.listed(&["domain", "list", "--limit", "7"]);
    assert_eq!((listed, next), (all(0..7), json!("d-0006")));
    let (listed, next) = both.listed(&["domain", "list", "--limit", "7", "--after", "d-1092"]);
    assert_eq!((listed, next), (all(1093..1100), json!(null)));
    // Both are there while a domain is moved, and neither is lost at the end of a part.
    both.shell.server.domain(&name(4), 0);
    let (listed, next) = both.listed(&["domain", "list", "--limit", "1", "--after", "d-0003"]);
    assert_eq!(listed, [(name(4), false), (name(4), true)]);
    assert_eq!(next, json!("d-0004"));

    let said = both
        .shell
        .says(&both.with(&["domain", "list", "--limit", "2"]));
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("DOMAIN  SERVER"), "{said}");
    assert!(
        lines[1].starts_with(&format!("d-0000  {}", both.shell.server.url())),
        "{said}"
    );

    // The environment may name several, and the same one twice is one.
    let urls = format!("{} {}", both.shell.server.url(), both.other.url());
    let mut command = both
        .shell
        .command(&["--json", "domain", "list", "--limit", "1"]);
    let told = command.env("DOMAINCTL_SERVER", urls).output().unwrap();
    assert!(text(&told.stdout).contains("\"server\""), "{told:?}");
    let url = both.shell.server.url();
    let twice = [
        "--server", &url, "--server", &url, "domain", "list", "--limit", "1",
    ];
    assert!(
        both.shell
            .says(&twice)
            .starts_with("DOMAIN  AUTHENTICATION")
    );
}

#[test]
fn a_server_that_is_away_hides_only_its_own_domains() {
    let both = Both::new();
    both.shell.server.domain("attic", 0);
    both.other.domain("kitchen", 0);
    let down = || (0..5).map(|_| Mishap::problem(ErrorName::StoreUnavailable));
    both.other.next(down());
    let list = both.with(&["domain", "list"]);
    let told = both.shell.json(&list, 1);
    assert_eq!(told["domains"].as_array().unwrap().len(), 1);
    assert_eq!(told["error"], "STORE_UNAVAILABLE");
    assert!(
        told["message"]
            .as_str()
            .unwrap()
            .starts_with(&both.other.url()),
        "{told}"
    );
    both.other.next(down());
    let output = both.shell.run(&list);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("attic"));
    assert!(text(&output.stderr).contains(&format!("{}: ", both.other.url())));

    // It may have the domain too, so nothing is done to the one that is seen.
    both.other.next(down());
    let told = both.shell.fails(&both.with(&["rollover", "attic"]), 1);
    assert!(told.contains(&both.other.url()), "{told}");
    assert!(!both.shell.server.state().domains["attic"].rollover);
}

#[test]
fn a_command_about_a_domain_goes_to_its_server() {
    let both = Both::new();
    let machine = both.other.domain("kitchen", 2)[0].to_string();
    both.shell.server.domain("attic", 1);
    for (command, outcome) in [
        (
            ["domain", "set", "kitchen", "--max-membership", "7"].as_slice(),
            "changed",
        ),
        (&["rollover", "kitchen"], "rollover-required"),
        (&["member", "block", "kitchen", &machine], "blocked"),
        (&["member", "unblock", "kitchen", &machine], "unblocked"),
    ] {
        assert_eq!(both.shell.json(&both.with(command), 0)["outcome"], outcome);
    }
    for command in [
        ["domain", "show", "kitchen"].as_slice(),
        &["member", "list", "kitchen"],
        &["keys", "kitchen"],
        &["ca", "reissue", "kitchen"],
        &["domain", "delete", "kitchen", "--yes"],
    ] {
        both.shell.says(&both.with(command));
    }
    assert!(both.other.state().domains.is_empty());
    let asked = both.shell.server.requests();
    assert!(
        asked
            .iter()
            .all(|line| line == "GET /admin/v1/domains/kitchen/members?limit=1")
    );

    let told = both
        .shell
        .fails(&both.with(&["domain", "show", "kitchen"]), 1);
    assert!(told.contains("There is no domain kitchen"), "{told}");
    // A new domain is not for domainctl to place.
    let set = both.with(&["domain", "set", "kitchen", "--max-membership", "7"]);
    let told = both.shell.fails(&set, 2);
    assert!(told.contains("None of these servers has kitchen"), "{told}");
    assert!(both.other.state().domains.is_empty());

    // Nobody knows which of two copies is in use.
    both.other.domain("attic", 1);
    for command in [
        ["domain", "show", "attic"].as_slice(),
        &["rollover", "attic"],
    ] {
        let told = both.shell.fails(&both.with(command), 2);
        for part in [
            "several servers",
            &both.other.url(),
            &both.shell.server.url(),
        ] {
            assert!(told.contains(part), "{told}");
        }
    }
}

#[test]
fn what_is_for_one_server_wants_one() {
    let both = Both::new();
    for command in [
        ["export"].as_slice(),
        &["import", "/nothing/here"],
        &["key-encryption-key", "reseal"],
        &["ca", "show"],
        &["ca", "reissue", "--all"],
    ] {
        let told = both.shell.fails(&both.with(command), 2);
        assert!(told.contains("for one server"), "{told}");
    }
    assert!(both.shell.server.requests().is_empty());
    assert!(both.other.requests().is_empty());
}

#[test]
fn all_servers_are_checked() {
    let both = Both::new();
    let machine = MachineGuid::random();
    let finding = json!({
        "domain": "kitchen", "finding": "count-wrong", "detail": format!("not {machine}"),
        "mended": false,
    });
    let page = |findings: serde_json::Value| {
        let page = json!({ "findings": findings, "domains": 1, "members": 2, "next": null });
        Mishap::Answer(200, "X: y", page.to_string())
    };
    let health = r#"{"status":"ok","store":"ok","ca":"ok"}"#;
    let well = || Mishap::Answer(200, "X: y", health.to_owned());
    let check = both.with(&["check"]);

    both.shell.server.next([page(json!([]))]);
    both.other.next([page(json!([finding]))]);
    let output = both.shell.run(&check);
    assert_eq!(output.status.code(), Some(1));
    let line = format!("{} kitchen: count-wrong: not {machine}\n", both.other.url());
    assert_eq!(text(&output.stdout), line);
    assert!(text(&output.stderr).contains("checked 2 domains with 4 members: 1 finding"));

    // One that cannot be checked hides nothing of the others.
    both.shell
        .server
        .next([Mishap::problem(ErrorName::Internal)]);
    both.other.next([page(json!([finding]))]);
    let found = both.shell.json(&check, 1);
    assert_eq!(found["findings"][0]["server"], both.other.url());
    assert_eq!(
        (&found["error"], &found["domains"]),
        (&json!("INTERNAL"), &json!(1))
    );

    let ask = both.with(&["health"]);
    both.shell.server.next([well(), well()]);
    both.other.next([
        well(),
        Mishap::Answer(503, "X: y", health.replace("ok", "error")),
    ]);
    let said = both.shell.says(&ask);
    assert_eq!(said.lines().count(), 2);
    assert!(said.lines().all(|line| line.ends_with(": ok")), "{said}");
    let told = both.shell.json(&ask, 3);
    assert_eq!(told["servers"][0]["ok"], true);
    assert_eq!(told["servers"][1]["server"], both.other.url());
    assert_eq!(told["servers"][1]["ok"], false);
}
