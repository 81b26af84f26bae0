//! The SDK's Node packages, as its lock file has them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{needs::Need, process, workspace::Workspace};

/// Installs what the lock file of the package in a directory names, where that is not there yet.
///
/// # Errors
/// When there is no npm, or a package cannot be installed.
pub fn install(workspace: &Workspace, package: &Path) -> Result<()> {
    let lock = package.join("package-lock.json");
    let wanted = std::fs::read(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    // Written last, so that an installation that was interrupted is not taken for a whole one.
    let installed: PathBuf = workspace.target.join("installed-package-lock.json");
    let is_there = package.join("node_modules").is_dir()
        && std::fs::read(&installed).is_ok_and(|installed| installed == wanted);
    if is_there {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.current_dir(package)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    process::run(&mut npm)?;
    std::fs::write(&installed, wanted)?;
    Ok(())
}

/// What is missing for [`install`] and what comes after.
pub fn missing() -> Option<Need> {
    (!process::is_installed("node") || !process::is_installed("npm")).then(|| Need {
        what: "Node 20 or later with npm, for the TypeScript SDK".to_owned(),
        packages: vec!["nodejs", "npm"],
    })
}
