//! Exports and imports: what is sent, what is written, and which files are refused.

use std::{fs, path::PathBuf};

use anonymous_domains_protocol::problem::ErrorName;
use serde_json::{Value, json};

use crate::{Shell, server::Mishap, text};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn answer(document: &Value) -> Mishap {
    Mishap::Answer(200, "X: y", document.to_string())
}

fn header() -> Value {
    json!({
        "format": "anonymous-domains-export", "version": 1, "createdAt": "2026-11-22T12:00:00Z",
        "keyEncryptionKeys": [KEY],
    })
}

/// The lines of a domain with this many members, two a line.
fn lines(domain: &str, members: u64) -> Vec<Value> {
    let member = |number: u64| {
        json!({
            "machineGuid": format!("00000000-0000-4000-8000-{number:012}"),
            "registeredAt": "2026-11-22T12:00:00Z", "keyThumbprint": KEY, "joinedIatMs": 1,
        })
    };
    let first = json!({
        "part": "domain", "domain": domain, "createdAt": "2026-11-22T12:00:00Z",
        "authenticationRequired": false, "authNamespace": null, "maxMembership": null,
        "departuresCovered": 0, "departuresByOperatorsCovered": 0,
    });
    let machines = (0..members).step_by(2).map(|from| {
        let members: Vec<Value> = (from..members.min(from + 2)).map(member).collect();
        json!({
            "part": "machines", "domain": domain, "members": members, "blocked": [], "departed": [],
        })
    });
    let last = json!({
        "part": "end", "domain": domain, "keys": 0, "members": members, "blocked": 0,
        "departures": 0, "departuresByOperators": 0,
    });
    [first].into_iter().chain(machines).chain([last]).collect()
}

/// The pages that such lines come in.
fn pages(lines: &[Value]) -> Vec<Mishap> {
    let page = |(at, line)| {
        let next = (at + 1 < lines.len()).then(|| format!("after-{at}"));
        answer(&json!({ "part": line, "next": next }))
    };
    lines.iter().enumerate().map(page).collect()
}

fn list(names: &[&str]) -> Mishap {
    let domain = |name| {
        json!({
            "domain": name, "authenticationRequired": false, "authNamespace": null,
            "maxMembership": null, "keyRolloverRequired": false, "keyVersion": null,
            "createdAt": "2026-11-22T12:00:00Z",
        })
    };
    let domains: Vec<Value> = names.iter().map(domain).collect();
    answer(&json!({ "domains": domains, "next": null }))
}

/// An export of these domains, as the command writes it.
fn exported(domains: &[(&str, u64)]) -> String {
    let shell = Shell::new();
    shell.server.next([answer(&header())]);
    shell
        .server
        .next([list(&Vec::from_iter(domains.iter().map(|(name, _)| *name)))]);
    for (name, members) in domains {
        shell.server.next(pages(&lines(name, *members)));
    }
    shell.says(&["export"])
}

/// A file, and the directory that it goes with.
fn file(content: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("export");
    fs::write(&path, content).unwrap();
    (directory, path)
}

