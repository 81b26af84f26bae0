//! The package on a new Debian.

use std::{path::Path, process::Command};

use anyhow::Result;

use crate::{needs::Need, process, workspace::Workspace};

/// What is missing to make one.
pub fn missing() -> Option<Need> {
    (!process::is_installed("debootstrap")).then(|| Need {
        what: "debootstrap, which makes a Debian in a directory".to_owned(),
        packages: vec!["debootstrap"],
    })
}

/// Installs `package` on a Debian in a temporary directory, and lets a device join there.
///
/// # Errors
/// If any of it fails; needs root.
pub fn run(workspace: &Workspace, package: &Path) -> Result<()> {
    let mut script = Command::new("sh");
    script.arg(workspace.root.join("deploy/debian/try.sh"));
    process::run(script.arg(package))
}
