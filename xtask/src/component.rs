//! The one place that builds the component for wasm32-wasip2: once for any host, once for those
//! with wide arithmetic.
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

use anyhow::{Context, Result, anyhow};

use crate::{
    debian::Debian,
    needs::{self, Need},
    process,
    workspace::Workspace,
};

pub const TARGET: &str = "wasm32-wasip2";

/// Its own in Cargo.toml, and the name of the directory that cargo builds into.
const PROFILE: &str = "component";

const FILE: &str = "anonymous_domains.wasm";
const WIDE_FILE: &str = "anonymous_domains.wide.wasm";

/// Flags of the wide build, in place of the portable one's in `.cargo/config.toml`: WebAssembly's
/// 64 x 64 -> 128 bit multiplication, and 64-bit limbs, which need it.
const WIDE_FLAGS: [&str; 3] = [
    "-Ctarget-feature=+wide-arithmetic",
    "--cfg",
    "cpubits=\"64\"",
];

/// What the component may not outgrow, in bytes: it is loaded into memory by every host.
pub const SIZE_LIMIT: u64 = 1_925_000;

/// The builds of the component, side by side in one directory.
pub struct Components {
    /// For any host; where plain cargo puts it, which is where spin.toml looks.
    pub portable: Component,
    /// For hosts with WebAssembly's wide arithmetic, as the gateway is one.
    pub wide: Component,
}

impl Components {
    /// The directory that holds both.
    pub fn directory(&self) -> &Path {
        self.portable
            .path
            .parent()
            .expect("an absolute path of a file has a directory")
    }

    /// Both, the portable one first.
    pub fn each(&self) -> [&Component; 2] {
        [&self.portable, &self.wide]
    }
}

/// One build of the component.
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

impl fmt::Display for Component {
    /// The path and the size, in kilobytes (1,000 bytes).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kilobytes = self.bytes.div_ceil(1000);
        write!(f, "{} ({kilobytes} kB)", self.path.display())
    }
}

/// Builds both where their inputs changed.
///
/// At the same time: each ends with a long step that keeps one core busy.
pub fn build(workspace: &Workspace) -> Result<Components> {
    let way = Way::provide(workspace)?;
    let directory = workspace.target.join(TARGET).join(PROFILE);
    let (portable, wide) = (directory.join(FILE), directory.join(WIDE_FILE));
    let (built, built_wide) = std::thread::scope(|scope| {
        let built_wide = scope.spawn(|| way.build(workspace, Some(&WIDE_FLAGS)));
        (way.build(workspace, None), built_wide.join())
    });
    let built_wide = built_wide.map_err(|_| anyhow!("the wide build panicked"))??;
    install(&built?, &portable)?;
    install_last(&built_wide, &wide)?;
    Ok(Components {
        portable: Component::built(portable)?,
        wide: Component::built(wide)?,
    })
}

/// Builds the wide one alone, where its inputs changed: half the work, for who serves with the
/// gateway.
pub fn build_wide(workspace: &Workspace) -> Result<Component> {
    let way = Way::provide(workspace)?;
    let wide = workspace.target.join(TARGET).join(PROFILE).join(WIDE_FILE);
    install_last(&way.build(workspace, Some(&WIDE_FLAGS))?, &wide)?;
    Component::built(wide)
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
    /// Builds with the project's flags, or with these instead, and gives the result's path.
    ///
    /// Builds that differ in compiler or flags have directories of their own: in one, each would
    /// take the other's place.
    fn build(&self, workspace: &Workspace, flags: Option<&[&str]>) -> Result<PathBuf> {
        let (mut command, mut directory) = match self {
            Self::Rustup => (component_cargo("cargo", &workspace.root), String::new()),
            Self::Debian(debian) => {
                let mut command = component_cargo(Debian::CARGO, &workspace.root);
                debian.configure(&mut command)?;
                (command, "debian".to_owned())
            }
        };
        if let Some(flags) = flags {
            directory = match directory.as_str() {
                "" => "wide".to_owned(),
                debian => format!("{debian}-wide"),
            };
            let own = match self {
                Self::Rustup => None,
                Self::Debian(_) => Some(Debian::flag()),
            };
            let all: Vec<&str> = flags.iter().copied().chain(own.as_deref()).collect();
            // Takes the place of those in `.cargo/config.toml`, where others add to them.
            command.env("CARGO_ENCODED_RUSTFLAGS", all.join("\x1f"));
        }
        let target = workspace.target.join(directory);
        command.arg("--target-dir").arg(&target);
        process::run(&mut command)?;
        Ok(target.join(TARGET).join(PROFILE).join(FILE))
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
    command.args([
        "build",
        "--profile",
        PROFILE,
        "--locked",
        "--target",
        TARGET,
    ]);
    command.args(["--package", "anonymous-domains"]);
    command
}

/// Copies `from` to `to` if it differs.
///
/// By way of a temporary name: cargo's own `to` is a hard link to a file that it keeps, which
/// writing in place would change, too; and a gateway that starts now never reads half a component.
fn install(from: &Path, to: &Path) -> Result<()> {
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
    let new = directory.join(format!(".{FILE}.{}", std::process::id()));
    std::fs::write(&new, built)?;
    std::fs::rename(&new, to).with_context(|| format!("cannot write {}", to.display()))
}

/// [`install`], and dates `to` now: the gateway takes a wide build that is older than the portable
/// one for a leftover.
fn install_last(from: &Path, to: &Path) -> Result<()> {
    install(from, to)?;
    let file = File::options().write(true).open(to)?;
    Ok(file.set_modified(SystemTime::now())?)
}
