//! How this machine builds for wasm32-wasip2.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{PROFILE, TARGET, builds::Build};
use crate::{
    debian::Debian,
    needs::{self, Need},
    process,
    workspace::Workspace,
};

/// What is missing to build it.
///
/// # Errors
/// When Debian's packages are there but its linker is not.
pub fn missing(root: &Path) -> Result<Option<Need>> {
    let found = Way::find(root)?;
    Ok(found.is_none().then(|| Need {
        what: format!(
            "Rust's library for {TARGET}: `rustup target add {TARGET}` does not work here"
        ),
        packages: Debian::PACKAGES.to_vec(),
    }))
}

/// How this machine builds for the target.
pub(super) enum Way {
    Rustup,
    Debian(Debian),
}

impl Way {
    /// Builds, and gives the result's path.
    pub(super) fn build(&self, workspace: &Workspace, build: &Build) -> Result<PathBuf> {
        let (mut command, directory) = match (self, build.directory) {
            (Self::Rustup, directory) => (
                component_cargo("cargo", &workspace.root),
                directory.to_owned(),
            ),
            (Self::Debian(debian), directory) => {
                let mut command = component_cargo(Debian::CARGO, &workspace.root);
                debian.configure(&mut command)?;
                let directory = match directory {
                    "" => "debian".to_owned(),
                    directory => format!("debian-{directory}"),
                };
                (command, directory)
            }
        };
        if let Some(flags) = build.flags {
            let own = match self {
                Self::Rustup => None,
                Self::Debian(_) => Some(Debian::flag()),
            };
            let all: Vec<&str> = flags.iter().copied().chain(own.as_deref()).collect();
            // Takes the place of those in `.cargo/config.toml`, where others add to them.
            command.env("CARGO_ENCODED_RUSTFLAGS", all.join("\x1f"));
        }
        let target = workspace.target.join(directory);
        command.args(build.arguments());
        command.arg("--target-dir").arg(&target);
        process::run(&mut command)?;
        Ok(target.join(TARGET).join(PROFILE).join(build.package.file))
    }

    /// Finds one, or makes one with `--install`.
    pub(super) fn provide(workspace: &Workspace) -> Result<Self> {
        needs::provide(workspace, missing(&workspace.root)?.as_slice())?;
        Self::find(&workspace.root)?.with_context(|| {
            format!(
                "what was installed cannot build for {TARGET}: see `rustup target add {TARGET}`"
            )
        })
    }

    /// Tries, in order: the target as rustup installs it; Debian's packages, where they are
    /// installed already, since that needs no network; rustup's server.
    fn find(root: &Path) -> Result<Option<Self>> {
        if rustup_has_target(root) {
            return Ok(Some(Self::Rustup));
        }
        if let Some(debian) = Debian::installed(root)? {
            eprintln!(
                "{TARGET}: rustup has not installed this target here; building its standard \
                 library with Debian's compiler instead."
            );
            return Ok(Some(Self::Debian(debian)));
        }
        eprintln!("{TARGET}: the target is not installed; asking rustup for it.");
        let mut rustup = Command::new("rustup");
        process::forget_outer_cargo(&mut rustup);
        rustup.current_dir(root).args(["target", "add", TARGET]);
        let added = process::run(&mut rustup);
        // Its word alone is not enough: what counts is that the compiler finds the library.
        let is_there = added.is_ok() && rustup_has_target(root);
        Ok(is_there.then_some(Self::Rustup))
    }
}

/// Whether the pinned compiler finds the target's standard library.
fn rustup_has_target(root: &Path) -> bool {
    let mut rustc = Command::new("rustc");
    process::forget_outer_cargo(&mut rustc);
    rustc
        .current_dir(root)
        .args(["--print", "target-libdir", "--target", TARGET]);
    process::output(&mut rustc).is_ok_and(|directory| Path::new(&directory).is_dir())
}

/// The build itself, of one package, so that no native crate is needed.
///
/// Flags for other builds are kept out; the component's own are in `.cargo/config.toml`.
fn component_cargo(cargo: &str, root: &Path) -> Command {
    let mut command = process::cargo(root);
    if cargo != "cargo" {
        command = Command::new(cargo);
        command.current_dir(root);
        process::forget_outer_cargo(&mut command);
    }
    for name in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
    ] {
        command.env_remove(name);
    }
    command
}
