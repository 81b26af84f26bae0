//! `cargo xtask serve`: the component in the gateway.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{component, native};

/// Builds what changed, then becomes the gateway: a signal to this process is one to it.
pub fn run(workspace: &Workspace, gateway_args: &[OsString]) -> Result<()> {
    let components = component::build(workspace)?;
    let programs = native::build(workspace)?;
    let mut gateway = Command::new(programs.gateway);
    gateway
        .arg("--component")
        .arg(components.directory())
        .args(gateway_args);
    become_program(gateway)
}

#[cfg(unix)]
fn become_program(mut command: Command) -> Result<()> {
    use std::os::unix::process::CommandExt;

    Err(command.exec().into())
}

#[cfg(not(unix))]
fn become_program(mut command: Command) -> Result<()> {
    crate::process::run(&mut command)
}
