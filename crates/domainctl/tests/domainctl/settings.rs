use anonymous_domains_protocol::admin::DomainSettings;
use serde_json::{Value, json};

use crate::{Shell, server::Mishap, text};

impl Shell {
    fn settings(&self, domain: &str) -> DomainSettings {
        self.server.state().domains[domain].settings.clone()
    }

    /// The last request's preconditions and body.
    fn put(&self) -> (Option<String>, Option<String>, Value) {
        let state = self.server.state();
        let (line, headers, body) = state.requests.last().unwrap();
        assert!(line.starts_with("PUT /admin/v1/domains/"), "{line}");
        (
            headers.get("if-match").cloned(),
            headers.get("if-none-match").cloned(),
            serde_json::from_str(body).unwrap(),
        )
    }
}

#[test]
fn a_domain_is_made_only_if_there_is_none() {
    let shell = Shell::new();
    let said = shell.says(&["domain", "set", "kitchen", "--max-membership", "7"]);
    assert_eq!(
        said,
        "\
created kitchen
domain                  kitchen
authentication required no
auth namespace          -
max membership          7
members                 0
key version             none yet
key rollover required   no
created                 2026-11-22T12:00:00Z
"
    );
    assert_eq!(
        shell.put(),
        (
            None,
            Some("*".to_owned()),
            json!({ "authenticationRequired": false, "authNamespace": null, "maxMembership": 7 })
        )
    );
}

#[test]
fn what_is_not_given_stays() {
    let shell = Shell::new();
    shell.server.domain("kitchen", 0);
    let set = |arguments: &[&str]| {
        let all = [&["domain", "set", "kitchen"], arguments].concat();
        shell.json(&all, 0)["outcome"].as_str().unwrap().to_owned()
    };
    let changed = set(&[
        "--authentication-required",
        "true",
        "--auth-namespace",
        "home",
    ]);
    assert_eq!(changed, "changed");
    assert_eq!(shell.put().0.as_deref(), Some("\"0\""));
    assert_eq!(set(&["--max-membership", "0"]), "changed");
    assert_eq!(shell.put().0.as_deref(), Some("\"1\""));
    assert_eq!(
        shell.settings("kitchen"),
        DomainSettings {
            authentication_required: true,
            auth_namespace: Some("home".to_owned()),
            max_membership: Some(0),
        }
    );
    shell.server.requests();
    assert_eq!(set(&["--max-membership", "0"]), "unchanged");
    assert_eq!(set(&[]), "unchanged");
    let reads = shell.server.requests();
    assert_eq!(reads, ["GET /admin/v1/domains/kitchen"; 2]);
    set(&["--no-maximum", "--no-auth-namespace"]);
    assert_eq!(
        shell.settings("kitchen"),
        DomainSettings {
            authentication_required: true,
            ..DomainSettings::default()
        }
    );
}

#[test]
fn a_namespace_that_nobody_asks_for_is_warned_of() {
    let shell = Shell::new();
    let set = ["domain", "set", "kitchen", "--auth-namespace", "home"];
    let told = shell.run(&set).stderr;
    assert!(text(&told).contains("has no effect"), "{told:?}");
    let warnings = shell.json(&set, 0)["warnings"].clone();
    assert_eq!(warnings.as_array().unwrap().len(), 1);
    let set = [set.as_slice(), &["--authentication-required", "true"]].concat();
    assert_eq!(shell.json(&set, 0)["warnings"], json!([]));
}

#[test]
fn operators_do_not_undo_each_other() {
    let shell = Shell::new();
    shell.server.domain("kitchen", 0);
    let set = ["domain", "set", "kitchen", "--max-membership", "7"];
    let lock = |shell: &Shell| {
        shell.server.state().meanwhile = Some(|state| {
            let kitchen = state.domains.entry("kitchen".to_owned()).or_default();
            kitchen.settings.authentication_required = true;
            kitchen.revision += 1;
        });
    };
    lock(&shell);
    let told = shell.fails(&set, 1);
    assert!(told.contains("Someone else changed kitchen"), "{told}");
    assert!(told.contains("--force"), "{told}");
    assert!(told.contains("PRECONDITION_FAILED"), "{told}");
    let locked = DomainSettings {
        authentication_required: true,
        ..DomainSettings::default()
    };
    assert_eq!(shell.settings("kitchen"), locked);

    // Made by someone else in between.
    shell.server.state().domains.clear();
    lock(&shell);
    assert_eq!(shell.json(&set, 1)["error"], "PRECONDITION_FAILED");
    assert_eq!(shell.settings("kitchen"), locked);

    // Deleted by someone else in between.
    shell.server.state().meanwhile = Some(|state| state.domains.clear());
    assert_eq!(shell.json(&set, 1)["error"], "PRECONDITION_FAILED");
    assert!(shell.server.state().domains.is_empty());
}

#[test]
fn force_overwrites_whatever_is_there() {
    let shell = Shell::new();
    shell.server.domain("kitchen", 0);
    shell.server.state().meanwhile = Some(|state| {
        let kitchen = state.domains.get_mut("kitchen").unwrap();
        kitchen.settings.authentication_required = true;
        kitchen.revision += 1;
    });
    let set = [
        "domain",
        "set",
        "kitchen",
        "--max-membership",
        "7",
        "--force",
    ];
    assert_eq!(shell.json(&set, 0)["outcome"], "changed");
    let (if_match, if_none_match, _) = shell.put();
    assert_eq!((if_match, if_none_match), (None, None));
    assert_eq!(
        shell.settings("kitchen"),
        DomainSettings {
            max_membership: Some(7),
            ..DomainSettings::default()
        }
    );
}

#[test]
fn an_answer_that_was_lost_is_not_taken_for_someone_else() {
    for exists in [false, true] {
        let shell = Shell::new();
        if exists {
            shell.server.domain("kitchen", 0);
        }
        shell.server.next([Mishap::None, Mishap::LostAnswer]);
        let set = [
            "domain",
            "set",
            "kitchen",
            "--authentication-required",
            "true",
        ];
        let expected = if exists { "changed" } else { "created" };
        assert_eq!(shell.json(&set, 0)["outcome"], expected);
        assert_eq!(shell.server.state().domains["kitchen"].revision, 1);
        assert_eq!(shell.server.requests().len(), 4, "read, write, write, read");
    }
}

#[test]
fn a_first_maximum_that_takes_long_is_awaited() {
    let shell = Shell::new();
    shell.server.domain("kitchen", 0);
    // Twice the server has set it, and does not answer as long as the members are counted.
    shell.server.next([
        Mishap::None,
        Mishap::LostAnswer,
        Mishap::None,
        Mishap::None,
        Mishap::LostAnswer,
    ]);
    let set = ["domain", "set", "kitchen", "--max-membership", "7"];
    assert_eq!(shell.json(&set, 0)["outcome"], "changed");
    assert_eq!(shell.server.state().domains["kitchen"].revision, 3);
    assert_eq!(shell.put().0.as_deref(), Some("\"2\""));
}

#[test]
fn settings_that_contradict_each_other_are_no_command() {
    let shell = Shell::new();
    for arguments in [
        ["--max-membership", "7", "--no-maximum"].as_slice(),
        &["--auth-namespace", "a", "--no-auth-namespace"],
        &["--max-membership", "-1"],
        &["--max-membership", "many"],
        &["--authentication-required", "maybe"],
    ] {
        shell.fails(&[&["domain", "set", "kitchen"], arguments].concat(), 2);
    }
    shell.fails(&["domain", "set", ".kitchen"], 2);
    assert!(shell.server.requests().is_empty());
}
