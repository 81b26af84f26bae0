use std::process::Command;

use anonymous_domains_protocol::problem::ErrorName;

use crate::{
    Shell,
    server::{Mishap, TOKEN},
    text,
};

/// The command with no token.
fn bare(shell: &Shell) -> Command {
    let mut command = shell.command(&["domain", "list"]);
    command.env_remove("DOMAINCTL_TOKEN");
    command
}

#[test]
fn the_token_comes_from_a_file_or_the_environment() {
    let shell = Shell::new();
    let directory = tempfile::tempdir().unwrap();
    let right = directory.path().join("right");
    let wrong = directory.path().join("wrong");
    std::fs::write(&right, format!("{TOKEN}\n")).unwrap();
    std::fs::write(&wrong, "another").unwrap();
    let exits = |command: &mut Command| command.output().unwrap().status.code().unwrap();

    assert_eq!(exits(bare(&shell).env("DOMAINCTL_TOKEN", TOKEN)), 0);
    assert_eq!(exits(bare(&shell).env("DOMAINCTL_TOKEN_FILE", &right)), 0);
    assert_eq!(exits(bare(&shell).arg("--token-file").arg(&right)), 0);
    // The command line wins, then the token itself.
    assert_eq!(
        exits(
            bare(&shell)
                .env("DOMAINCTL_TOKEN", "another")
                .env("DOMAINCTL_TOKEN_FILE", &wrong)
                .arg("--token-file")
                .arg(&right)
        ),
        0
    );
    assert_eq!(
        exits(
            bare(&shell)
                .env("DOMAINCTL_TOKEN", TOKEN)
                .env("DOMAINCTL_TOKEN_FILE", &wrong)
        ),
        0
    );
    for (line, headers, _) in &shell.server.state().requests {
        assert!(!line.contains(TOKEN));
        assert_eq!(headers["authorization"], format!("Bearer {TOKEN}"));
    }
}

#[test]
fn without_a_token_nothing_is_asked() {
    let shell = Shell::new();
    let output = bare(&shell).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(told.contains("--token-file"), "{told}");
    assert!(told.contains("DOMAINCTL_TOKEN"), "{told}");
    for token in ["", "two words"] {
        let output = bare(&shell).env("DOMAINCTL_TOKEN", token).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(!text(&output.stderr).contains("two words"));
    }
    assert_eq!(
        bare(&shell)
            .args(["--token-file", "/nonexistent"])
            .output()
            .unwrap()
            .status
            .code(),
        Some(2)
    );
    assert!(shell.server.requests().is_empty());
}

#[test]
fn a_wrong_token_is_explained_and_not_shown() {
    let shell = Shell::new();
    let output = bare(&shell)
        .env("DOMAINCTL_TOKEN", "hunter2hunter2")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("does not accept this admin token"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");

    shell.server.next([Mishap::problem(ErrorName::NotFound)]);
    let told = shell.fails(&["domain", "list"], 1);
    assert!(told.contains("no operator's interface"), "{told}");
}

#[test]
fn a_token_that_can_be_read_on_the_way_is_warned_of() {
    let shell = Shell::new();
    // Nothing is sent: the request cannot even be made.
    let output = shell
        .command(&["domain", "list", "--server", "http://domains.invalid"])
        .args(["--ca-file", "/nonexistent"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(told.contains("use https instead"), "{told}");
    assert!(told.contains("/nonexistent cannot be read"), "{told}");
}
