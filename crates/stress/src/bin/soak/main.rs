//! The command `soak`.

#![forbid(unsafe_code)]

use std::{path::PathBuf, process::ExitCode};

use anonymous_domains_stress::soak::{Soak, report};
use anonymous_domains_testkit::write_into;
use anyhow::Context as _;
use clap::Parser;

/// Has two gateways of its own on one store serve a steady load of everything, kills and restarts one
/// of them now and then, and shows whether anything grows.
///
/// Their state is in a directory that is removed at the end.
#[derive(Debug, Parser)]
#[command(name = "soak", version, after_long_help = AFTER_HELP)]
struct Arguments {
    /// How many minutes to run
    #[arg(long, value_name = "N", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    minutes: u32,

    /// Some seconds with few requests, to see that all still works
    #[arg(long, conflicts_with_all = ["minutes", "write"])]
    quick: bool,

    /// The gateway's program
    #[arg(long, value_name = "PROGRAM", env = "ANONYMOUS_DOMAINS_GATEWAY")]
    gateway: PathBuf,

    /// The component, or a directory with its builds
    #[arg(long, value_name = "FILE", env = "ANONYMOUS_DOMAINS_COMPONENT")]
    component: PathBuf,

    /// A setting of the component, such as domain_key_type=RSA-2048 [default: EC-P256 keys] (repeatable)
    #[arg(long = "set", value_name = "NAME=VALUE")]
    settings: Vec<String>,

    /// Seed for the choice of requests; a run also depends on the servers, so it does not repeat exactly
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,

    /// Writes the results into a Markdown file, between <!-- begin soak --> and <!-- end soak -->
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Exit status:
  0  every guarantee held, no answer was unexpected, and nothing leaks
  1  something of that was not so, and is printed
  2  the command line is invalid
  3  the soak could not be run, such as when a gateway does not start

Examples:
  cargo xtask soak
  cargo xtask soak --minutes 10 --set domain_key_type=RSA-2048 --seed 2
  cargo xtask soak --write docs/security.md";

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::from(3)
        }
    }
}

/// Whether all was well.
async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => {
            let mut bytes = [0; 4];
            getrandom::fill(&mut bytes).context("the system has no random numbers")?;
            u64::from(u32::from_be_bytes(bytes))
        }
    };
    let mut settings = arguments.settings;
    if !settings.iter().any(|it| it.starts_with("domain_key_type=")) {
        settings.insert(0, "domain_key_type=EC-P256".to_owned());
    }
    let soak = Soak::of_minutes(
        arguments.minutes as usize,
        arguments.gateway,
        arguments.component,
        settings,
        seed,
    );
    let soak = if arguments.quick { soak.quick() } else { soak };
    println!("seed {seed}");
    let result = soak
        .run(|sample| println!("{}", report::line(sample)))
        .await?;
    let (summary, tables) = (result.summary(), result.tables());
    println!("\n{summary}\n\n{tables}");
    if let Some(document) = &arguments.write {
        write_into(document, "soak", &format!("{summary}\n\n{tables}"))?;
    }
    for wrong in &result.wrong {
        println!("WRONG: {wrong}");
    }
    println!(
        "verdict: {}",
        match result.wrong.len() {
            0 => "every guarantee held, and nothing leaks".to_owned(),
            wrong => format!("{wrong} things are WRONG, as said above"),
        }
    );
    Ok(result.wrong.is_empty())
}

#[cfg(test)]
mod tests {
    use anonymous_domains_testkit::assert_command;
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_its_examples_are_true() {
        assert_command(
            Arguments::command(),
            &[(
                "cargo xtask soak",
                "soak --gateway GATEWAY --component COMPONENT",
            )],
        );
    }
}
