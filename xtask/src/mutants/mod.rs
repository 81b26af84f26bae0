//! `cargo xtask mutants`: are the simulation's rules sharp enough to notice a server that is wrong?
//!
//! A mutant is a patch in crates/simulation/mutants that breaks one guarantee. Each is applied to a
//! copy of the sources, and the simulation must say which guarantee does not hold.

mod mutant;
mod record;
mod tree;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use mutant::{Change, Mutant};
use record::Record;
use tree::Tree;

use crate::{process, workspace::Workspace};

const DIRECTORY: &str = "crates/simulation/mutants";
const RECORD: &str = "crates/simulation/mutants/caught.txt";

/// Runs the mutants with these names, or all without a name, and records those that are caught.
///
/// # Errors
/// When one is not caught, or its patch no longer applies.
pub fn run(workspace: &Workspace, names: &[String]) -> Result<()> {
    let root = &workspace.root;
    let all = applied(root)?;
    let known: BTreeSet<&str> = all.iter().map(Applied::name).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name.as_str())) {
        bail!("there is no {DIRECTORY}/{unknown}.patch");
    }
    let chosen: Vec<&Applied> = all
        .iter()
        .filter(|applied| names.is_empty() || names.iter().any(|name| name == applied.name()))
        .collect();
    let path = root.join(RECORD);
    let mut record = Record::read(&path)?;
    record.keep(&known);
    // Written after each: all of them take a while, and may be interrupted.
    try_all(workspace, &chosen, |applied, is_caught| {
        if is_caught {
            record.set(applied.name(), &applied.digest);
        } else {
            record.forget(applied.name());
        }
        record.write(&path)
    })
}

/// What `cargo xtask test` asks of the mutants: every patch applies, and those that changed since
/// they were recorded, or whose files did, are caught.
///
/// # Errors
/// When one is not caught, or its patch no longer applies.
pub fn check(workspace: &Workspace) -> Result<()> {
    let all = applied(&workspace.root)?;
    let record = Record::read(&workspace.root.join(RECORD))?;
    let stale: Vec<&Applied> = all
        .iter()
        .filter(|applied| record.get(applied.name()) != Some(&applied.digest))
        .collect();
    println!(
        "{} patches apply; {} of them were caught with the sources as they are ({RECORD})",
        all.len(),
        all.len() - stale.len()
    );
    if stale.is_empty() {
        return Ok(());
    }
    println!(
        "Running the other {}. To save this time next time: run `cargo xtask mutants`, and commit \
         the record.",
        stale.len()
    );
    try_all(workspace, &stale, |_, _| Ok(()))
}

/// A mutant, and what it makes of the sources as they are.
struct Applied {
    mutant: Mutant,
    changes: Vec<Change>,
    digest: String,
}

impl Applied {
    fn name(&self) -> &str {
        &self.mutant.name
    }
}

/// All mutants by name, applied in memory.
fn applied(root: &Path) -> Result<Vec<Applied>> {
    let directory = root.join(DIRECTORY);
    let mut applied = Vec::new();
    let mut broken = Vec::new();
    for path in patches(&directory)? {
        let mutant = Mutant::read(&path)?;
        match mutant.apply(|file| Ok(std::fs::read_to_string(root.join(file))?)) {
            Ok(changes) => applied.push(Applied {
                digest: mutant.digest(&changes),
                changes,
                mutant,
            }),
            Err(error) => broken.push(format!("{}: {error:#}", mutant.name)),
        }
    }
    if !broken.is_empty() {
        bail!(
            "patches in {DIRECTORY} no longer apply: make each again, so that it breaks the same \
             guarantee in the code as it is now\n{}",
            broken.join("\n")
        );
    }
    if applied.is_empty() {
        bail!("there are no patches in {DIRECTORY}");
    }
    Ok(applied)
}

