//! What goes to a terminal, and nowhere else.

use std::{
    fs::File,
    io::Read as _,
    process::{Command, Stdio},
};

use rustix::pty;
use serde_json::json;

use crate::{Shell, server::Mishap, text};

/// A terminal: what a person has of it, and what a command has.
pub fn open() -> (File, File) {
    let person = pty::openpt(pty::OpenptFlags::RDWR | pty::OpenptFlags::NOCTTY).unwrap();
    pty::grantpt(&person).unwrap();
    pty::unlockpt(&person).unwrap();
    let name = pty::ptsname(&person, Vec::new()).unwrap();
    let command = File::options()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    (File::from(person), command)
}

/// What a command writes to a terminal that is its standard output, or its standard error.
fn shown(mut command: Command, is_output: bool) -> String {
    let (mut person, terminal) = open();
    match is_output {
        true => command.stdout(terminal).stderr(Stdio::null()),
        false => command.stderr(terminal).stdout(Stdio::null()),
    };
    let mut child = command.spawn().unwrap();
    // It has the other end of the terminal.
    drop(command);
    let mut shown = Vec::new();
    let mut bytes = [0; 4096];
    // Once nobody has the other end, reading is an error.
    while let Ok(read @ 1..) = person.read(&mut bytes) {
        shown.extend_from_slice(&bytes[..read]);
    }
    child.wait().unwrap();
    text(&shown).to_owned()
}

fn check(shell: &Shell) -> Command {
    let page = |next: Option<&str>| {
        let page = json!({ "findings": [], "domains": 1, "members": 2, "next": next });
        Mishap::Answer(200, "X: y", page.to_string())
    };
    shell.server.next([page(Some("a")), page(None)]);
    shell.command(&["check"])
}

#[test]
fn a_line_that_is_gone_at_the_end_says_how_far_a_command_is() {
    let shell = Shell::new();
    let told = shown(check(&shell), false);
    let (line, rest) = told.split_once("1 domain, 2 members").expect(&told);
    assert!(line.starts_with('\r'), "{told:?}");
    assert!(
        rest.ends_with("\r\x1b[Kdomainctl: checked 2 domains with 4 members: nothing is wrong\r\n"),
        "{told:?}"
    );

    let mut dumb = check(&shell);
    dumb.env("TERM", "dumb");
    let mut json = check(&shell);
    json.arg("--json");
    for command in [dumb, json] {
        let told = shown(command, false);
        assert!(!told.contains('\x1b'), "{told:?}");
    }
    let output = check(&shell).output().unwrap();
    assert!(!text(&output.stderr).contains('\x1b'), "{output:?}");
}

#[test]
fn the_help_has_colours_only_at_a_terminal_and_not_with_no_color() {
    let shell = Shell::new();
    let help = |variables: &[(&str, &str)]| {
        let mut command = shell.command(&["check", "--help"]);
        command.envs(variables.iter().copied());
        command
    };
    let terminal = ("TERM", "xterm");
    assert!(shown(help(&[terminal]), true).contains("\x1b["));
    assert!(shown(help(&[terminal, ("NO_COLOR", "")]), true).contains("\x1b["));
    for variables in [&[terminal, ("NO_COLOR", "1")][..], &[("TERM", "dumb")]] {
        let told = shown(help(variables), true);
        assert!(
            told.contains("Examples:") && !told.contains('\x1b'),
            "{told:?}"
        );
    }
    let output = help(&[terminal]).output().unwrap();
    assert!(!text(&output.stdout).contains('\x1b'), "{output:?}");
}
