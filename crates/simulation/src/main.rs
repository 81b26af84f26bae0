//! `simulate`: runs random schedules, or one of them again with its trace.
#![forbid(unsafe_code)]

use std::{process::ExitCode, time::Instant};

use anonymous_domains_simulation::{
    Behaviour, Options, campaign::Campaign, cases::Case, exhaustive::Explored, schedule,
};
use clap::Parser;

/// Runs the server's real logic over a simulated store, in random schedules.
///
/// Stops at the first schedule in which something does not hold, prints its steps and the command
/// that runs it again, and ends with 1.
#[derive(Parser)]
struct Cli {
    /// How many schedules to run
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    schedules: u64,
    /// What fixes all of them
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
    /// The store: contract, spin-sqlite, spin-redis, cosmos-db, dynamo-db; all in turn by default
    #[arg(long, value_name = "STORE")]
    behaviour: Option<Behaviour>,
    /// Run the one schedule with this seed, and print its steps
    #[arg(long, value_name = "SEED", requires = "behaviour")]
    replay: Option<u64>,
    /// Explore every schedule of the cases whose names contain this, instead of random schedules;
    /// of all cases without a name
    #[arg(long, value_name = "NAME", conflicts_with = "replay", num_args = 0..=1, default_missing_value = "")]
    exhaustive: Option<String>,
    /// Stop only where the guarantee with this number does not hold
    #[arg(long, value_name = "NUMBER")]
    guarantee: Option<u8>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let began = Instant::now();
    if let Some(name) = &cli.exhaustive {
        return explore(name, &cli);
    }
    let result = match (cli.replay, cli.behaviour) {
        (Some(seed), Some(behaviour)) => schedule::run(
            seed,
            Options {
                behaviour,
                defect: None,
                traced: true,
            },
        ),
        (_, behaviour) => Campaign {
            schedules: cli.schedules,
            seed: cli.seed,
            behaviours: match behaviour {
                Some(behaviour) => vec![behaviour],
                None => Behaviour::SUPPORTED.to_vec(),
            },
            defect: None,
            promise: cli
                .guarantee
                .map_or_else(String::new, |number| format!("{number}: ")),
        }
        .run(),
    };
    match result {
        Ok(counts) => {
            println!(
                "{counts:#?}\nheld, in {:.1} s",
                began.elapsed().as_secs_f64()
            );
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Explores the cases with a name on the stores that were asked for.
fn explore(name: &str, cli: &Cli) -> ExitCode {
    let behaviours = match cli.behaviour {
        Some(behaviour) => vec![behaviour],
        None => Behaviour::SUPPORTED.to_vec(),
    };
    let began = Instant::now();
    let mut total = Explored::default();
    let mut count = 0;
    for case in Case::named(name) {
        for &with @ (trouble, preemptions) in &case.troubles {
            let bound = match preemptions {
                Some(most) => format!("{most} interruptions at most"),
                None => "every interleaving".to_owned(),
            };
            for behaviour in &behaviours {
                match case.explore(*behaviour, with) {
                    Ok(explored) => {
                        let Explored {
                            states, schedules, ..
                        } = explored;
                        println!(
                            "{behaviour}, {}, {trouble}, {bound}: {states} states, \
                             {schedules:.1e} schedules",
                            case.name
                        );
                        total.add(&explored);
                        count += 1;
                    }
                    Err(failure) => {
                        println!("{failure}\n{behaviour}, {}, {trouble}, {bound}", case.name);
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
        began.elapsed().as_secs_f64()
    );
    ExitCode::SUCCESS
}
