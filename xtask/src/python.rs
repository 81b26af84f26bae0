//! Pythons of the project's own, each with the packages of a list, under the target directory.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{needs::Need, process, workspace::Workspace};

/// Makes the virtual environment of this name, or brings it up to date with the pinned requirements.
///
/// Returns the absolute path of its interpreter.
///
/// # Errors
/// When this machine has no Python 3 that can make one, or a package cannot be installed.
pub fn environment(workspace: &Workspace, name: &str, requirements: &[&Path]) -> Result<PathBuf> {
    let directory = workspace.target.join(name);
    let python = directory.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    });
    let mut wanted = Vec::new();
    for list in requirements {
        let list =
            std::fs::read(list).with_context(|| format!("cannot read {}", list.display()))?;
        wanted.extend(list);
    }

    // Written last, so that an installation that was interrupted is not taken for a whole one.
    let installed = directory.join("installed-requirements.txt");
    let works = process::succeeds(Command::new(&python).args(["-c", "pass"]));
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
    ]);
    for list in requirements {
        pip.arg("--requirement").arg(list);
    }
    process::run(&mut pip)?;
    std::fs::write(&installed, wanted)?;
    Ok(python)
}

/// Makes an empty virtual environment in place of what `directory` holds.
fn make(directory: &Path) -> Result<()> {
    let mut venv = Command::new("python3");
    process::run(venv.args(["-m", "venv", "--clear"]).arg(directory))
}

/// What is missing for [`environment`].
pub fn missing() -> Option<Need> {
    // Debian has `venv` with Python, but leaves out what it puts pip in with.
    let can_make =
        process::succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"]));
    (!can_make).then(|| Need {
        what: "a Python 3 that can make virtual environments".to_owned(),
        packages: vec!["python3-venv"],
    })
}
