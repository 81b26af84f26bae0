//! Building the component with Debian's packages, where rustup's server is out of reach.
//!
//! Debian has no precompiled standard library for the target, but a compiler with its matching
//! library source (the `-web` packages, which browsers are built with) and a WASI libc. Cargo can
//! build the standard library from these; `RUSTC_BOOTSTRAP=1` permits it the unstable option. The
//! linker, which makes a component of the module, comes with rustup's toolchain.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::process;

const RUSTC: &str = "/usr/bin/rustc";
const LIBRARY_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
const WASI_LIBC: &str = "/usr/lib/wasm32-wasi";
const LINKER: &str = "wasm-component-ld";

/// Debian's compiler, and the linker to go with it.
pub struct Debian {
    linker_directory: PathBuf,
}

impl Debian {
    pub const CARGO: &str = "/usr/bin/cargo";
    pub const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "wasi-libc"];

    /// What is installed, if it is all there.
    ///
    /// # Errors
    /// When the packages are there but the linker is not.
    pub fn installed(root: &Path) -> Result<Option<Self>> {
        let needed = [RUSTC, Self::CARGO, LIBRARY_SOURCE, WASI_LIBC];
        if !needed.iter().all(|path| Path::new(path).exists()) {
            return Ok(None);
        }
        let linker_directory = linker_directory(root).with_context(|| {
            format!("no `{LINKER}`, neither with the Rust toolchain nor on the PATH")
        })?;
        Ok(Some(Self { linker_directory }))
    }

    /// What the compiler needs to find Debian's WASI libc.
    pub fn flag() -> String {
        format!("-Lnative={WASI_LIBC}")
    }

    /// Makes `command`, a build with [`Self::CARGO`], use Debian's compiler and build the library.
    pub fn configure(&self, command: &mut Command) -> Result<()> {
        let path = std::env::join_paths([
            Path::new("/usr/bin"),
            Path::new("/bin"),
            &self.linker_directory,
        ])
        .context("the linker's directory cannot be on the PATH")?;
        command
            .arg("-Zbuild-std=std,panic_abort")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC", RUSTC)
            .env("PATH", path)
            .env(
                "CARGO_TARGET_WASM32_WASIP2_LINKER",
                self.linker_directory.join(LINKER),
            )
            // Cargo adds these flags to those in .cargo/config.toml.
            .env("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", Self::flag())
            // Set by `cargo run`: names the directory of another compiler's libraries.
            .env_remove("LD_LIBRARY_PATH")
            .env_remove("RUSTC_WRAPPER")
            .env_remove("RUSTC_WORKSPACE_WRAPPER");
        Ok(())
    }
}

/// Whether packages could be installed: on Debian or a descendant, as root or with sudo.
pub fn can_install() -> bool {
    let is_debian = Path::new("/etc/debian_version").exists();
    is_debian && (!needs_sudo() || process::is_installed("sudo"))
}

/// Whether this process is not root's.
pub fn needs_sudo() -> bool {
    !process::output(Command::new("id").arg("-u")).is_ok_and(|id| id == "0")
}

/// Installs packages, without what they merely recommend.
///
/// # Errors
/// When it fails; apt-get has then said why.
pub fn install(packages: &[&str]) -> Result<()> {
    apt_get(&["update"])?;
    apt_get(&[&["install", "-y", "--no-install-recommends"], packages].concat())
}

/// Runs apt-get without questions.
fn apt_get(args: &[&str]) -> Result<()> {
    let mut command = Command::new(if needs_sudo() { "sudo" } else { "env" });
    if needs_sudo() {
        command.arg("env");
    }
    // A server that is installed for tests is not to be started as a service: RUNLEVEL.
    command.args([
        "DEBIAN_FRONTEND=noninteractive",
        "RUNLEVEL=1",
        "apt-get",
        "-qq",
    ]);
    process::run(command.args(args))
}

/// The directory that holds the linker: the pinned toolchain's own, or one on the PATH.
fn linker_directory(root: &Path) -> Option<PathBuf> {
    let mut rustc = Command::new("rustc");
    process::forget_outer_cargo(&mut rustc);
    rustc.current_dir(root).args(["--print", "target-libdir"]);
    // {sysroot}/lib/rustlib/{host}/lib is beside {sysroot}/lib/rustlib/{host}/bin.
    let toolchain = process::output(&mut rustc)
        .ok()
        .map(|lib| Path::new(&lib).with_file_name("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    toolchain
        .into_iter()
        .chain(std::env::split_paths(&path))
        .find(|directory| directory.join(LINKER).is_file())
}
