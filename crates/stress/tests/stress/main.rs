//! The command against the real gateway and component.
//!
//! `cargo xtask test` names them by `ANONYMOUS_DOMAINS_GATEWAY` and `ANONYMOUS_DOMAINS_COMPONENT`.
//! Where they are not set, these tests say so and pass. The checker's unit tests need neither.

use std::process::{Command, Output};

/// Runs a stress test with EC keys, which are made quickly; `None` without a gateway.
fn stress(arguments: &[&str]) -> Option<Output> {
    let programs = ["ANONYMOUS_DOMAINS_GATEWAY", "ANONYMOUS_DOMAINS_COMPONENT"];
    if let Some(name) = programs
        .iter()
        .find(|name| std::env::var_os(name).is_none())
    {
        eprintln!("not run: {name} is not set; `cargo xtask test` sets it");
        return None;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_stress"))
        .args(["--set", "domain_key_type=EC-P256", "--domains", "3"])
        .args(arguments)
        .output()
        .unwrap();
    Some(output)
}

fn held(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}{errors}");
    assert!(text.contains("verdict: every guarantee held"), "{text}");
    text
}

#[test]
fn a_short_run_and_a_thundering_herd() {
    let arguments = ["--machines", "40", "--operations", "1000", "--herd", "60"];
    let Some(output) = stress(&arguments) else {
        return;
    };
    let text = held(&output);
    for kind in ["register", "leave", "preview", "remove", "set maximum"] {
        let row = text.lines().any(|line| line.starts_with(kind));
        assert!(row, "no {kind} in {text}");
    }
    assert!(text.contains("herd of 60: "), "{text}");
}

#[test]
fn a_run_with_five_kills() {
    let Some(output) = stress(&["--machines", "40", "--kill", "5"]) else {
        return;
    };
    let text = held(&output);
    assert!(text.contains("5 kills; "), "{text}");
}

#[test]
fn a_run_with_two_failovers() {
    let Some(output) = stress(&["--machines", "40", "--failover", "2"]) else {
        return;
    };
    let text = held(&output);
    assert!(text.contains("failover 1, Killed: "), "{text}");
    assert!(text.contains("failover 2, Stalled: "), "{text}");
    assert!(text.contains("2 failovers; "), "{text}");
}

#[test]
fn a_server_that_is_not_there() {
    let output = Command::new(env!("CARGO_BIN_EXE_stress"))
        .args(["--url", "http://127.0.0.1:9", "--operations", "1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("cannot be reached"), "{errors}");
    assert!(output.stdout.is_empty());
}
