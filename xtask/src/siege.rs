//! `cargo xtask siege`: hostile clients against a gateway that it starts.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{component, native, process, workspace::Workspace};

/// Builds the siege and what it besieges, and becomes it.
pub fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    let mut siege = Command::new(native::build_siege(workspace)?);
    if needs_gateway(arguments) {
        let components = component::build(workspace)?;
        let programs = native::build(workspace)?;
        siege
            .env("ANONYMOUS_DOMAINS_GATEWAY", programs.gateway)
            .env("ANONYMOUS_DOMAINS_COMPONENT", components.directory());
    }
    process::become_program(siege.args(arguments))
}

fn needs_gateway(arguments: &[OsString]) -> bool {
    !arguments.iter().any(|argument| {
        let argument = argument.to_string_lossy();
        matches!(&*argument, "--list" | "-h" | "--help" | "-V" | "--version")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_built_only_for_a_siege() {
        let needs = |line: &str| {
            let arguments: Vec<_> = line.split_whitespace().map(OsString::from).collect();
            needs_gateway(&arguments)
        };
        assert!(needs(""));
        assert!(needs("smuggling --seconds 2"));
        assert!(!needs("--list"));
        assert!(!needs("--help"));
    }
}
