//! The one place that builds components for wasm32-wasip2: the server with WASI 0.3, with WASI 0.3 and
//! wide arithmetic, and with WASI 0.2; and checks
//! of a host's store and of P-256, RSA and AES-256-GCM.
//!
//! Where the pinned toolchain has the target, or rustup can fetch it, that is a plain `cargo
//! build`, the same that spin.toml names. A machine whose rustup cannot may be a Debian, which has
//! what is needed to build the target's standard library: see [`crate::debian`].

mod artifact;
mod builds;
mod way;

use std::{fs::File, path::Path, time::SystemTime};

use anyhow::{Context, Result, bail};

pub use self::{artifact::Component, way::missing};
use self::{
    builds::{
        Build, CRYPTO_CHECK_PORTABLE, CRYPTO_CHECK_WIDE, P2, PORTABLE, STORE_CHECK_P2,
        STORE_CHECK_P3, WIDE,
    },
    way::Way,
};
use crate::workspace::Workspace;

pub const TARGET: &str = "wasm32-wasip2";

/// Its own in Cargo.toml, and the name of the directory that cargo builds into.
const PROFILE: &str = "component";

/// What the component may not outgrow, in bytes: it is loaded into memory by every host.
pub const SIZE_LIMIT: u64 = 2_100_000;

/// The builds of the component, side by side in one directory.
pub struct Components {
    /// For any host with WASI 0.3; where plain cargo puts it.
    pub portable: Component,
    /// For hosts with WASI 0.3 and WebAssembly's wide arithmetic, as the gateway is one.
    pub wide: Component,
    /// For any host with WASI 0.2.
    pub p2: Component,
}

impl Components {
    /// The directory that holds them.
    pub fn directory(&self) -> &Path {
        self.portable
            .path
            .parent()
            .expect("an absolute path of a file has a directory")
    }

    /// All of them, the portable one first.
    pub fn each(&self) -> [&Component; 3] {
        [&self.portable, &self.wide, &self.p2]
    }
}

/// Builds all where their inputs changed.
///
/// At the same time: each ends with a long step that keeps one core busy.
pub fn build(workspace: &Workspace) -> Result<Components> {
    let way = Way::provide(workspace)?;
    let [portable, wide, p2] = std::thread::scope(|scope| {
        [&PORTABLE, &WIDE, &P2]
            .map(|build| scope.spawn(|| way.build(workspace, build)))
            .map(|build| build.join().unwrap_or_else(|_| bail!("a build panicked")))
    });
    Ok(Components {
        portable: install(workspace, &PORTABLE, &portable?)?,
        wide: install(workspace, &WIDE, &wide?)?,
        p2: install(workspace, &P2, &p2?)?,
    })
}

/// Builds the check of a host's store, with WASI 0.3 and with WASI 0.2, where their inputs changed.
pub fn build_store_check(workspace: &Workspace) -> Result<[Component; 2]> {
    let way = Way::provide(workspace)?;
    let built = |build| install(workspace, build, &way.build(workspace, build)?);
    Ok([built(&STORE_CHECK_P3)?, built(&STORE_CHECK_P2)?])
}

/// Builds the check of cryptography, with 32-bit limbs and with wide arithmetic, where their inputs
/// changed.
pub fn build_crypto_check(workspace: &Workspace) -> Result<[Component; 2]> {
    let way = Way::provide(workspace)?;
    let built = |build| install(workspace, build, &way.build(workspace, build)?);
    Ok([built(&CRYPTO_CHECK_PORTABLE)?, built(&CRYPTO_CHECK_WIDE)?])
}

/// Builds the wide one alone, where its inputs changed: less work, for who serves with the gateway.
pub fn build_wide(workspace: &Workspace) -> Result<Component> {
    let way = Way::provide(workspace)?;
    install(workspace, &WIDE, &way.build(workspace, &WIDE)?)
}

/// Makes sure that it can be built here, or says what is missing, before longer work begins.
pub fn provide(workspace: &Workspace) -> Result<()> {
    Way::provide(workspace).map(drop)
}

/// Puts what cargo built beside the other builds.
///
/// Dates it now: the gateway takes a wide build that is older than the portable one for a leftover.
fn install(workspace: &Workspace, build: &Build, from: &Path) -> Result<Component> {
    let directory = workspace.target.join(TARGET).join(PROFILE);
    let to = directory.join(build.file);
    copy(from, &to)?;
    // Where plain cargo would have put it, which is where the manifests for Spin look.
    let plain = workspace.target.join(build.directory);
    copy(
        from,
        &plain.join(TARGET).join(PROFILE).join(build.package.file),
    )?;
    if from != to {
        let file = File::options().write(true).open(&to)?;
        file.set_modified(SystemTime::now())?;
    }
    Component::built(to)
}

/// Copies `from` to `to` if it differs.
///
/// By way of a temporary name: cargo's own `to` is a hard link to a file that it keeps, which
/// writing in place would change, too; and a gateway that starts now never reads half a component.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from == to {
        return Ok(());
    }
    let built =
        std::fs::read(from).with_context(|| format!("cargo built no {}", from.display()))?;
    if std::fs::read(to).is_ok_and(|present| present == built) {
        return Ok(());
    }
    let directory = to
        .parent()
        .context("the component's path has no directory")?;
    std::fs::create_dir_all(directory)?;
    let name = to.file_name().context("the component's path has no name")?;
    let new = directory.join(format!(
        ".{}.{}",
        name.to_string_lossy(),
        std::process::id()
    ));
    std::fs::write(&new, built)?;
    std::fs::rename(&new, to).with_context(|| format!("cannot write {}", to.display()))
}
