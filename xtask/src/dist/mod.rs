//! `cargo xtask dist`: what is released, in `target/dist`.
//!
//! The programs are those that the tests run and the benchmarks measure, stripped: wasmtime is not
//! compiled once more for them. All else follows from the sources and the time of the last commit,
//! so that a second build has the same bytes.

mod bill_of_materials;
mod console;
mod debian_package;
mod dependencies;
mod entry;
mod licences;
mod programs;
mod release;
mod trial;
mod twice;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::{
    bill_of_materials::sha256,
    entry::{Entries, Entry, gz, tar_gz},
    programs::Program,
    release::Release,
};
use crate::{
    component::{self, Components},
    native, needs, process,
    workspace::Workspace,
};

/// What to do with what was made.
#[derive(Clone, Copy)]
pub struct Options {
    /// Build it again elsewhere, and compare.
    pub check: bool,
    /// Install the package on a new Debian, and let a device join.
    pub trial: bool,
}

/// Makes everything, and names it.
pub fn run(workspace: &Workspace, options: Options) -> Result<()> {
    let mut missing = Vec::from_iter(programs::missing());
    if options.trial {
        missing.extend(trial::missing());
    }
    needs::provide(workspace, &missing)?;
    let directory = workspace.target.join("dist");
    let release = Release::of(workspace)?;
    let package = make(workspace, &release, &directory)?;
    if options.check {
        twice::compare(workspace, &release, &directory)?;
    }
    if options.trial {
        trial::run(workspace, &package)?;
    }
    Ok(())
}

/// Fills `directory`, and gives the path of the Debian package.
fn make(workspace: &Workspace, release: &Release, directory: &Path) -> Result<PathBuf> {
    let components = component::build(workspace)?;
    let built = native::build(workspace)?;
    let scratch = workspace.target.join("dist-scratch");
    clear(&scratch)?;
    clear(directory)?;
    let programs = programs::stripped(&built, &scratch)?;
    let components = named(&components)?;
    let dependencies = dependencies::shipped(release)?;
    let own = std::fs::read_to_string(workspace.root.join("LICENSE"))?;
    let licences = licences::texts(&own, &dependencies, &release.root)?;
    let rust = rust_version(&workspace.root)?;
    let materials = {
        let components = components
            .iter()
            .map(|(name, data)| (name.as_str(), &data[..]));
        let programs = programs
            .iter()
            .map(|program| (program.name, &program.data[..]));
        let files: Vec<_> = programs.chain(components).collect();
        bill_of_materials::document(release, &dependencies, &files, &rust)?
    };
    let glibc = programs::glibc(&programs)?;

    let mut tree = programs::manual(&programs, &scratch)?;
    tree.extend(code(programs, components));
    tree.extend(deployment(&release.root)?);
    tree.extend(documents(&release.root, &licences, &materials)?);

    let name = format!(
        "{}-{}-{}-{}",
        debian_package::NAME,
        release.version,
        std::env::consts::ARCH,
        std::env::consts::OS
    );
    let tarball = tar_gz(&tree, &format!("{name}/"), release.time)?;
    let package = debian_package::package(&tree, release, &glibc)?;
    let package_name = debian_package::file_name(release);
    let mut files = vec![
        (format!("{name}.tar.gz"), tarball),
        (package_name.clone(), package),
        (format!("{name}.cdx.json"), materials.into_bytes()),
        (format!("{name}-licences.txt"), licences.into_bytes()),
    ];
    let sums: String = files
        .iter()
        .map(|(name, data)| format!("{}  {name}\n", sha256(data)))
        .collect();
    files.push(("SHA256SUMS".to_owned(), sums.into_bytes()));
    for (name, data) in files {
        let path = directory.join(name);
        println!("{} ({} kB)", path.display(), data.len().div_ceil(1000));
        std::fs::write(path, data)?;
    }
    Ok(directory.join(package_name))
}

