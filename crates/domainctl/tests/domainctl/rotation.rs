//! Replacing the server's secrets.

use std::collections::VecDeque;

use anonymous_domains_protocol::problem::ErrorName;
use serde_json::{Value, json};

use crate::{Shell, server::Mishap, text};

const RESEAL: [&str; 2] = ["key-encryption-key", "reseal"];
const NEXT_CA: &str = include_str!("next-ca.pem");

fn pages<const N: usize>(pages: [(u64, u64, Option<&str>); N]) -> VecDeque<Value> {
    let page = |(resealed, remaining, next)| json!({ "resealed": resealed, "remaining": remaining, "next": next });
    pages.map(page).into()
}

#[test]
fn a_reseal_goes_on_to_its_end() {
    let shell = Shell::new();
    let three = || pages([(7, 2, Some("b c")), (0, 1, Some("d")), (4, 0, None)]);
    shell.server.state().reseals = three();
    assert_eq!(
        shell.says(&RESEAL),
        "resealed 11 keys; nothing remains, and the server needs its first key-encryption key alone\n"
    );
    assert_eq!(
        shell.server.requests(),
        [
            "POST /admin/v1/reseal?limit=500",
            "POST /admin/v1/reseal?limit=500&after=b%20c",
            "POST /admin/v1/reseal?limit=500&after=d",
        ]
    );
    shell.server.state().reseals = three();
    assert_eq!(
        shell.json(&RESEAL, 0),
        json!({ "ok": true, "resealed": 11, "remaining": 0 })
    );
}

#[test]
fn a_reseal_that_gets_nowhere_ends() {
    let shell = Shell::new();
    shell.server.state().reseals = (0..100).flat_map(|_| pages([(1, 5, Some("b"))])).collect();
    let told = shell.fails(&RESEAL, 3);
    assert!(told.contains("gets no further"), "{told}");
    assert_eq!(shell.server.requests().len(), 21);
}

#[test]
fn a_reseal_that_the_server_refuses_says_so() {
    let shell = Shell::new();
    shell.server.state().reseals = pages([(7, 2, Some("b"))]);
    shell.server.next([Mishap::None]);
    shell
        .server
        .next((0..9).map(|_| Mishap::problem(ErrorName::Internal)));
    let told = shell.fails(&RESEAL, 1);
    assert!(told.contains("Its log has the reason"), "{told}");
}

#[test]
fn certificates_are_reissued() {
    let shell = Shell::new();
    for name in ["attic", "cellar", "kitchen"] {
        shell.server.domain(name, 0);
    }
    assert_eq!(
        shell.says(&["ca", "reissue", "cellar"]),
        "reissued 2 certificates of 1 domain\n"
    );
    assert_eq!(
        shell.json(&["ca", "reissue", "--all"], 0),
        json!({ "ok": true, "domains": 3, "reissued": 6 })
    );
    assert_eq!(
        shell.json(&["ca", "reissue", "--all", "--after", "attic"], 0)["domains"],
        2
    );
    let state = shell.server.state();
    let reissues: Vec<u64> = state.domains.values().map(|held| held.reissues).collect();
    assert_eq!(reissues, [1, 3, 2]);
    drop(state);

    assert_eq!(
        shell.json(&["ca", "reissue", "nowhere"], 1)["error"],
        "UNKNOWN_DOMAIN"
    );
    for wrong in [
        &["ca", "reissue"][..],
        &["ca", "reissue", "attic", "--all"],
        &["ca", "reissue", "attic", "--after", "cellar"],
        &["ca", "reissue", "--after", "cellar"],
    ] {
        shell.fails(wrong, 2);
    }
}

#[test]
fn a_reissue_that_breaks_off_says_where_to_go_on() {
    let shell = Shell::new();
    for name in ["attic", "cellar", "kitchen"] {
        shell.server.domain(name, 0);
    }
    // A domain that is deleted meanwhile is none any more.
    shell.server.state().meanwhile = Some(|state| drop(state.domains.remove("attic")));
    assert_eq!(shell.json(&["ca", "reissue", "--all"], 0)["domains"], 2);
    shell.server.domain("attic", 0);

    let internal = || Mishap::problem(ErrorName::Internal);
    for (fine, told) in [
        (2, "no domain is done"),
        (3, "ca reissue --all --after attic"),
    ] {
        let fine = (1..fine).map(|_| Mishap::None);
        shell.server.next(fine.chain((0..5).map(|_| internal())));
        let text = shell.fails(&["ca", "reissue", "--all"], 1);
        assert!(text.contains(told), "{text}");
        shell.server.state().mishaps.clear();
    }
}

#[test]
fn the_cas_certificates_are_shown() {
    let shell = Shell::new();
    let bundle = format!("{NEXT_CA}{NEXT_CA}");
    shell.server.state().published = [("ca.pem", bundle)].into();
    let shown = shell.json(&["ca", "show"], 0);
    let of = |shown: &Value, member: &str| -> Vec<Value> {
        let certificates = shown["certificates"].as_array().unwrap();
        certificates.iter().map(|it| it[member].clone()).collect()
    };
    assert_eq!(of(&shown, "role"), ["current", "other"]);
    assert_eq!(of(&shown, "keyType"), ["EC-P256"; 2]);

    let next = NEXT_CA.to_owned();
    shell.server.state().published.insert("ca-next.pem", next);
    let shown = shell.json(&["ca", "show"], 0);
    assert_eq!(of(&shown, "role"), ["current", "other", "next"]);
    // No token goes along, and none is needed.
    let output = shell
        .command(&["ca", "show"])
        .env_remove("DOMAINCTL_TOKEN")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let table = text(&output.stdout);
    let header = [
        "ROLE",
        "SUBJECT",
        "SERIAL",
        "KEY",
        "NOT BEFORE",
        "NOT AFTER",
        "SHA-256",
    ];
    assert!(
        header.iter().all(|column| table.contains(column)),
        "{table}"
    );
    // As `openssl x509 -serial -dates -fingerprint -sha256` has it.
    let row: Vec<&str> = table.lines().last().unwrap().split("  ").collect();
    assert_eq!(
        row.iter()
            .map(|cell| cell.trim())
            .filter(|cell| !cell.is_empty())
            .collect::<Vec<_>>(),
        [
            "next",
            "CN=Next CA",
            "0e04bee613ec00d5b73f513855d414b0edb02a97",
            "EC-P256",
            "2026-11-29T12:22:49Z",
            "2036-11-26T12:22:49Z",
            "7bd3a56f9da1b037ca2c940354c344ed6c6d3efa06194fe1537eed918c11cdab",
        ]
    );

    shell.server.state().published = [("ca.pem", "nonsense".to_owned())].into();
    let told = shell.fails(&["ca", "show"], 3);
    assert!(told.contains("holds no certificates"), "{told}");
}
