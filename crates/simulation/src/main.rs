//! `simulate`: runs random schedules, replays one of them with its trace, or explores cases.
#![forbid(unsafe_code)]

use std::{process::ExitCode, time::Instant};

use anonymous_domains_simulation::{
    Guarantee, Options, StoreModel, cases::Case, exhaustive::Explored, schedule,
    seed_sweep::SeedSweep,
};
use clap::Parser;

/// Tests the server's real code on simulated stores, in random schedules.
///
/// Stops at the first schedule with a violation, prints its steps and the command that replays it,
/// and exits with 1.
#[derive(Parser)]
#[command(
    name = "simulate",
    after_help = "Examples:\n  \
    cargo xtask simulate --schedules 1000000 --seed 2\n  \
    cargo xtask simulate --replay 4711 --store spin-redis\n  \
    cargo xtask simulate --exhaustive \"two members: join, leave\""
)]
struct Cli {
    /// How many schedules to run
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    schedules: u64,
    /// The seed from which the schedules are derived
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
    /// The store: contract, spin-sqlite, spin-redis, cosmos-db, dynamo-db. By default all, in turn
    #[arg(long, alias = "behaviour", value_name = "STORE")]
    store: Option<StoreModel>,
    /// Run only the schedule with this seed, and print its steps
    #[arg(long, value_name = "SEED", requires = "store")]
    replay: Option<u64>,
    /// Instead of random schedules, explore every schedule of the cases whose names contain this.
    /// Without a name, of all cases
    #[arg(long, value_name = "NAME", conflicts_with = "replay", num_args = 0..=1, default_missing_value = "")]
    exhaustive: Option<String>,
    /// Stop only at a violation of the guarantee with this number
    #[arg(long, value_name = "NUMBER", value_parser = guarantee)]
    guarantee: Option<Guarantee>,
}

fn guarantee(number: &str) -> Result<Guarantee, String> {
    Guarantee::ALL
        .into_iter()
        .find(|guarantee| guarantee.number().to_string() == number)
        .ok_or_else(|| format!("the guarantees are 1 to {}", Guarantee::ALL.len()))
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let started = Instant::now();
    let stores = match cli.store {
        Some(store) => vec![store],
        None => StoreModel::SUPPORTED.to_vec(),
    };
    if let Some(name) = &cli.exhaustive {
        return explore(name, &stores);
    }
    let result = match (cli.replay, cli.store) {
        (Some(seed), Some(store)) => schedule::run(
            seed,
            Options {
                store,
                defect: None,
                traced: true,
            },
        ),
        _ => SeedSweep {
            schedules: cli.schedules,
            seed: cli.seed,
            stores,
            defect: None,
            guarantee: cli.guarantee,
        }
        .run(),
    };
    match result {
        Ok(counts) => {
            println!(
                "{counts:#?}\nheld, in {:.1} s",
                started.elapsed().as_secs_f64()
            );
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Explores the cases with a name.
fn explore(name: &str, stores: &[StoreModel]) -> ExitCode {
    let started = Instant::now();
    let mut total = Explored::default();
    let mut count = 0;
    for case in Case::named(name) {
        for bounds in &case.bounds {
            for store in stores {
                let what = format!("{store}, {}, {bounds}", case.name);
                match case.explore(*store, *bounds) {
                    Ok(explored) => {
                        let Explored {
                            states, schedules, ..
                        } = explored;
                        println!("{what}: {states} states, {schedules:.1e} schedules");
                        total.add(&explored);
                        count += 1;
                    }
                    Err(failure) => {
                        println!("{failure}\n{what}");
                        return ExitCode::FAILURE;
                    }
                }
            }
        }
    }
    println!(
        "{count} explorations held: {} states, {:.1e} schedules, in {:.1} s",
        total.states,
        total.schedules,
        started.elapsed().as_secs_f64()
    );
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use anonymous_domains_testkit::assert_command;
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_its_examples_are_true() {
        assert_command(Cli::command(), &[("cargo xtask simulate", "simulate")]);
    }
}
