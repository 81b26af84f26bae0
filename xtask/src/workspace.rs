//! Where the sources are, and where cargo puts what it builds.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process;

/// What every task needs to know: two directories, both absolute, and what it may do.
pub struct Workspace {
    /// The repository's root, which is the component's package.
    pub root: PathBuf,
    /// Cargo's target directory, wherever the environment or a configuration file moves it.
    pub target: PathBuf,
    /// The URL of the repository's pages, if Cargo.toml says where it is.
    pub repository: Option<String>,
    /// Whether packages of the system may be installed: `--install`.
    pub may_install: bool,
}

impl Workspace {
    /// Asks cargo for the target directory and the repository's URL.
    pub fn find(may_install: bool) -> Result<Self> {
        // Not the path that was compiled in: checkouts that share a target directory share xtask.
        let package = std::env::var_os("CARGO_MANIFEST_DIR")
            .context("xtask is to be run by cargo: `cargo xtask`")?;
        let root = Path::new(&package)
            .parent()
            .context("xtask/ has no parent directory")?
            .to_path_buf();
        let metadata = metadata(&root)?;
        let target = metadata["target_directory"]
            .as_str()
            .context("cargo metadata named no target directory")?
            .into();
        Ok(Self {
            root,
            target,
            repository: repository(&metadata),
            may_install,
        })
    }
}

/// The URL of the repository's pages, if a package says where it is.
fn repository(metadata: &serde_json::Value) -> Option<String> {
    let packages = metadata["packages"].as_array();
    let of = |package: &serde_json::Value| {
        let url = package["repository"].as_str()?;
        Some(
            url.trim_end_matches('/')
                .trim_end_matches(".git")
                .to_owned(),
        )
    };
    packages.into_iter().flatten().find_map(of)
}

/// What cargo says of the workspace's own packages.
fn metadata(root: &Path) -> Result<serde_json::Value> {
    let metadata = process::output(process::cargo(root).args([
        "metadata",
        "--no-deps",
        "--format-version=1",
        "--offline",
    ]))?;
    serde_json::from_str(&metadata).context("cargo metadata printed something odd")
}
