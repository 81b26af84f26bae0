//! `cargo xtask bench`: measures the server, and writes the figures into docs/benchmarks.md.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use crate::{component, debian, native, process};

/// What the server is compared to, and the Debian packages with it.
const PEERS: [(&str, &str); 2] = [("cfssl", "golang-cfssl"), ("openssl", "openssl")];

/// Builds the bench and what it measures, and becomes the bench.
pub fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    let components = component::build(workspace)?;
    let programs = native::build_bench(workspace)?;
    provide_peers()?;
    let mut bench = Command::new(programs.bench);
    bench
        .arg("report")
        .arg("--gateway")
        .arg(programs.gateway)
        .arg("--components")
        .arg(components.directory())
        .arg("--manifest")
        .arg(workspace.root.join("spin.toml"))
        .arg("--counts")
        .arg(workspace.root.join("crates/bench/instructions.tsv"))
        .arg("--write")
        .arg(workspace.root.join("docs/benchmarks.md"))
        .args(arguments);
    process::become_program(&mut bench)
}

/// Makes sure that the programs to compare with are there; on a Debian, as root, by installing
/// them.
fn provide_peers() -> Result<()> {
    let missing: Vec<_> = PEERS
        .into_iter()
        .filter(|(program, _)| !process::is_installed(program))
        .map(|(_, package)| package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if debian::can_install() {
        eprintln!(
            "Installing what the server is compared to: {}.",
            missing.join(", ")
        );
        return debian::install(&missing);
    }
    bail!(
        "the bench needs, on Debian: apt-get install --no-install-recommends {}",
        missing.join(" ")
    )
}
