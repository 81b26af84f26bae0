//! The native programs: the gateway, a device's command and an operator's, the stress test and more.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{process, workspace::Workspace};

/// The programs' absolute paths.
pub struct Programs {
    pub gateway: PathBuf,
    pub device: PathBuf,
    pub domainctl: PathBuf,
    pub stress: PathBuf,
    pub soak: PathBuf,
    pub siege: PathBuf,
    pub bench: PathBuf,
}

/// Builds the programs where their inputs changed, in the profile that the tests use.
///
/// Always all, in one call of cargo, which chooses the features of shared dependencies by what it
/// builds together: a gateway alone would get some of its dependencies in a variant of their own.
pub fn build(workspace: &Workspace) -> Result<Programs> {
    cargo_build(
        workspace,
        &[
            "--package=anonymous-domains-gateway",
            "--package=anonymous-domains-device",
            "--package=anonymous-domains-domainctl",
        ],
    )
}

/// Builds the programs, and all tests, where their inputs changed.
///
/// For [`build`]'s reason: `cargo test` then has nothing left to compile.
pub fn build_with_tests(workspace: &Workspace) -> Result<Programs> {
    cargo_build(workspace, &["--workspace", "--all-targets"])
}

/// Builds the bench and what it measures, where their inputs changed, as what is deployed is built.
pub fn build_bench(workspace: &Workspace) -> Result<Programs> {
    cargo_build(
        workspace,
        &[
            "--release",
            "--package=anonymous-domains-bench",
            "--package=anonymous-domains-gateway",
        ],
    )
}

/// Builds the stress test where its inputs changed. Alone: a test of a running server needs no
/// gateway.
pub fn build_stress(workspace: &Workspace) -> Result<PathBuf> {
    Ok(cargo_build(workspace, &["--package=anonymous-domains-stress"])?.stress)
}

/// Builds the soak where its inputs changed.
pub fn build_soak(workspace: &Workspace) -> Result<PathBuf> {
    Ok(cargo_build(workspace, &["--package=anonymous-domains-stress"])?.soak)
}

/// Builds the siege where its inputs changed.
pub fn build_siege(workspace: &Workspace) -> Result<PathBuf> {
    Ok(cargo_build(workspace, &["--package=anonymous-domains-siege"])?.siege)
}

fn cargo_build(workspace: &Workspace, what: &[&str]) -> Result<Programs> {
    let is_release = what.contains(&"--release");
    let directory = if is_release { "release" } else { "debug" };
    process::run(
        process::cargo(&workspace.root)
            .args(["build", "--locked"])
            .args(what),
    )?;
    let program = |name: &str| {
        let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        workspace.target.join(directory).join(file)
    };
    Ok(Programs {
        gateway: program("gateway"),
        device: program("domain-device"),
        domainctl: program("domainctl"),
        stress: program("stress"),
        soak: program("soak"),
        siege: program("siege"),
        bench: program("bench"),
    })
}

/// Takes a gateway's settings out of `command`'s environment: what a person has set for a real
/// gateway must not change a test or the demo.
pub fn forget_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ANONYMOUS_DOMAINS_") {
            command.env_remove(name);
        }
    }
}