/// Makes `directory` an empty one.
fn clear(directory: &Path) -> Result<()> {
    if directory.exists() {
        std::fs::remove_dir_all(directory)?;
    }
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))
}

fn named(components: &Components) -> Result<Vec<(String, Vec<u8>)>> {
    components
        .each()
        .into_iter()
        .map(|component| {
            let name = component.path.file_name().unwrap_or_default();
            let data = std::fs::read(&component.path)?;
            Ok((name.to_string_lossy().into_owned(), data))
        })
        .collect()
}

fn rust_version(root: &Path) -> Result<String> {
    let mut rustc = std::process::Command::new("rustc");
    process::forget_outer_cargo(&mut rustc);
    let text = process::output(rustc.current_dir(root).arg("--version"))?;
    let version = text.split(' ').nth(1);
    Ok(version.context("rustc names no version")?.to_owned())
}

/// The programs, and the components beside the gateway, which looks for them there.
fn code(programs: Vec<Program>, components: Vec<(String, Vec<u8>)>) -> Entries {
    let mut entries = Entries::new();
    for Program { name, data, .. } in programs {
        let program = Entry::Program(data);
        if name == "gateway" {
            entries.insert("lib/anonymous-domains/gateway".to_owned(), program);
            let link = Entry::Link("../lib/anonymous-domains/gateway".to_owned());
            entries.insert("bin/gateway".to_owned(), link);
        } else {
            entries.insert(format!("bin/{name}"), program);
        }
    }
    for (name, data) in components {
        entries.insert(format!("lib/anonymous-domains/{name}"), Entry::File(data));
    }
    entries
}

/// Files of `deploy/`: what systemd uses where it looks, and the rest as examples.
fn deployment(root: &Path) -> Result<Entries> {
    let deploy = root.join("deploy");
    let mut entries = Entries::new();
    for (from, to) in [
        (
            "systemd/anonymous-domains-gateway.service",
            "lib/systemd/system/anonymous-domains-gateway.service",
        ),
        (
            "systemd/anonymous-domains.sysusers",
            "lib/sysusers.d/anonymous-domains.conf",
        ),
        ("systemd/gateway.env", "etc/anonymous-domains/gateway.env"),
        (
            "systemd/settings.toml",
            "etc/anonymous-domains/settings.toml",
        ),
        (
            "nginx/anonymous-domains.conf",
            "share/doc/anonymous-domains/examples/nginx.conf",
        ),
        (
            "nginx/cells.conf",
            "share/doc/anonymous-domains/examples/nginx-cells.conf",
        ),
        (
            "caddy/Caddyfile",
            "share/doc/anonymous-domains/examples/Caddyfile",
        ),
        (
            "prometheus/alerts.yaml",
            "share/doc/anonymous-domains/examples/prometheus-alerts.yaml",
        ),
        (
            "grafana/dashboard.json",
            "share/doc/anonymous-domains/examples/grafana-dashboard.json",
        ),
    ] {
        let data = std::fs::read(deploy.join(from)).with_context(|| format!("no {from}"))?;
        entries.insert(to.to_owned(), Entry::File(data));
    }
    let secrets = "etc/anonymous-domains/secrets".to_owned();
    entries.insert(secrets, Entry::PrivateDirectory);
    Ok(entries)
}

/// Licences, changes and the bill of materials, where Debian has such.
fn documents(root: &Path, licences: &str, materials: &str) -> Result<Entries> {
    let changes = std::fs::read(root.join("CHANGELOG.md"))?;
    let files = [
        (
            "copyright",
            std::fs::read(root.join("deploy/debian/copyright"))?,
        ),
        ("CHANGELOG.md.gz", gz(&changes)?),
        ("third-party-licences.txt.gz", gz(licences.as_bytes())?),
        ("sbom.cdx.json.gz", gz(materials.as_bytes())?),
    ];
    let path = |name| format!("share/doc/anonymous-domains/{name}");
    Ok(files
        .into_iter()
        .map(|(name, data)| (path(name), Entry::File(data)))
        .collect())
}
