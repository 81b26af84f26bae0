//! The command against the real gateway and component.
//!
//! `cargo xtask test` names them by `ANONYMOUS_DOMAINS_GATEWAY` and `ANONYMOUS_DOMAINS_COMPONENT`.
//! Where they are not set, the first test says so and passes. `--quick` tries each attack on one gateway.

use std::process::{Command, Output};

use anonymous_domains_testkit::program;

fn siege(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_siege"));
    command.args(arguments).output().unwrap()
}

#[test]
fn honest_clients_notice_no_attack() {
    let programs = ["ANONYMOUS_DOMAINS_GATEWAY", "ANONYMOUS_DOMAINS_COMPONENT"].map(program);
    if programs.contains(&None) {
        return;
    }
    let output = siege(&["--quick"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}{errors}");
    assert!(text.contains("and the gateway lives"), "{text}");
}

#[test]
fn an_attack_that_is_not_there() {
    let output = siege(&["trebuchet"]);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("slow-heads"), "{errors}");
}

#[test]
fn the_attacks_are_listed() {
    let output = siege(&["--list", "smuggling"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("smuggling | two lengths"), "{text}");
    assert!(!text.contains("slow-heads"), "{text}");
}
