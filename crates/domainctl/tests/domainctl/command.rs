//! The command, as people and scripts run it.

use std::{io::Write as _, process::Output};

use anonymous_domains_protocol::{ids::MachineGuid, problem::ErrorName};
use serde_json::json;

use crate::{
    Shell, help_directory,
    server::{Mishap, TOKEN},
    terminal, text,
};

#[test]
fn domains_are_shown() {
    let shell = Shell::new();
    shell.server.domain("kitchen", 2);
    assert!(
        shell
            .says(&["domain", "show", "kitchen"])
            .contains("members                 2\n")
    );
    let shown = shell.json(&["domain", "show", "kitchen"], 0);
    assert_eq!(
        shown,
        json!({
            "ok": true, "domain": "kitchen", "authenticationRequired": false,
            "authNamespace": null, "maxMembership": null, "keyRolloverRequired": false,
            "memberCount": 2, "keyVersion": null, "createdAt": "2026-11-22T12:00:00Z",
        })
    );
    let told = shell.fails(&["domain", "show", "Kitchen"], 1);
    assert!(told.contains("There is no domain Kitchen"), "{told}");
}

#[test]
fn members_are_removed() {
    let shell = Shell::new();
    let machine = shell.server.domain("kitchen", 1)[0].to_string();
    let upper = machine.to_uppercase();
    assert_eq!(
        shell.says(&["member", "remove", "kitchen", &upper]),
        format!("removed {machine} from kitchen, which gets a new key\n")
    );
    assert!(shell.server.state().domains["kitchen"].rollover);
    let told = shell.fails(&["member", "remove", "kitchen", &machine], 1);
    assert!(
        told.contains(&format!("kitchen has no member {machine}")),
        "{told}"
    );
    shell.fails(&["member", "remove", "kitchen", "not-a-guid"], 2);
}

#[test]
fn what_a_lost_answer_deleted_is_deleted() {
    let shell = Shell::new();
    let machine = shell.server.domain("kitchen", 1)[0].to_string();
    shell.server.next([Mishap::LostAnswer]);
    shell.says(&["member", "remove", "kitchen", &machine]);
    shell.server.next([Mishap::LostAnswer]);
    shell.says(&["domain", "delete", "kitchen", "--yes"]);
    assert!(shell.server.state().domains.is_empty());
    assert_eq!(
        shell.json(&["domain", "delete", "kitchen", "--yes"], 1)["error"],
        "UNKNOWN_DOMAIN"
    );
}

#[test]
fn a_key_is_described_and_a_rollover_asked_for() {
    let shell = Shell::new();
    shell.server.domain("kitchen", 0);
    let output = shell.run(&["keys", "kitchen"]);
    assert!(text(&output.stderr).contains("kitchen has no key yet"));
    shell.says(&["rollover", "kitchen"]);
    assert!(shell.server.state().domains["kitchen"].rollover);
    shell.server.state().domains.get_mut("kitchen").unwrap().x5c = vec![
        vec![include_str!("certificate.txt").trim().to_owned()],
        vec!["no certificate".to_owned()],
    ];
    assert_eq!(
        shell.says(&["keys", "kitchen"]),
        "\
VERSION  KID        CREATED               GOOD UNTIL            ISSUER
1        kitchen/1  2026-11-22T12:00:00Z  2036-11-19T21:39:05Z  CN=Test CA
2        kitchen/2  2026-11-22T12:00:00Z  unreadable
"
    );
    let keys = shell.json(&["keys", "kitchen"], 0);
    assert_eq!(keys["keys"][1]["x5c"], json!(["no certificate"]));
}

#[test]
fn without_a_terminal_nothing_is_deleted_unasked() {
    let shell = Shell::new();
    shell.server.domain("kitchen", 0);
    let told = shell.fails(&["domain", "delete", "kitchen"], 2);
    assert!(told.contains("--yes"), "{told}");
    assert!(shell.server.requests().is_empty());
    assert_eq!(
        shell.json(&["domain", "delete", "kitchen", "--yes"], 0)["outcome"],
        "deleted"
    );
}

/// Runs the command on a terminal on which `typed` was typed.
fn at_a_terminal(shell: &Shell, arguments: &[&str], typed: &str) -> Output {
    let (mut person, terminal) = terminal::open();
    person.write_all(typed.as_bytes()).unwrap();
    shell.command(arguments).stdin(terminal).output().unwrap()
}

