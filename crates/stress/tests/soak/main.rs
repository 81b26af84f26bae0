//! The command against the real gateway and component.
//!
//! `cargo xtask test` names them by `ANONYMOUS_DOMAINS_GATEWAY` and `ANONYMOUS_DOMAINS_COMPONENT`.
//! Where they are not set, the first test says so and passes.

use std::process::Command;

use anonymous_domains_testkit::program;

#[test]
fn some_seconds_with_a_kill_and_an_end() {
    let programs = ["ANONYMOUS_DOMAINS_GATEWAY", "ANONYMOUS_DOMAINS_COMPONENT"].map(program);
    if programs.contains(&None) {
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_soak"))
        .arg("--quick")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}{errors}");
    assert!(text.contains("every guarantee held"), "{text}");
    for row in ["memory under load, MiB | ", "join | ", "admin: delete | "] {
        assert!(text.lines().any(|line| line.starts_with(row)), "{text}");
    }
}

#[test]
fn a_gateway_that_is_not_there() {
    let output = Command::new(env!("CARGO_BIN_EXE_soak"))
        .args(["--gateway", "/nothing/here", "--component", "x"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("cannot run /nothing/here"), "{errors}");
}
