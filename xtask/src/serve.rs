//! `cargo xtask serve`: the component in the gateway.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{component, native, process};

/// Builds what changed, then becomes the gateway: a signal to this process is one to it.
pub fn run(workspace: &Workspace, gateway_args: &[OsString]) -> Result<()> {
    let component = component::build_wide(workspace)?;
    let programs = native::build(workspace)?;
    let mut gateway = Command::new(programs.gateway);
    gateway
        .arg("--component")
        .arg(component.path)
        .args(gateway_args);
    process::become_program(&mut gateway)
}
