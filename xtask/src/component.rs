//! The one place that builds components for wasm32-wasip2: the server with WASI 0.3, with WASI 0.3 and
//! wide arithmetic, and with WASI 0.2; and the check of a host's store.
//!
//! Where the pinned toolchain has the target, or rustup can fetch it, that is a plain `cargo
//! build`, the same that spin.toml names. A machine whose rustup cannot may be a Debian, which has
//! what is needed to build the target's standard library: see [`crate::debian`].

use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::{Context, Result, bail};
use wasmparser::{Parser, Payload};

use crate::{
    debian::Debian,
    needs::{self, Need},
    process,
    workspace::Workspace,
};

pub const TARGET: &str = "wasm32-wasip2";

/// Its own in Cargo.toml, and the name of the directory that cargo builds into.
const PROFILE: &str = "component";

/// A package that is a component.
struct Package {
    name: &'static str,
    /// What cargo names its result.
    file: &'static str,
}

const SERVER: Package = Package {
    name: "anonymous-domains",
    file: "anonymous_domains.wasm",
};

const STORE_CHECK: Package = Package {
    name: "anonymous-domains-store-check",
    file: "store_check.wasm",
};

/// One way to build a component.
struct Build {
    package: &'static Package,
    /// The name of the result, beside the others.
    file: &'static str,
    /// The name of its directory below the build directory, so that no build takes the place of
    /// another. Empty for plain cargo's own.
    directory: &'static str,
    /// Compiler flags in place of the ones in `.cargo/config.toml`.
    flags: Option<&'static [&'static str]>,
    /// Options of cargo.
    options: &'static [&'static str],
}

impl Build {
    /// The arguments of cargo, but for the build directory.
    fn arguments(&self) -> Vec<&'static str> {
        let always = [
            "build",
            "--profile",
            PROFILE,
            "--target",
            TARGET,
            "--locked",
        ];
        let package = ["--package", self.package.name];
        [&always[..], &package, self.options].concat()
    }
}

/// For any host with WASI 0.3.
const PORTABLE: Build = Build {
    package: &SERVER,
    file: SERVER.file,
    directory: "",
    flags: None,
    options: &[],
};

/// WebAssembly's 64 x 64 -> 128 bit multiplication, and 64-bit limbs, which need it.
const WIDE: Build = Build {
    package: &SERVER,
    file: "anonymous_domains.wide.wasm",
    directory: "wide",
    flags: Some(&[
        "-Ctarget-feature=+wide-arithmetic",
        "--cfg",
        "cpubits=\"64\"",
    ]),
    options: &[],
};

/// For hosts with WASI 0.2 only. spin.toml builds the same.
const P2: Build = Build {
    package: &SERVER,
    file: "anonymous_domains.p2.wasm",
    directory: "p2",
    flags: None,
    options: &["--no-default-features", "--features", "wasi-p2"],
};

/// The check of a host's store, for hosts with WASI 0.3.
const STORE_CHECK_P3: Build = Build {
    package: &STORE_CHECK,
    file: STORE_CHECK.file,
    ..PORTABLE
};

/// The same for hosts with WASI 0.2.
const STORE_CHECK_P2: Build = Build {
    package: &STORE_CHECK,
    file: "store_check.p2.wasm",
    ..P2
};

/// What the component may not outgrow, in bytes: it is loaded into memory by every host.
pub const SIZE_LIMIT: u64 = 1_925_000;

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

/// A build of the component.
pub struct Component {
    /// Its absolute path.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

impl Component {
    fn built(path: PathBuf) -> Result<Self> {
        let bytes = path
            .metadata()
            .with_context(|| format!("cargo built no {}", path.display()))?
            .len();
        Ok(Self { path, bytes })
    }
}

impl Component {
    /// The interfaces that it exports and imports, without those of WASI's own that every program
    /// has.
    ///
    /// # Errors
    /// If it is no component.
    pub fn interfaces(&self) -> Result<Interfaces> {
        let bytes = std::fs::read(&self.path)?;
        let mut interfaces = Interfaces::default();
        // Of the component itself: payloads of what is nested in it come between these two.
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(&bytes) {
            match payload? {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::ComponentImportSection(imports) if depth == 1 => {
                    for import in imports {
                        interfaces.imports.push(import?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 1 => {
                    for export in exports {
                        interfaces.exports.push(export?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(interfaces)
    }
}

/// Names of interfaces, such as `wasi:http/handler@0.3.0`.
#[derive(Debug, Default)]
pub struct Interfaces {
    /// What a host calls.
    pub exports: Vec<String>,
    /// What a host must have.
    pub imports: Vec<String>,
}

impl fmt::Display for Component {
    /// The path and the size, in kilobytes (1,000 bytes).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kilobytes = self.bytes.div_ceil(1000);
        write!(f, "{} ({kilobytes} kB)", self.path.display())
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

/// Builds the wide one alone, where its inputs changed: less work, for who serves with the gateway.
pub fn build_wide(workspace: &Workspace) -> Result<Component> {
    let way = Way::provide(workspace)?;
    install(workspace, &WIDE, &way.build(workspace, &WIDE)?)
}

/// Makes sure that it can be built here, or says what is missing, before longer work begins.
pub fn provide(workspace: &Workspace) -> Result<()> {
    Way::provide(workspace).map(drop)
}

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
enum Way {
    Rustup,
    Debian(Debian),
}

impl Way {
    /// Builds, and gives the result's path.
    fn build(&self, workspace: &Workspace, build: &Build) -> Result<PathBuf> {
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
    fn provide(workspace: &Workspace) -> Result<Self> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `spin build` makes what `cargo xtask component` makes, where the manifest looks for it.
    #[test]
    fn spins_manifests_build_the_same() {
        let manifests = [
            (&P2, include_str!("../../spin.toml")),
            (&PORTABLE, include_str!("../../spin-p3.toml")),
        ];
        for (build, manifest) in manifests {
            let value = |name: &str| {
                let start = format!("{name} = \"");
                let mut lines = manifest.lines();
                let line = lines.find_map(|line| line.strip_prefix(&start)).unwrap();
                line.strip_suffix('"').unwrap().to_owned()
            };
            let mut directory = "target".to_owned();
            let mut expected = build.arguments();
            if !build.directory.is_empty() {
                directory = format!("{directory}/{}", build.directory);
                expected.extend(["--target-dir", &directory]);
            }
            let command = value("command");
            let mut words: Vec<_> = command.split(' ').skip(1).collect();
            words.sort_unstable();
            expected.sort_unstable();
            assert_eq!(words, expected, "{command}");
            let file = format!("{directory}/{TARGET}/{PROFILE}/{}", build.package.file);
            assert_eq!(value("source"), file);
        }
    }
}
