//! The same bytes from another directory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{clear, release::Release};
use crate::{process, workspace::Workspace};

/// Builds once more in a copy of the sources in the temporary directory, and compares all files.
///
/// Not below the workspace, whose `.cargo/config.toml` would add to the copy's.
///
/// The copy begins with hard links to what was compiled of other projects, whose sources are in the
/// same place for both; what is the project's own is compiled anew.
///
/// # Errors
/// If a file differs: with its name.
pub fn compare(workspace: &Workspace, release: &Release, first: &Path) -> Result<()> {
    let name = format!("anonymous-domains-{}", std::process::id());
    let copy = std::env::temp_dir().join(name);
    clear(&copy)?;
    let list = process::output(Command::new("git").current_dir(&workspace.root).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    for file in list.lines() {
        let from = workspace.root.join(file);
        if !from.is_file() {
            continue;
        }
        let to = copy.join(file);
        fs::create_dir_all(to.parent().unwrap_or(&copy))?;
        fs::copy(&from, to).with_context(|| format!("cannot copy {file}"))?;
    }
    let target = copy.join("target");
    fs::create_dir(&target)?;
    for entry in fs::read_dir(&workspace.target)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_built = [
            "component",
            "debug",
            "wasm32-wasip2",
            "wide",
            "p2",
            "debian",
        ]
        .iter()
        .any(|start| name.starts_with(start));
        if is_built && entry.path().is_dir() {
            let copied = |how: &str| {
                let mut copy = Command::new("cp");
                copy.args(["--archive", how]).arg(entry.path());
                process::run(copy.arg(&target))
            };
            // Links need the same file system.
            copied("--link").or_else(|_| copied("--reflink=auto"))?;
        }
    }
    // As a link it would be one lock for both.
    let mut unlock = Command::new("find");
    process::run(
        unlock
            .arg(&target)
            .args(["-name", ".cargo-lock", "-delete"]),
    )?;
    let mut clean = process::cargo(&copy);
    clean.args(["clean", "--quiet", "--workspace", "--locked"]);
    process::run(clean.env("CARGO_TARGET_DIR", &target))?;

    let mut again = process::cargo(&copy);
    again.args(["xtask", "dist"]);
    again.env("CARGO_TARGET_DIR", &target);
    again.env("SOURCE_DATE_EPOCH", release.time.to_string());
    process::run(&mut again)?;
    let (one, two) = (files(first)?, files(&target.join("dist"))?);
    let names: BTreeSet<_> = one.keys().chain(two.keys()).cloned().collect();
    let differing: Vec<_> = names
        .into_iter()
        .filter(|name| one.get(name) != two.get(name))
        .collect();
    if !differing.is_empty() {
        bail!(
            "a second build differs in {}: compare {} and {}",
            differing.join(", "),
            first.display(),
            target.join("dist").display()
        );
    }
    println!("a second build, in another directory, has the same bytes");
    fs::remove_dir_all(&copy)?;
    Ok(())
}

fn files(directory: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    fs::read_dir(directory)?
        .map(|entry| {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Ok((name, fs::read(entry.path())?))
        })
        .collect()
}
