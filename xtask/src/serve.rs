//! `cargo xtask serve`: the component in the gateway.

use std::{ffi::OsString, process::Command};

use anyhow::{Result, anyhow};

use crate::{
    component::{self, Component},
    native::{self, Programs},
    process,
    workspace::Workspace,
};

/// Builds what changed, then becomes the gateway: a signal to this process is one to it.
pub fn run(workspace: &Workspace, gateway_args: &[OsString]) -> Result<()> {
    let (component, programs) = build(workspace)?;
    let mut gateway = Command::new(programs.gateway);
    gateway
        .arg("--component")
        .arg(component.path)
        .args(gateway_args);
    process::become_program(&mut gateway)
}

/// Builds a component for the gateway, and the native programs, where their inputs changed.
///
/// At the same time: each ends with long steps that keep one core busy.
pub fn build(workspace: &Workspace) -> Result<(Component, Programs)> {
    component::provide(workspace)?;
    let (component, programs) = std::thread::scope(|scope| {
        let component = scope.spawn(|| component::build_wide(workspace));
        let programs = native::build(workspace);
        (component.join(), programs)
    });
    let component = component.map_err(|_| anyhow!("the component's build panicked"))?;
    Ok((component?, programs?))
}