fn documents(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn an_export_has_the_servers_lines_and_ends_with_their_digest() {
    let written = documents(&exported(&[("attic", 0), ("kitchen", 3)]));
    let mut expected = vec![header()];
    expected.extend(lines("attic", 0));
    expected.extend(lines("kitchen", 3));
    let (last, before) = written.split_last().unwrap();
    assert_eq!(before, expected);
    assert_eq!(last["domains"], 2);
    assert_eq!(last["lines"], expected.len());
    assert_eq!(last["sha256"].as_str().unwrap().len(), 43);
}

#[test]
fn a_domain_that_was_changed_is_exported_again_and_one_that_was_deleted_is_left_out() {
    let kitchen = lines("kitchen", 3);
    let shell = Shell::new();
    shell
        .server
        .next([answer(&header()), list(&["attic", "kitchen"])]);
    shell
        .server
        .next([Mishap::problem(ErrorName::UnknownDomain)]);
    shell.server.next([
        answer(&json!({ "part": kitchen[0], "next": "a" })),
        Mishap::problem(ErrorName::PreconditionFailed),
    ]);
    shell.server.next(pages(&kitchen));
    let written = documents(&shell.says(&["export"]));
    assert_eq!(written[1..written.len() - 1], kitchen);
    assert_eq!(written.last().unwrap()["domains"], 1);
    let requests = shell.server.requests();
    let kitchen = "POST /admin/v1/domains/kitchen/export?limit=1000";
    assert_eq!(
        requests.iter().filter(|line| *line == kitchen).count(),
        2,
        "{requests:?}"
    );
}

#[test]
fn a_domain_that_is_named_must_be_there() {
    let shell = Shell::new();
    shell.server.next([answer(&header())]);
    let told = shell.run(&["export", "kitchen"]);
    assert_eq!(told.status.code(), Some(1));
    assert!(text(&told.stderr).contains("There is no domain kitchen"));
}

#[test]
fn an_import_sends_the_lines_and_repeats_the_last_one_until_all_are_counted() {
    let (_directory, path) = file(&exported(&[("attic", 0), ("den", 1), ("kitchen", 3)]));
    let path = path.to_str().unwrap();
    let shell = Shell::new();
    let (importing, imported) = (
        json!({ "state": "importing" }),
        json!({ "state": "imported" }),
    );
    shell.server.next([
        answer(&header()),
        // An earlier run imported the first.
        answer(&imported),
        answer(&importing),
        answer(&importing),
        answer(&imported),
        answer(&importing),
        answer(&importing),
        answer(&importing),
        // Two more requests count the members.
        answer(&importing),
        answer(&importing),
        answer(&imported),
    ]);
    let told = shell.json(&["import", path], 0);
    assert_eq!(told["domains"], 2);
    assert_eq!(told["members"], 4);
    assert_eq!(told["importedEarlier"], 1);
    let state = shell.server.state();
    let sent: Vec<Value> = state.requests[1..]
        .iter()
        .map(|(_, _, body)| serde_json::from_str(body).unwrap())
        .collect();
    let kitchen = lines("kitchen", 3);
    let mut expected = vec![lines("attic", 0)[0].clone()];
    expected.extend(lines("den", 1));
    expected.extend(kitchen.clone());
    expected.extend([kitchen[3].clone(), kitchen[3].clone()]);
    assert_eq!(sent, expected);
    let digest = documents(&fs::read_to_string(path).unwrap());
    let digest = digest.last().unwrap()["sha256"]
        .as_str()
        .unwrap()
        .to_owned();
    for (line, headers, _) in &state.requests[1..] {
        assert!(line.contains(&format!("/import?import={digest}")), "{line}");
        assert!(!line.contains("replace"), "{line}");
        assert_eq!(headers["content-type"], "application/json");
    }
}

#[test]
fn some_domains_may_be_named() {
    let (_directory, path) = file(&exported(&[("attic", 0), ("kitchen", 0)]));
    let path = path.to_str().unwrap();
    let shell = Shell::new();
    let imported = json!({ "state": "imported" });
    let importing = json!({ "state": "importing" });
    shell
        .server
        .next([answer(&header()), answer(&importing), answer(&imported)]);
    shell.says(&["import", "--replace", path, "kitchen"]);
    let requests = shell.server.requests();
    assert_eq!(requests.len(), 3);
    assert!(
        requests[1..]
            .iter()
            .all(|line| line.starts_with("PUT /admin/v1/domains/kitchen/"))
    );
    assert!(
        requests[1..]
            .iter()
            .all(|line| line.ends_with("&replace=true"))
    );
    shell.server.next([answer(&header())]);
    let told = shell.fails(&["import", path, "cellar"], 2);
    assert!(told.contains("no domain cellar in the file"), "{told}");
}

#[test]
fn a_domain_that_is_there_is_not_replaced_unasked() {
    let (_directory, path) = file(&exported(&[("kitchen", 0)]));
    let shell = Shell::new();
    shell.server.next([
        answer(&header()),
        Mishap::problem(ErrorName::PreconditionFailed),
    ]);
    let told = shell.fails(&["import", path.to_str().unwrap()], 1);
    assert!(told.contains("--replace"), "{told}");
}

#[test]
fn a_file_that_is_not_as_it_was_written_is_refused_before_anything_is_sent() {
    let whole = exported(&[("attic", 0), ("kitchen", 3)]);
    let lines: Vec<&str> = whole.lines().collect();
    let without = |at: usize| {
        let mut lines = lines.clone();
        lines.remove(at);
        lines.join("\n") + "\n"
    };
    let mut twice = lines.clone();
    twice.splice(3..3, lines[1..3].iter().copied());
    let cut_off = lines.len() - 1;
    for (content, why) in [
        (String::new(), "is no export"),
        ("{}\n".to_owned(), "is no export"),
        (without(0), "is no export"),
        (without(1), "does not follow"),
        (without(2), "does not follow"),
        (without(5), "does not fit"),
        (without(cut_off), "cut off"),
        (whole[..whole.len() / 2].to_owned(), "was c"),
        (
            whole.replacen("\"registeredAt\":\"2026", "\"registeredAt\":\"2025", 1),
            "digest",
        ),
        (
            whole.replacen("\"version\":1", "\"version\":2", 1),
            "another version",
        ),
        (twice.join("\n") + "\n", "second time"),
        (format!("{whole}\n"), "does not fit"),
        (
            whole.replacen("\"part\":\"end\"", "\"part\":\"enough\"", 1),
            "no line of an export",
        ),
    ] {
        let (_directory, path) = file(&content);
        let shell = Shell::new();
        let told = shell.fails(&["import", path.to_str().unwrap()], 2);
        assert!(told.contains(why), "{why}: {told}");
        assert!(shell.server.requests().is_empty());
    }
    let shell = Shell::new();
    shell.fails(&["import", "/nowhere/export"], 2);
}

#[test]
fn an_export_of_another_key_is_refused() {
    let (_directory, path) = file(&exported(&[("kitchen", 0)]));
    let shell = Shell::new();
    let mut another = header();
    another["keyEncryptionKeys"] = json!(["_____wQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"]);
    shell.server.next([answer(&another)]);
    let told = shell.fails(&["import", path.to_str().unwrap()], 2);
    assert!(told.contains("another key_encryption_key"), "{told}");
    assert_eq!(shell.server.requests().len(), 1);
}
