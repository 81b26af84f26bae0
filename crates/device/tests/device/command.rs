//! The command, as people and scripts run it.

use std::{
    path::Path,
    process::{Command, Output},
};

use anonymous_domains_protocol::{base64url, jwe, jwk::PublicKey, problem::ErrorName};
use serde_json::{Value, json};
use tempfile::TempDir;
use x509_cert::{
    Certificate,
    der::{Decode as _, Encode as _},
};

use crate::server::{Mishap, Server};

struct Shell {
    server: Server,
    directory: TempDir,
}

impl Shell {
    fn new() -> Self {
        Self {
            server: Server::start(),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_domain-device"));
        command
            .env_clear()
            .env("DOMAIN_DEVICE_DIR", self.directory.path().join("device"))
            .args(arguments);
        command
    }

    /// The command on `living-room`.
    fn run(&self, arguments: &[&str]) -> Output {
        let url = self.server.url("living-room");
        let arguments: Vec<_> = arguments
            .iter()
            .map(|argument| argument.replace("URL", &url))
            .collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        self.command(&arguments).output().unwrap()
    }

    fn json(&self, arguments: &[&str], exit_code: i32) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(exit_code), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn people_are_told_what_happened() {
    let shell = Shell::new();
    let says = |arguments: &[&str]| {
        let output = shell.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        text(&output.stdout).trim_end().to_owned()
    };
    assert!(says(&["show"]).starts_with("this device has no identity yet"));
    assert!(says(&["verify"]).contains("nothing to verify"));
    let joined = says(&["join", "URL"]);
    let guid = shell.json(&["show"], 0)["machineGuid"].clone();
    let guid = guid.as_str().unwrap();
    assert_eq!(
        joined,
        format!("joined living-room as machine {guid}: key versions [1]")
    );
    assert_eq!(
        says(&["join", "URL"]),
        format!("already a member of living-room as machine {guid}: key versions [1]")
    );
    assert_eq!(says(&["verify"]), "living-room: verified key versions [1]");
    let shown = says(&["show", "URL"]);
    assert!(shown.starts_with(&format!("machine {guid}\n")), "{shown}");
    assert!(shown.ends_with("key versions [1]"), "{shown}");
    assert_eq!(
        says(&["leave", "URL", "--preview"]),
        "living-room may be left; nothing was changed"
    );
    assert_eq!(
        says(&["leave", "URL"]),
        "left living-room: its credentials were deleted from this device"
    );
    assert!(says(&["join", "URL"]).ends_with("key versions [1, 2]"));
}

#[test]
fn what_was_encrypted_to_a_domain_is_decrypted() {
    let shell = Shell::new();
    let joined = shell.json(&["join", "URL"], 0);
    let certificate = joined["credentials"][0]["x5c"][0].as_str().unwrap();
    let certificate = base64url::decode_standard(certificate).unwrap();
    let certificate = Certificate::from_der(&certificate).unwrap();
    let key = certificate.tbs_certificate().subject_public_key_info();
    let key = PublicKey::from_spki_der(&key.to_der().unwrap()).unwrap();
    let content = b"\0no text\xFF";
    let file = shell.directory.path().join("content.jwe");
    let path = file.to_str().unwrap();
    let encrypted = |kid: &str| {
        let compact = jwe::encrypt_to(content.to_vec().into(), &key, kid, "octet-stream");
        std::fs::write(&file, compact.unwrap() + "\n").unwrap();
    };

    encrypted("living-room/1");
    for arguments in [&["decrypt", path][..], &["decrypt", path, "URL"]] {
        let output = shell.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(output.stdout, content);
    }
    let object = shell.json(&["decrypt", path], 0);
    assert_eq!(object["content"], base64url::encode(content));

    // A key that the device does not have, another message, no message, no file.
    encrypted("living-room/2");
    let refused = shell.json(&["decrypt", path], 4);
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("living-room/2")
    );
    encrypted("living-room/1");
    let mut changed = std::fs::read(&file).unwrap();
    let tag = changed.len() - 4;
    changed[tag] = if changed[tag] == b'A' { b'B' } else { b'A' };
    for text in [&changed[..], b"a.b.c", b""] {
        std::fs::write(&file, text).unwrap();
        shell.json(&["decrypt", path], 2);
    }
    shell.json(&["decrypt", "no such file"], 2);
}

#[test]
fn programs_get_one_object() {
    let shell = Shell::new();
    let joined = shell.json(&["join", "URL"], 0);
    assert_eq!(joined["ok"], true);
    assert_eq!(joined["domain"], "living-room");
    assert_eq!(joined["newMember"], true);
    assert_eq!(joined["keyVersions"], json!([1]));
    assert_eq!(joined["credentials"][0]["kid"], "living-room/1");
    assert_eq!(joined["credentials"][0]["x5c"].as_array().unwrap().len(), 2);
    let shown = shell.json(&["show"], 0);
    assert_eq!(shown["machineGuid"], joined["machineGuid"]);
    assert_eq!(shown["keyType"], "EC-P256");
    assert_eq!(shown["domains"][0]["standing"], "member");
    for output in [&joined, &shown] {
        let text = output.to_string();
        assert!(!text.contains("PRIVATE"), "{text}");
        assert!(!text.contains("privateKey"), "{text}");
    }
    let verified = shell.json(&["verify", "URL"], 0);
    assert_eq!(verified["domains"][0]["verified"], true);
    assert_eq!(shell.json(&["leave", "URL"], 0)["outcome"], "left");

    let refused = shell.json(&["leave", "URL"], 1);
    assert_eq!(refused["ok"], false);
    assert_eq!(refused["error"], "DEREG_DENIED");
    assert_eq!(refused["problem"]["code"], 401);
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("not a member")
    );
}

