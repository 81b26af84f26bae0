//! `cargo xtask`: builds, serves, tests and shows the project. Each command is one module.
#![forbid(unsafe_code)]

mod bench;
mod component;
mod debian;
mod demo;
#[cfg(test)]
mod documents;
mod native;
mod process;
mod python;
mod redis;
mod relay;
mod serve;
mod simulate;
mod storm;
mod test;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use workspace::Workspace;

/// Builds, serves, tests and shows the project.
///
/// New here? Run `cargo xtask demo`, then `cargo xtask serve`.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Shows a domain at work: two devices join, one leaves and joins again
    ///
    /// Serves on a free port, in a temporary directory that is removed at the end. Each step prints
    /// the device's command, what went over the wire, and what the command says.
    #[command(verbatim_doc_comment)]
    Demo,
    /// Builds the component and the gateway, and serves until interrupted
    ///
    /// Listens on 127.0.0.1:3000 unless the gateway's own `--listen` says otherwise.
    #[command(after_help = "Examples:\n  cargo xtask serve\n  \
        cargo xtask serve -- --listen 127.0.0.1:8080 --state /tmp/state\n  \
        cargo xtask serve -- --help    the gateway's own options")]
    Serve {
        /// Arguments for the gateway
        #[arg(last = true, value_name = "GATEWAY ARGS")]
        gateway_args: Vec<OsString>,
    },
    /// Storms a running server, or gateways of its own, and checks what was promised
    ///
    /// Hundreds of machines and an operator ask for all kinds of things at once. Without `--url` the
    /// component and the gateway are built and started for it.
    #[command(
        disable_help_flag = true,
        override_usage = "cargo xtask storm [STORM ARGS]",
        after_help = "Examples:\n  \
        cargo xtask storm\n  \
        cargo xtask storm --url http://127.0.0.1:3000 --admin-token-file state/admin-token\n  \
        cargo xtask storm --kill 100\n  \
        cargo xtask storm --help    its own options"
    )]
    Storm {
        /// Arguments for the storm
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "STORM ARGS"
        )]
        storm_args: Vec<OsString>,
    },
    /// Measures the server beside what it is compared to, and writes docs/benchmarks.md
    ///
    /// Takes some twenty minutes, during which the machine should have nothing else to do.
    #[command(
        disable_help_flag = true,
        override_usage = "cargo xtask bench [BENCH ARGS]",
        after_help = "Examples:\n  \
        cargo xtask bench\n  \
        cargo xtask bench --spin ~/bin/spin    Spin 4.1 or later too\n  \
        cargo xtask bench --only steady --quick\n  \
        cargo xtask bench --help    its own options"
    )]
    Bench {
        /// Arguments for the bench
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "BENCH ARGS"
        )]
        bench_args: Vec<OsString>,
    },
    /// Runs everything that a change must pass, and stops at the first stage that fails
    ///
    /// Formatting, clippy, the component and its size, all Rust tests (the end-to-end tests run the
    /// real component in the real gateway), the black-box contract tests in Python, the
    /// documentation and, where cargo-deny is installed, the dependency policy.
    #[command(verbatim_doc_comment)]
    Test {
        /// Leave out clippy, the documentation and the dependency policy
        #[arg(long)]
        quick: bool,
    },
    /// Runs the server's rules on simulated stores, in random schedules or in every one of few
    /// requests
    ///
    /// docs/internals/simulation.md says what is simulated.
    #[command(
        disable_help_flag = true,
        after_help = "Examples:\n  cargo xtask simulate --schedules 1000000 --seed 2\n  \
            cargo xtask simulate --help    the simulation's own options"
    )]
    Simulate {
        /// Arguments for the simulation
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "SIMULATION ARGS"
        )]
        arguments: Vec<OsString>,
    },
    /// Builds the component for wasm32-wasip2, for any host and for those with wide arithmetic, and
    /// prints the builds' paths and sizes
    #[command(verbatim_doc_comment)]
    Component,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        // Not by returning it from `main`, which shows a backtrace where RUST_BACKTRACE is set.
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Demo => demo::run(&workspace),
        Task::Serve { gateway_args } => serve::run(&workspace, &gateway_args),
        Task::Storm { storm_args } => storm::run(&workspace, &storm_args),
        Task::Bench { bench_args } => bench::run(&workspace, &bench_args),
        Task::Test { quick } => test::run(&workspace, quick),
        Task::Simulate { arguments } => simulate::run(&workspace, &arguments),
        Task::Component => {
            for component in component::build(&workspace)?.each() {
                println!("{component}");
            }
            Ok(())
        }
    }
}
