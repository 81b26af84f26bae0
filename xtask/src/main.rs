//! `cargo xtask`: builds, serves, tests and shows the project. Each command is one module.
#![forbid(unsafe_code)]

mod bench;
mod component;
mod debian;
mod demo;
mod dist;
mod docs;
#[cfg(test)]
mod documents;
mod fuzz;
mod mutants;
mod native;
mod needs;
mod node;
mod postgres;
mod process;
mod python;
mod redis;
mod serve;
mod siege;
mod simulate;
mod soak;
mod stress;
mod test;
mod workspace;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};
use component::Component;
use workspace::Workspace;

/// Builds, serves, tests and shows the project.
///
/// New here? Run `cargo xtask demo`, then `cargo xtask serve`.
#[derive(Parser)]
#[command(
    bin_name = "cargo xtask",
    after_help = "Examples:\n  \
    cargo xtask demo\n  \
    cargo xtask serve\n  \
    cargo xtask test --install"
)]
struct Cli {
    #[command(subcommand)]
    command: Task,
    /// Install what is missing on this machine (Debian packages), instead of naming it and stopping
    #[arg(long, global = true)]
    install: bool,
}

#[derive(Subcommand)]
enum Task {
    /// Shows a domain at work: two devices join and play, and one leaves
    ///
    /// Serves on a free port, in a temporary directory that is removed at the end. Each step prints
    /// the device's command, what went over the wire, and what the command says.
    #[command(after_help = "Examples:\n  cargo xtask demo\n  cargo xtask demo --browser")]
    #[command(verbatim_doc_comment)]
    Demo {
        /// Serve the console and a page of three devices instead, to try it in a browser
        #[arg(long)]
        browser: bool,
    },
    /// Builds the component and the gateway, and serves until interrupted
    ///
    /// Listens on 127.0.0.1:3000 unless the gateway's own `--listen` says otherwise.
    #[command(after_help = "Examples:\n  cargo xtask serve\n  \
        cargo xtask serve -- --listen 127.0.0.1:8080 --state /tmp/state\n  \
        cargo xtask serve -- --help    # the gateway's own options")]
    Serve {
        /// Arguments for the gateway
        #[arg(last = true, value_name = "GATEWAY ARGS")]
        gateway_args: Vec<OsString>,
    },
    /// Stress-tests a running server, or gateways of its own, and checks what is guaranteed
    ///
    /// Hundreds of machines and an operator ask for all kinds of things at once. Without `--url` the
    /// component and the gateway are built and started for it.
    #[command(
        alias = "storm",
        disable_help_flag = true,
        override_usage = "cargo xtask stress [STRESS ARGS]",
        after_help = "Examples:\n  \
        cargo xtask stress\n  \
        cargo xtask stress --help    # its own options, and more examples"
    )]
    Stress {
        /// Arguments for the stress test
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "STRESS ARGS"
        )]
        stress_args: Vec<OsString>,
    },
    /// Soaks two gateways on one store in a steady load of everything for an hour, and shows what grows
    ///
    /// One of them is killed or ended every other minute. docs/security.md has what was measured.
    #[command(
        disable_help_flag = true,
        override_usage = "cargo xtask soak [SOAK ARGS]",
        after_help = "Examples:\n  \
        cargo xtask soak\n  \
        cargo xtask soak --help    # its own options, and more examples"
    )]
    Soak {
        /// Arguments for the soak
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "SOAK ARGS"
        )]
        soak_args: Vec<OsString>,
    },
    /// Besieges a gateway with hostile clients, and shows what honest ones notice
    ///
    /// docs/security.md has the attacks, and what was measured.
    #[command(
        disable_help_flag = true,
        override_usage = "cargo xtask siege [SIEGE ARGS]",
        after_help = "Examples:\n  \
        cargo xtask siege\n  \
        cargo xtask siege --help    # its own options, and more examples"
    )]
    Siege {
        /// Arguments for the siege
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "SIEGE ARGS"
        )]
        siege_args: Vec<OsString>,
    },
    /// Measures the server beside what it is compared to, and writes docs/benchmarks.md
    ///
    /// Takes some twenty minutes, during which the machine should have nothing else to do.
    #[command(
        disable_help_flag = true,
        override_usage = "cargo xtask bench [BENCH ARGS]",
        after_help = "Examples:\n  \
        cargo xtask bench\n  \
        cargo xtask bench --help    # its own options, and more examples"
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
    /// Formatting, clippy and the documentation; the simulation's mutants that changed; the
    /// component's builds and their sizes; the builds of the checks of stores and of cryptography;
    /// all Rust tests (the end-to-end tests run the real components in the real gateway); and the
    /// black-box contract tests in Python, with each build.
    #[command(after_help = "Examples:\n  cargo xtask test --install\n  cargo xtask test --quick")]
    #[command(verbatim_doc_comment)]
    Test {
        /// Leave out clippy and the documentation
        #[arg(long)]
        quick: bool,
    },
    /// Runs the server's rules on simulated stores, in random schedules or in every one of few
    /// requests
    ///
    /// docs/internals/simulation.md says what is simulated.
    #[command(
        disable_help_flag = true,
        after_help = "Examples:\n  \
        cargo xtask simulate\n  \
        cargo xtask simulate --help    # its own options, and more examples"
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
    /// Fuzzes whatever reads input from outside, with libFuzzer: 60 seconds each target, or as said
    ///
    /// Prints executions and coverage. What was found interesting is kept in target/fuzz, and the
    /// next run goes on from there; an input for which a target does not hold is a file there too.
    #[command(after_help = "Examples:\n  cargo xtask fuzz\n  \
            cargo xtask fuzz store rows --seconds 3600\n  \
            cargo xtask fuzz names --runs 100000000")]
    Fuzz {
        /// Targets; all by default
        #[arg(value_name = "TARGET")]
        targets: Vec<String>,
        /// How long each target runs, in seconds
        #[arg(long, value_name = "N")]
        seconds: Option<u64>,
        /// How many executions each target gets
        #[arg(long, value_name = "N")]
        runs: Option<u64>,
    },
    /// Breaks the server in known ways, one at a time, and checks that the simulation notices
    ///
    /// Each patch in crates/simulation/mutants names the guarantee that it breaks. Those that are
    /// caught are recorded there, in caught.txt: commit it.
    #[command(after_help = "Examples:\n  \
        cargo xtask mutants\n  \
        cargo xtask mutants any-owner any-split")]
    Mutants {
        /// Patches to try, without `.patch`; all by default
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Builds the component for wasm32-wasip2: with WASI 0.3, with WASI 0.3 and wide arithmetic, and
    /// with WASI 0.2; prints the paths, sizes and interfaces
    #[command(after_help = "Examples:\n  cargo xtask component")]
    #[command(verbatim_doc_comment)]
    Component,
    /// Builds the component that tells whether a host's store is safe: with WASI 0.3, and with WASI
    /// 0.2; prints the paths, sizes and interfaces
    ///
    /// crates/store-check/README.md says how to run it.
    #[command(after_help = "Examples:\n  cargo xtask store-check")]
    StoreCheck,
    /// Builds the program that does P-256, RSA and AES-256-GCM in WebAssembly: with 32-bit limbs, and with
    /// wide arithmetic; prints the paths, sizes and interfaces
    ///
    /// crates/bench/tests/crypto runs it.
    #[command(after_help = "Examples:\n  cargo xtask crypto-check")]
    #[command(name = "crypto-check")]
    CryptoCheck,
    /// Makes what is released, in target/dist: an archive, a Debian package, their bill of materials
    ///
    /// The programs are those that the tests run, stripped. All files follow from the sources and
    /// the time of the last commit (or SOURCE_DATE_EPOCH).
    #[command(after_help = "Examples:\n  \
        cargo xtask dist\n  \
        cargo xtask dist --check\n  \
        cargo xtask dist --try    # as root")]
    Dist {
        /// Build it once more in another directory, and compare every byte
        #[arg(long)]
        check: bool,
        /// Install the package on a new Debian (debootstrap, as root), and let a device join there
        #[arg(long = "try")]
        trial: bool,
    },
    /// Builds the documentation as a site with search, in target/docs/site
    ///
    /// The first run builds mdBook too, in target/tools, which takes a minute or two.
    #[command(after_help = "Examples:\n  cargo xtask docs")]
    Docs,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // Not by returning it from `main`, which shows a backtrace where RUST_BACKTRACE is set.
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let workspace = Workspace::find(cli.install)?;
    match cli.command {
        Task::Demo { browser: false } => demo::run(&workspace),
        Task::Demo { browser: true } => demo::run_in_browser(&workspace),
        Task::Serve { gateway_args } => serve::run(&workspace, &gateway_args),
        Task::Stress { stress_args } => stress::run(&workspace, &stress_args),
        Task::Soak { soak_args } => soak::run(&workspace, &soak_args),
        Task::Siege { siege_args } => siege::run(&workspace, &siege_args),
        Task::Bench { bench_args } => bench::run(&workspace, &bench_args),
        Task::Test { quick } => test::run(&workspace, quick),
        Task::Simulate { arguments } => simulate::run(&workspace, &arguments),
        Task::Fuzz {
            targets,
            seconds,
            runs,
        } => fuzz::run(
            &workspace,
            &fuzz::Options {
                targets,
                seconds,
                runs,
            },
        ),
        Task::Mutants { names } => mutants::run(&workspace, &names),
        Task::Component => show(component::build(&workspace)?.each()),
        Task::Dist { check, trial } => dist::run(&workspace, dist::Options { check, trial }),
        Task::Docs => docs::run(&workspace),
        Task::CryptoCheck => show(&component::build_crypto_check(&workspace)?),
        Task::StoreCheck => show(&component::build_store_check(&workspace)?),
    }
}

/// Prints paths, sizes and interfaces.
fn show<'a>(components: impl IntoIterator<Item = &'a Component>) -> anyhow::Result<()> {
    for component in components {
        let interfaces = component.interfaces()?;
        println!("{component}");
        println!("  exports {}", interfaces.exports.join(", "));
        println!("  imports {}\n", interfaces.imports.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use anonymous_domains_testkit::assert_command;
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_its_examples_are_true() {
        assert_command(Cli::command(), &[("cargo xtask", "xtask")]);
    }
}