#[test]
fn exit_codes() {
    let shell = Shell::new();
    let exits = |arguments: &[&str]| shell.run(arguments).status.code().unwrap();
    assert_eq!(exits(&["join"]), 2);
    assert_eq!(exits(&["join", "living-room"]), 2);
    assert_eq!(exits(&["join", "URL", "--key-type", "RSA-1024"]), 2);
    assert_eq!(exits(&["join", "URL", "--ca-file", "/nonexistent"]), 2);
    assert_eq!(exits(&["leave", "URL"]), 4);
    assert_eq!(exits(&["show", "URL"]), 4);
    shell
        .server
        .next([Mishap::problem(ErrorName::DomLimitReached)]);
    assert_eq!(exits(&["join", "URL"]), 1);
    shell
        .server
        .next([Mishap::Answer(404, "X: y", "no".to_owned())]);
    assert_eq!(exits(&["join", "URL"]), 3);
    shell.server.state().flaw = Some(crate::ca::Flaw::Expired);
    assert_eq!(exits(&["join", "URL"]), 0);
    assert_eq!(exits(&["verify"]), 5);
    assert_eq!(exits(&["leave", "URL", "--forget"]), 0);
    assert_eq!(exits(&["leave", "URL", "--forget"]), 0);
}

#[test]
fn tokens_come_from_a_file_or_the_environment() {
    let shell = Shell::new();
    let file = shell.directory.path().join("token");
    std::fs::write(&file, "abc.def.ghi\n").unwrap();
    shell.run(&["join", "URL", "--token-file", file.to_str().unwrap()]);
    assert_eq!(
        shell.server.state().authorization.as_deref(),
        Some("Bearer abc.def.ghi")
    );
    let url = shell.server.url("living-room");
    let output = shell
        .command(&["join", &url])
        .env("DOMAIN_DEVICE_TOKEN", "jkl")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        shell.server.state().authorization.as_deref(),
        Some("Bearer jkl")
    );
    let output = shell.run(&["join", "URL"]);
    assert!(output.status.success());
    assert_eq!(shell.server.state().authorization, None);
}

#[test]
fn a_trace_shows_what_is_exchanged_and_no_token() {
    let shell = Shell::new();
    let url = shell.server.url("living-room");
    let output = shell
        .command(&["join", &url, "--trace", "--json"])
        .env("DOMAIN_DEVICE_TOKEN", "abc.def.ghi")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let joined: Value = serde_json::from_slice(&output.stdout).unwrap();
    let trace = text(&output.stderr);
    for line in [
        format!("> POST {url}register"),
        "> authorization: [redacted]".to_owned(),
        format!(">     \"machineGuid\": {}", joined["machineGuid"]),
        "< 200 OK".to_owned(),
        "<   \"newMember\": true,".to_owned(),
    ] {
        assert!(
            trace.lines().any(|shown| shown.starts_with(&line)),
            "{line}\n{trace}"
        );
    }
    assert!(!trace.contains("abc.def.ghi"), "{trace}");
}

/// With DOMAIN_DEVICE_WRITE_HELP set, the pinned texts are updated.
#[test]
fn the_help_is_as_pinned() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/device/help");
    for (name, arguments) in [
        ("domain-device", vec!["--help"]),
        ("join", vec!["join", "--help"]),
        ("leave", vec!["leave", "--help"]),
    ] {
        let output = Shell::new().command(&arguments).output().unwrap();
        let path = directory.join(format!("{name}.txt"));
        if std::env::var_os("DOMAIN_DEVICE_WRITE_HELP").is_some() {
            std::fs::write(&path, &output.stdout).unwrap();
        }
        let pinned = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text(&output.stdout), pinned, "{name}");
    }
}
