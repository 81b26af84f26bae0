//! A Python of the project's own, with what the contract tests need, under the target directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::debian;
use crate::process;
use crate::workspace::Workspace;

/// Makes the virtual environment, or brings it up to date with the pinned requirements.
///
/// Returns the absolute path of its interpreter.
///
/// # Errors
/// When this machine has no Python 3 that can make one, or a package cannot be installed.
pub fn environment(workspace: &Workspace, requirements: &Path) -> Result<PathBuf> {
    let directory = workspace.target.join("python");
    let python = directory.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    });
    let wanted = std::fs::read(requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;

    // Written last, so that an installation that was interrupted is not taken for a whole one.
    let installed = directory.join("installed-requirements.txt");
    let works = process::succeeds(Command::new(&python).args(["-c", "import pytest"]));
    if works && std::fs::read(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }

    make(&directory)?;
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
    ]);
    process::run(pip.arg(requirements))?;
    std::fs::write(&installed, wanted)?;
    Ok(python)
}

/// Makes an empty virtual environment in place of what `directory` holds.
fn make(directory: &Path) -> Result<()> {
    let make = || {
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(directory)
            .status()
    };
    if make().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    if debian::can_install() {
        eprintln!(
            "python3 cannot make virtual environments here; installing Debian's python3-venv."
        );
        debian::install(&["python3-venv"])?;
        if make().is_ok_and(|status| status.success()) {
            return Ok(());
        }
    }
    bail!(
        "the contract tests need Python 3 with its `venv` module and pip: `python3 -m venv` did not \
         work (on Debian: apt-get install python3-venv)"
    )
}
