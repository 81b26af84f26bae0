//! `cargo xtask stress`: a stress test of a running server, or of gateways that it starts.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{component, native, process, workspace::Workspace};

/// Builds the stress test and becomes it. Without a server's URL among its arguments it starts its
/// own gateways, so these are built too.
pub fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    let mut stress = Command::new(native::build_stress(workspace)?);
    if needs_gateway(arguments) {
        let components = component::build(workspace)?;
        let programs = native::build(workspace)?;
        stress
            .env("ANONYMOUS_DOMAINS_GATEWAY", programs.gateway)
            .env("ANONYMOUS_DOMAINS_COMPONENT", components.directory());
    }
    process::become_program(stress.args(arguments))
}

fn needs_gateway(arguments: &[OsString]) -> bool {
    !arguments.iter().any(|argument| {
        let argument = argument.to_string_lossy();
        argument == "--url"
            || argument.starts_with("--url=")
            || matches!(&*argument, "-h" | "--help" | "-V" | "--version")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_are_built_only_without_a_url() {
        let needs = |line: &str| {
            let arguments: Vec<_> = line.split_whitespace().map(OsString::from).collect();
            needs_gateway(&arguments)
        };
        assert!(needs(""));
        assert!(needs("--kill 5 --store redis"));
        assert!(needs("--failover 10"));
        assert!(!needs("--url http://127.0.0.1:3000 --herd 10"));
        assert!(!needs("--herd 10 --url=http://127.0.0.1:3000"));
        assert!(!needs("--help"));
    }
}
