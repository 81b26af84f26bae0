//! `cargo xtask bench`: measures the server, and writes the figures into docs/benchmarks.md.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{
    component, native,
    needs::{self, Need},
    process,
    workspace::Workspace,
};

/// What the server is compared to, and the Debian packages with it.
const PEERS: [(&str, &str); 2] = [("cfssl", "golang-cfssl"), ("openssl", "openssl")];

/// Builds the bench and what it measures, and becomes the bench.
pub fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    let missing: Vec<_> = PEERS
        .into_iter()
        .filter(|(program, _)| !process::is_installed(program))
        .map(|(program, package)| Need {
            what: format!("{program}, which the server is compared to"),
            packages: vec![package],
        })
        .collect();
    needs::provide(workspace, &missing)?;
    let components = component::build(workspace)?;
    let programs = native::build_bench(workspace)?;
    let mut bench = Command::new(programs.bench);
    bench
        .arg("report")
        .arg("--gateway")
        .arg(programs.gateway)
        .arg("--components")
        .arg(components.directory())
        .arg("--manifests")
        .arg(&workspace.root)
        .arg("--counts")
        .arg(workspace.root.join("crates/bench/instructions.tsv"))
        .arg("--write")
        .arg(workspace.root.join("docs/benchmarks.md"))
        .args(arguments);
    process::become_program(&mut bench)
}