/// The patches' paths, sorted.
fn patches(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    let entries = std::fs::read_dir(directory)
        .with_context(|| format!("cannot read {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "patch")
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Prints a line for each, and tells `note` whether it was caught.
///
/// # Errors
/// At the end, when one was not caught.
fn try_all(
    workspace: &Workspace,
    chosen: &[&Applied],
    mut note: impl FnMut(&Applied, bool) -> Result<()>,
) -> Result<()> {
    let directory = workspace.target.join("mutants");
    let tree = Tree::new(&workspace.root, directory.join("tree"));
    let target = directory.join("target");
    let mut missed = Vec::new();
    for applied in chosen {
        tree.lay(&applied.changes)?;
        let name = applied.name();
        let guarantee = applied.mutant.guarantee;
        match try_one(&tree, &target, &applied.mutant)? {
            Outcome::Caught(time) => {
                let seconds = time.as_secs_f64();
                println!("{name}: caught by guarantee {guarantee} after {seconds:.1} s");
                note(applied, true)?;
            }
            Outcome::Missed(why) => {
                println!("{name}: NOT CAUGHT: {why}");
                note(applied, false)?;
                missed.push(name);
            }
        }
    }
    if missed.is_empty() {
        println!("all {} caught", chosen.len());
        return Ok(());
    }
    bail!(
        "{} of {} mutants were not caught: {}",
        missed.len(),
        chosen.len(),
        missed.join(", ")
    )
}

enum Outcome {
    /// How long the simulation ran, without building it.
    Caught(Duration),
    /// What happened instead.
    Missed(String),
}

fn try_one(tree: &Tree, target: &Path, mutant: &Mutant) -> Result<Outcome> {
    let mut build = process::cargo(tree.directory());
    build
        .args(["build", "--quiet", "--locked", "--bin=simulate"])
        .arg("--package=anonymous-domains-simulation")
        .arg("--target-dir")
        .arg(target);
    // Its warnings are of no interest: a mutant leaves code unused.
    let built = build.output().context("cannot run cargo")?;
    if !built.status.success() {
        let said = String::from_utf8_lossy(&built.stderr);
        return Ok(Outcome::Missed(format!("it does not build\n{said}")));
    }
    let program = format!("simulate{}", std::env::consts::EXE_SUFFIX);
    let program = target.join("debug").join(program);
    let started = Instant::now();
    for arguments in mutant.runs() {
        let mut simulate = Command::new(&program);
        simulate.args(&arguments);
        let ran = simulate.output().context("cannot run the simulation")?;
        let printed = String::from_utf8_lossy(&ran.stdout);
        if !is_caught(mutant.guarantee, ran.status, &printed) {
            return Ok(Outcome::Missed(format!(
                "`{}` ended with {}: {}",
                process::shown(&simulate),
                ran.status,
                violation(&printed).unwrap_or("it found nothing violated")
            )));
        }
    }
    Ok(Outcome::Caught(started.elapsed()))
}

/// Whether the simulation ended with 1, and named the guarantee.
fn is_caught(guarantee: u8, status: ExitStatus, printed: &str) -> bool {
    let wanted = format!("VIOLATED {guarantee}: ");
    status.code() == Some(1) && violation(printed).is_some_and(|line| line.starts_with(&wanted))
}

/// The line that says what does not hold.
fn violation(printed: &str) -> Option<&str> {
    printed.lines().rfind(|line| line.starts_with("VIOLATED "))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn only_the_named_guarantee_counts_and_only_with_exit_1() {
        let ended_with = |code: i32| ExitStatus::from_raw(code << 8);
        let printed = "seed 5\nVIOLATED 3: version 2 names two keys\nreplay with ...";
        assert!(is_caught(3, ended_with(1), printed));
        assert!(!is_caught(1, ended_with(1), printed));
        assert!(!is_caught(33, ended_with(1), printed));
        assert!(!is_caught(3, ended_with(0), printed));
        assert!(!is_caught(3, ended_with(101), printed));
        assert!(!is_caught(3, ended_with(1), "held"));
    }

    /// What `check` would say of this checkout, without running anything.
    #[test]
    fn every_patch_applies_to_the_sources_as_they_are() {
        let xtask = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
        let root = Path::new(&xtask).parent().unwrap();
        assert!(!applied(root).unwrap().is_empty());
    }
}
