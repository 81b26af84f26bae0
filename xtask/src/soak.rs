//! `cargo xtask soak`: two gateways under a steady load for an hour; does anything grow?

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{component, native, process, workspace::Workspace};

/// Builds the soak, and the gateway and the component where its arguments name none, and becomes it.
pub fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    let mut soak = Command::new(native::build_soak(workspace)?);
    if needs(arguments, "--component") {
        let components = component::build(workspace)?;
        soak.env("ANONYMOUS_DOMAINS_COMPONENT", components.directory());
    }
    if needs(arguments, "--gateway") {
        let programs = native::build(workspace)?;
        soak.env("ANONYMOUS_DOMAINS_GATEWAY", programs.gateway);
    }
    process::become_program(soak.args(arguments))
}

/// Whether what this option would name is to be built.
fn needs(arguments: &[OsString], option: &str) -> bool {
    !arguments.iter().any(|argument| {
        let argument = argument.to_string_lossy();
        let value = argument.strip_prefix(option);
        value.is_some_and(|value| value.is_empty() || value.starts_with('='))
            || matches!(&*argument, "-h" | "--help" | "-V" | "--version")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_not_built() {
        let needs = |line: &str| {
            let arguments: Vec<_> = line.split_whitespace().map(OsString::from).collect();
            ["--gateway", "--component"].map(|option| needs(&arguments, option))
        };
        assert_eq!(needs("--minutes 10"), [true, true]);
        assert_eq!(needs("--gateway target/gateway"), [false, true]);
        assert_eq!(needs("--component=x.wasm --gateway=y"), [false, false]);
        assert_eq!(needs("--help"), [false, false]);
    }
}