#[test]
fn at_a_terminal_the_name_is_asked_for() {
    let shell = Shell::new();
    shell.server.domain("kitchen", 2);
    let delete = ["domain", "delete", "kitchen"];
    for typed in ["y\n", "\n", "Kitchen\n"] {
        let output = at_a_terminal(&shell, &delete, typed);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let told = text(&output.stderr);
        assert!(
            told.contains("kitchen with its 2 members and its settings"),
            "{told}"
        );
        assert!(told.contains("kitchen was not deleted"), "{told}");
    }
    let output = at_a_terminal(&shell, &delete, "kitchen\n");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stdout), "deleted kitchen\n");
    assert!(shell.server.state().domains.is_empty());
}

#[test]
fn refusals_and_silence_have_their_exit_codes() {
    let shell = Shell::new();
    for error in [
        ErrorName::Internal,
        ErrorName::InvalidRequest,
        ErrorName::DomRegDenied,
    ] {
        shell.server.next([Mishap::problem(error)]);
        let told = shell.fails(&["domain", "list"], 1);
        assert!(told.contains(error.as_str()), "{told}");
        assert!(told.contains("said the test"), "{told}");
    }
    for answer in ["<html>", "{}", r#"{"domains":[]}x"#] {
        shell
            .server
            .next([Mishap::Answer(200, "X: y", answer.to_owned())]);
        let told = shell.fails(&["domain", "list"], 3);
        assert!(
            told.contains("does not answer as a domain server does"),
            "{told}"
        );
    }
    shell.server.next([Mishap::Answer(
        307,
        "Location: https://other/x",
        String::new(),
    )]);
    assert!(
        shell
            .fails(&["domain", "list"], 3)
            .contains("https://other/x")
    );
    shell
        .server
        .next([Mishap::Answer(200, "X: y", shown().to_string())]);
    assert!(
        shell
            .fails(&["domain", "show", "kitchen"], 3)
            .contains("no ETag")
    );

    shell.server.requests();
    shell
        .server
        .next([Mishap::problem(ErrorName::StoreUnavailable)]);
    shell.says(&["domain", "list"]);
    assert_eq!(shell.server.requests().len(), 2, "tried again");

    shell.fails(&[], 2);
    shell.fails(&["domain"], 2);
    shell.fails(&["domain", "list", "--server", "localhost:3000"], 2);
}

fn shown() -> serde_json::Value {
    json!({
        "domain": "kitchen", "authenticationRequired": false, "authNamespace": null,
        "maxMembership": null, "keyRolloverRequired": false, "keyVersion": null, "createdAt": "",
    })
}

#[test]
fn a_check_prints_a_line_for_what_is_wrong() {
    let shell = Shell::new();
    let finding = |mended| {
        json!({
            "domain": "kitchen", "finding": "count-wrong", "detail": "it has 1 members",
            "mended": mended,
        })
    };
    let page = |findings: serde_json::Value, next: Option<&str>| {
        let page = json!({ "findings": findings, "domains": 1, "members": 2, "next": next });
        Mishap::Answer(200, "X: y", page.to_string())
    };
    let well = [page(json!([]), Some("a")), page(json!([]), None)];
    shell.server.next(well);
    let output = shell.run(&["check"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stdout.is_empty());
    assert!(text(&output.stderr).contains("2 domains with 4 members: nothing is wrong"));
    let requests = shell.server.requests();
    assert_eq!(requests[1], "GET /admin/v1/check?limit=200&after=a");

    let mut directory = finding(false);
    directory["domain"] = json!(null);
    shell
        .server
        .next([page(json!([finding(false), directory]), None)]);
    let output = shell.run(&["check"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stdout),
        "kitchen: count-wrong: it has 1 members\n\
         (directory): count-wrong: it has 1 members\n"
    );

    shell.server.next([page(json!([finding(true)]), None)]);
    assert_eq!(
        shell.says(&["check", "--mend"]),
        "kitchen: count-wrong: it has 1 members (mended)\n"
    );
    assert!(
        shell
            .server
            .requests()
            .last()
            .unwrap()
            .starts_with("POST /admin/v1/check?")
    );

    shell.server.next([page(json!([finding(false)]), None)]);
    let found = shell.json(&["check"], 1);
    assert_eq!(found["findings"], json!([finding(false)]));
    assert_eq!(found["domains"], 1);
}

#[test]
fn completions_need_no_server() {
    let shell = Shell::new();
    for shell_name in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = shell
            .command(&["completions", shell_name])
            .env_clear()
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("rollover"), "{shell_name}");
    }
    assert!(shell.server.requests().is_empty());
}

