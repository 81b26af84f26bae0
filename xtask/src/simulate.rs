//! `cargo xtask simulate`: deterministic simulation testing.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{process, workspace::Workspace};

/// Builds the simulation where its inputs changed, then becomes it.
pub fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    process::run(process::cargo(&workspace.root).args([
        "build",
        "--quiet",
        "--locked",
        "--package=anonymous-domains-simulation",
        "--bin=simulate",
    ]))?;
    let file = format!("simulate{}", std::env::consts::EXE_SUFFIX);
    let mut simulation = Command::new(workspace.target.join("debug").join(file));
    simulation.args(arguments);
    process::become_program(&mut simulation)
}
