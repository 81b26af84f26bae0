//! The one place that builds the component for wasm32-wasip2.
//!
//! Where the pinned toolchain has the target, or rustup can fetch it, that is a plain `cargo
//! build`, the same that spin.toml names. A machine whose rustup cannot may be a Debian, which has
//! what is needed to build the target's standard library: see [`crate::debian`].

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::debian::Debian;
use crate::process;
use crate::workspace::Workspace;

pub const TARGET: &str = "wasm32-wasip2";

const FILE: &str = "anonymous_domains.wasm";

/// What the component may not outgrow, in bytes: it is loaded into memory by every host.
pub const SIZE_LIMIT: u64 = 2_000_000;

/// A component that has been built.
pub struct Component {
    /// Its absolute path.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

impl Component {
    /// The size for people, in kilobytes (1,000 bytes).
    pub fn size(&self) -> String {
        format!("{} kB", self.bytes.div_ceil(1000))
    }
}

/// Builds the component where its inputs changed.
///
/// It ends up where plain cargo puts it, which is where spin.toml looks.
pub fn build(workspace: &Workspace) -> Result<Component> {
    let path = workspace.target.join(TARGET).join("release").join(FILE);
    match Way::find(&workspace.root)? {
        Way::Rustup => process::run(
            component_cargo("cargo", &workspace.root)
                .arg("--target-dir")
                .arg(&workspace.target),
        )?,
        Way::Debian(debian) => {
            // Its own directory: another compiler's output in the usual one would make each of
            // the two builds start from nothing after the other.
            let target = workspace.target.join("debian");
            let mut command = component_cargo(Debian::CARGO, &workspace.root);
            command.arg("--target-dir").arg(&target);
            debian.configure(&mut command)?;
            process::run(&mut command)?;
            install(&target.join(TARGET).join("release").join(FILE), &path)?;
        }
    }
    let bytes = path
        .metadata()
        .with_context(|| format!("cargo built no {}", path.display()))?
        .len();
    Ok(Component { path, bytes })
}

/// How this machine builds for the target.
enum Way {
    Rustup,
    Debian(Debian),
}

impl Way {
    /// Tries, in order: the target as rustup installs it; Debian's packages, where they are
    /// installed already, since that needs no network; rustup's server; Debian's.
    fn find(root: &Path) -> Result<Self> {
        if rustup_has_target(root) {
            return Ok(Self::Rustup);
        }
        if let Some(debian) = Debian::installed(root)? {
            eprintln!(
                "{TARGET}: rustup has not installed this target here; building its standard \
                 library with Debian's compiler instead."
            );
            return Ok(Self::Debian(debian));
        }
        eprintln!("{TARGET}: the target is not installed; asking rustup for it.");
        let mut rustup = Command::new("rustup");
        process::forget_outer_cargo(&mut rustup);
        rustup.current_dir(root).args(["target", "add", TARGET]);
        let added = process::run(&mut rustup);
        // Its word alone is not enough: what counts is that the compiler finds the library.
        if added.is_ok() && rustup_has_target(root) {
            return Ok(Self::Rustup);
        }
        if Debian::can_install() {
            eprintln!(
                "{TARGET}: rustup could not fetch the target; installing Debian's compiler, which \
                 can build its standard library (3 minutes, once)."
            );
            Debian::install()?;
            if let Some(debian) = Debian::installed(root)? {
                return Ok(Self::Debian(debian));
            }
        }
        bail!(
            "cannot build for {TARGET}: its standard library is not installed.\n\
             With rustup: rustup target add {TARGET}\n\
             On Debian, as root: apt-get install --no-install-recommends {}\n\
             (that also needs the linker `wasm-component-ld`, which comes with rustup's toolchain)",
            Debian::PACKAGES.join(" ")
        )
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

/// The build itself: only the root package, so that no native crate is needed.
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
    command.args(["build", "--release", "--locked", "--target", TARGET]);
    command.args(["--package", "anonymous-domains"]);
    command
}

/// Copies `from` to `to` if it differs.
///
/// By way of a temporary name: cargo's own `to` is a hard link to a file that it keeps, which
/// writing in place would change, too; and a gateway that starts now never reads half a component.
fn install(from: &Path, to: &Path) -> Result<()> {
    let built =
        std::fs::read(from).with_context(|| format!("cargo built no {}", from.display()))?;
    if std::fs::read(to).is_ok_and(|present| present == built) {
        return Ok(());
    }
    let directory = to
        .parent()
        .context("the component's path has no directory")?;
    std::fs::create_dir_all(directory)?;
    let new = directory.join(format!(".{FILE}.{}", std::process::id()));
    std::fs::write(&new, built)?;
    std::fs::rename(&new, to).with_context(|| format!("cannot write {}", to.display()))
}