#[test]
fn no_argument_takes_a_token() {
    let shell = Shell::new();
    let machine = MachineGuid::random().to_string();
    for arguments in [
        ["domain", "list", "--token", TOKEN].as_slice(),
        &["member", "remove", "kitchen", &machine, TOKEN],
    ] {
        assert_eq!(shell.run(arguments).status.code(), Some(2));
    }
    assert!(shell.server.requests().is_empty());
}

/// With DOMAINCTL_WRITE_HELP set, the pinned texts are updated.
#[test]
fn a_servers_health_is_asked_once_and_without_a_token() {
    let shell = Shell::new();
    let well = r#"{"status":"ok","store":"ok","ca":"ok","detail":"the CA ends soon"}"#;
    let ill = r#"{"status":"unavailable","store":"error","ca":"ok","detail":"no store"}"#;
    let answer = |status, body: &str| Mishap::Answer(status, "Retry-After: 60", body.to_owned());
    shell.server.next([
        answer(200, well),
        answer(200, well),
        answer(503, ill),
        answer(200, "{}"),
    ]);
    assert_eq!(shell.says(&["health"]), "ok: the CA ends soon\n");
    let shown = shell.json(&["health"], 0);
    assert_eq!(
        (&shown["store"], &shown["ca"]),
        (&json!("ok"), &json!("ok"))
    );
    let told = shell.fails(&["health"], 3);
    assert!(told.contains("no store"), "{told}");
    shell.fails(&["health"], 3);
    for (request, headers, _) in &shell.server.state().requests {
        assert_eq!(request, "GET /healthz");
        assert!(!headers.contains_key("authorization"));
    }
    assert_eq!(shell.server.state().requests.len(), 4);
}

#[test]
fn the_help_is_as_pinned() {
    for (name, arguments) in [
        ("domainctl", ["--help"].as_slice()),
        ("domain", &["domain", "--help"]),
        ("domain-list", &["domain", "list", "--help"]),
        ("domain-set", &["domain", "set", "--help"]),
        ("domain-delete", &["domain", "delete", "--help"]),
        ("member", &["member", "--help"]),
        ("member-list", &["member", "list", "--help"]),
        ("member-block", &["member", "block", "--help"]),
        ("keys", &["keys", "--help"]),
        ("check", &["check", "--help"]),
        ("export", &["export", "--help"]),
        ("import", &["import", "--help"]),
        (
            "key-encryption-key-reseal",
            &["key-encryption-key", "reseal", "--help"],
        ),
        ("ca", &["ca", "--help"]),
        ("ca-reissue", &["ca", "reissue", "--help"]),
        ("completions", &["completions", "--help"]),
    ] {
        let output = Shell::new().run(arguments);
        let path = help_directory().join(format!("{name}.txt"));
        if std::env::var_os("DOMAINCTL_WRITE_HELP").is_some() {
            std::fs::write(&path, &output.stdout).unwrap();
        }
        let pinned = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text(&output.stdout), pinned, "{name}");
    }
}

#[test]
fn an_audit_log_is_checked_without_a_server() {
    let shell = Shell::new();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("audit.log");
    let path = file.to_str().unwrap();
    let zeros = "0".repeat(64);
    let line = format!("{{\"seq\":1,\"prev\":\"{zeros}\",\"event\":\"x\"}}\n");
    std::fs::write(&file, &line).unwrap();
    let told = shell.says(&["audit", "verify", path]);
    assert!(told.starts_with("the chain is whole: records 1 to 1\nlast record 1, SHA-256 "));
    let found = shell.json(&["audit", "verify", path, "--expect-seq", "2"], 1);
    assert_eq!(found["ok"], false);
    assert_eq!(found["breaks"][0]["kind"], "tail-cut");
    assert_eq!(found["lastSeq"], 1);
    std::fs::write(&file, line.replace("\"seq\":1", "\"seq\":0")).unwrap();
    let output = shell.run(&["audit", "verify", path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("\nthe chain is broken\n"));
    shell.fails(&["audit", "verify", "/nothing/here"], 2);
}
