//! Which packages are in what is shipped, and what cargo knows of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::release::Release;
use crate::{component, process};

/// What is shipped, by the kind of its code.
pub const KINDS: [&str; 2] = ["native", "component"];

/// A package that is in something shipped.
#[derive(Debug)]
pub struct Dependency {
    pub name: String,
    pub version: String,
    /// An SPDX expression.
    pub license: String,
    pub repository: Option<String>,
    /// SHA-256 of its archive in the registry; none for the project's own.
    pub checksum: Option<String>,
    /// Where its sources are.
    pub directory: PathBuf,
    /// Which of [`KINDS`] it is in.
    pub kinds: BTreeSet<&'static str>,
    /// The packages that it uses, of those that are shipped: indices.
    pub uses: Vec<usize>,
}

impl Dependency {
    /// Whether it is the project's own.
    pub fn is_ours(&self) -> bool {
        self.checksum.is_none()
    }

    /// Its package URL, which names it everywhere.
    pub fn purl(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version)
    }
}

/// The packages that are in the native programs and in the components, by name and version. Those
/// that only build (macros, build scripts) are not.
///
/// # Errors
/// If cargo does not say, or a package has no licence.
pub fn shipped(release: &Release) -> Result<Vec<Dependency>> {
    let host = host(&release.root)?;
    let native = [
        "--package=anonymous-domains-gateway",
        "--package=anonymous-domains-device",
        "--package=anonymous-domains-domainctl",
        "--target",
        &host,
    ];
    let p3 = ["--package=anonymous-domains", "--target", component::TARGET];
    let p2 = [&p3[..], &["--no-default-features", "--features=wasi-p2"]].concat();
    let mut kinds: BTreeMap<(String, String), BTreeSet<&'static str>> = BTreeMap::new();
    let [native_kind, component_kind] = KINDS;
    for (kind, what) in [
        (native_kind, &native[..]),
        (component_kind, &p3),
        (component_kind, &p2),
    ] {
        for package in tree(&release.root, what)? {
            kinds.entry(package).or_default().insert(kind);
        }
    }
    let checksums = checksums(&std::fs::read_to_string(release.root.join("Cargo.lock"))?);
    let mut ids = Vec::new();
    let mut found = Vec::new();
    for package in list(&release.metadata["packages"]) {
        let text = |name: &str| package[name].as_str().map(str::to_owned);
        let (Some(name), Some(version)) = (text("name"), text("version")) else {
            continue;
        };
        let key = (name, version);
        let Some(kinds) = kinds.remove(&key) else {
            continue;
        };
        let manifest = text("manifest_path").context("a package has no manifest")?;
        let checksum = checksums.get(&key).cloned();
        let (name, version) = key;
        let license = text("license").with_context(|| format!("{name} names no licence"))?;
        ids.push(text("id").context("a package has no id")?);
        found.push(Dependency {
            // Cargo's old form of "or".
            license: license.replace(" / ", " OR ").replace('/', " OR "),
            repository: text("repository"),
            checksum,
            directory: Path::new(&manifest).with_file_name(""),
            kinds,
            uses: Vec::new(),
            name,
            version,
        });
    }
    if let Some((name, version)) = kinds.into_keys().next() {
        bail!("cargo metadata does not know {name} {version}");
    }
    let index: BTreeMap<&str, usize> = ids
        .iter()
        .enumerate()
        .map(|(index, id)| (id.as_str(), index))
        .collect();
    for node in list(&release.metadata["resolve"]["nodes"]) {
        let Some(&at) = node["id"].as_str().and_then(|id| index.get(id)) else {
            continue;
        };
        let used = list(&node["dependencies"]).filter_map(|id| index.get(id.as_str()?).copied());
        found[at].uses = used.collect();
    }
    Ok(found)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The compiler's name of this machine.
fn host(root: &Path) -> Result<String> {
    let mut rustc = std::process::Command::new("rustc");
    process::forget_outer_cargo(&mut rustc);
    let text = process::output(rustc.current_dir(root).arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

/// Names and versions of what cargo links into something.
fn tree(root: &Path, what: &[&str]) -> Result<BTreeSet<(String, String)>> {
    let text = process::output(
        process::cargo(root)
            .args([
                "tree",
                "--quiet",
                "--locked",
                "--edges=normal,no-proc-macro",
            ])
            .args(["--prefix=none", "--format={p}"])
            .args(what),
    )?;
    Ok(packages(&text))
}

/// The packages of lines like `bytes v1.12.0 (*)`.
fn packages(text: &str) -> BTreeSet<(String, String)> {
    text.lines()
        .filter_map(|line| {
            let (name, rest) = line.split_once(" v")?;
            let version = rest.split(' ').next()?;
            Some((name.to_owned(), version.to_owned()))
        })
        .collect()
}

/// The checksums of a lock file's packages, by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let value = |package: &str, name: &str| {
        let start = format!("{name} = \"");
        let mut lines = package.lines();
        let line = lines.find_map(|line| line.strip_prefix(&start))?;
        Some(line.strip_suffix('"')?.to_owned())
    };
    lock.split("[[package]]")
        .filter_map(|package| {
            let key = (value(package, "name")?, value(package, "version")?);
            Some((key, value(package, "checksum")?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_from_what_cargo_prints() {
        let text = "a v1.0.0 (/some/where)\nb v2.0.0+zstd.1\n\nb v2.0.0+zstd.1 (*)";
        let expected = [("a", "1.0.0"), ("b", "2.0.0+zstd.1")];
        let expected = expected.map(|(name, version)| (name.to_owned(), version.to_owned()));
        assert_eq!(packages(text), expected.into());
    }

    #[test]
    fn checksums_are_those_of_the_lock_file() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1\"\n\
                    checksum = \"00ff\"\n\n[[package]]\nname = \"ours\"\nversion = \"2\"\n";
        let found = checksums(lock);
        assert_eq!(found.len(), 1);
        assert_eq!(found[&("a".to_owned(), "1".to_owned())], "00ff");
    }
}
