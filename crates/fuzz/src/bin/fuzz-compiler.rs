//! A rustc that counts which code is reached: for cargo's `RUSTC_WORKSPACE_WRAPPER`, so that only the
//! crates of this workspace are compiled anew for fuzzing.

#![forbid(unsafe_code)]

use std::{ffi::OsString, process::Command};

/// LLVM's SanitizerCoverage, as libFuzzer takes it.
const COVERAGE: [&str; 10] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Ccodegen-units=1",
    "-Cdebug-assertions=on",
    "-Coverflow-checks=on",
    "--cfg=fuzzing",
];

fn main() -> anyhow::Result<()> {
    let mut words = std::env::args_os().skip(1);
    let rustc = words.next().unwrap_or_else(|| "rustc".into());
    let words: Vec<OsString> = words.collect();
    // Cargo asks what the compiler is; and build scripts have nobody to count for.
    let compiles = words.iter().any(|word| word == "--crate-name");
    let is_script = words.iter().any(|word| word == "build_script_build");
    let mut command = Command::new(rustc);
    command.args(&words);
    if compiles && !is_script {
        command.args(COVERAGE);
    }
    let status = command.status()?;
    std::process::exit(status.code().unwrap_or(1));
}
