//! `cargo xtask fuzz`: the targets of crates/fuzz under libFuzzer.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    needs::{self, Need},
    process,
    workspace::Workspace,
};

const PACKAGE: &str = "--package=anonymous-domains-fuzz";

/// How long each target runs where nothing else is said, in seconds.
const SECONDS: u64 = 60;

/// Which targets, and how long.
pub struct Options {
    /// Names of targets; all where there is none.
    pub targets: Vec<String>,
    /// So long each, in seconds.
    pub seconds: Option<u64>,
    /// So many executions each.
    pub runs: Option<u64>,
}

/// What libFuzzer says at the end of a run.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    executions: u64,
    /// Edges of the control flow that were reached.
    edges: u64,
    /// These, and how often, and what was compared there.
    features: u64,
}

/// Builds the targets with counters in this workspace's crates, and runs them one after the other.
/// Each goes on from the inputs that its former runs have kept in target/fuzz.
///
/// # Errors
/// When there is no compiler for libFuzzer, no such target, or a target does not hold: then with
/// the file that has the input.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    needs::provide(workspace, &Vec::from_iter(missing()))?;
    let root = &workspace.root;
    // Before, and not with counters: the compiler that adds them.
    process::run(process::cargo(root).args([
        "build",
        "--quiet",
        "--locked",
        PACKAGE,
        "--bin=fuzz-compiler",
        "--bin=fuzz-corpus",
    ]))?;
    let program = |name: &str| {
        let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        workspace.target.join("debug").join(file)
    };
    process::run(
        process::cargo(root)
            .args(["build", "--quiet", "--locked", PACKAGE])
            .args(["--bin=fuzz", "--features=libfuzzer"])
            .env("RUSTC_WORKSPACE_WRAPPER", program("fuzz-compiler")),
    )?;
    let listed = process::output(&mut Command::new(program("fuzz-corpus")))?;
    let names = listed.lines().filter_map(|line| line.split(' ').next());
    let all: Vec<&str> = names.collect();
    let chosen: Vec<&str> = match &options.targets[..] {
        [] => all.clone(),
        some => some.iter().map(String::as_str).collect(),
    };
    if let Some(unknown) = chosen.iter().find(|name| !all.contains(name)) {
        bail!(
            "there is no target {unknown}; the targets are {}",
            all.join(", ")
        );
    }
    let directory = workspace.target.join("fuzz");
    println!(
        "{:20} {:>12} {:>8} {:>9}",
        "target", "executions", "edges", "features"
    );
    let (mut failed, mut executions) = (Vec::new(), 0);
    for name in chosen {
        let corpus = directory.join(name);
        process::run(Command::new(program("fuzz-corpus")).arg(name).arg(&corpus))?;
        let (outcome, holds) = run_one(&program("fuzz"), name, &corpus, options)?;
        let Outcome {
            executions: runs,
            edges,
            features,
        } = outcome;
        let end = if holds { "" } else { "  does not hold" };
        println!("{name:20} {runs:12} {edges:8} {features:9}{end}");
        executions += runs;
        if !holds {
            failed.push(name);
        }
    }
    println!("{:20} {executions:12}", "all");
    if !failed.is_empty() {
        bail!(
            "{}: see the ends of {}, and run fuzz-corpus --run TARGET FILE",
            failed.join(", "),
            directory.join("*.log").display()
        );
    }
    Ok(())
}

/// Runs a target; what libFuzzer says goes into a file. Whether the target held.
fn run_one(fuzzer: &Path, name: &str, corpus: &Path, options: &Options) -> Result<(Outcome, bool)> {
    let log_path = log_of(corpus);
    let log = fs::File::create(&log_path)
        .with_context(|| format!("cannot write {}", log_path.display()))?;
    let mut command = Command::new(fuzzer);
    command
        .env("FUZZ_TARGET", name)
        .args(["-timeout=20", "-rss_limit_mb=4096", "-max_len=8192"])
        .args(["-print_final_stats=1", "-verbosity=1"])
        .arg(format!("-artifact_prefix={}-", corpus.display()));
    match options.runs {
        Some(runs) => command.arg(format!("-runs={runs}")),
        None => &mut command,
    };
    if options.runs.is_none() || options.seconds.is_some() {
        let seconds = options.seconds.unwrap_or(SECONDS);
        command.arg(format!("-max_total_time={seconds}"));
    }
    let status = command
        .arg(corpus)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .status()
        .with_context(|| format!("cannot run {}", fuzzer.display()))?;
    let text = fs::read(&log_path)?;
    Ok((outcome(&String::from_utf8_lossy(&text)), status.success()))
}

fn log_of(corpus: &Path) -> PathBuf {
    corpus.with_extension("log")
}

/// Takes the numbers of the last line of libFuzzer's that has each.
fn outcome(log: &str) -> Outcome {
    let mut outcome = Outcome::default();
    for line in log.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |name: &str| {
            let at = words.iter().position(|word| *word == name)?;
            words.get(at + 1)?.parse::<u64>().ok()
        };
        if line.starts_with('#') {
            let executions = words[0][1..].parse().unwrap_or_default();
            outcome.executions = outcome.executions.max(executions);
            outcome.edges = after("cov:").unwrap_or(outcome.edges);
            outcome.features = after("ft:").unwrap_or(outcome.features);
        }
        if let Some(executions) = after("stat::number_of_executed_units:") {
            outcome.executions = executions;
        }
    }
    outcome
}

/// libFuzzer is C++, and compiled with the first build.
fn missing() -> Option<Need> {
    let compilers = ["c++", "g++", "clang++"];
    let is_there = compilers.iter().any(|name| process::is_installed(name));
    (!is_there).then(|| Need {
        what: "a C++ compiler, for libFuzzer".to_owned(),
        packages: vec!["g++"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_numbers_of_a_log_count() {
        let log = "INFO: Seed: 1\n#2\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 30Mb\n\
            #1024\tNEW    cov: 12 ft: 20 corp: 2/2b lim: 4 exec/s: 0 rss: 30Mb L: 1/1 MS: 1 A-\n\
            #5000\tDONE   cov: 12 ft: 21 corp: 2/2b lim: 4 exec/s: 0 rss: 30Mb\n\
            Done 5000 runs in 1 second(s)\nstat::number_of_executed_units: 5000\n";
        let expected = Outcome {
            executions: 5000,
            edges: 12,
            features: 21,
        };
        assert_eq!(outcome(log), expected);
        assert_eq!(outcome(""), Outcome::default());
    }
}
