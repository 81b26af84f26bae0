//! The command `siege`.

#![forbid(unsafe_code)]

mod args;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anonymous_domains_siege::{
    attacks::{self, Attack},
    field::Size,
    report,
    siege::{Plan, siege},
    target::Programs,
};
use anonymous_domains_testkit::write_into;
use anyhow::Context as _;
use args::Arguments;
use clap::{CommandFactory as _, Parser as _, error::ErrorKind};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let chosen = chosen(&arguments.attacks);
    if arguments.list {
        print!("{}", report::attacks(&chosen));
        return ExitCode::SUCCESS;
    }
    raise_file_limit();
    match run(&arguments, &chosen) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("siege: {error:#}");
            ExitCode::from(3)
        }
    }
}

/// The attacks with these names; all without any.
fn chosen(names: &[String]) -> Vec<Attack> {
    let all = attacks::all();
    let is_known = |name: &&String| all.iter().any(|attack| attack.name == **name);
    if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
        let known: Vec<_> = all.iter().map(|attack| attack.name).collect();
        let text = format!("there is no attack {unknown}, but {}", known.join(", "));
        Arguments::command()
            .error(ErrorKind::InvalidValue, text)
            .exit();
    }
    let is_chosen = |attack: &Attack| names.is_empty() || names.iter().any(|it| it == attack.name);
    all.into_iter().filter(is_chosen).collect()
}

/// Whether all was well.
fn run(arguments: &Arguments, chosen: &[Attack]) -> anyhow::Result<bool> {
    let program = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .with_context(|| format!("{name} must name the program"))
    };
    let programs = Programs {
        gateway: program("ANONYMOUS_DOMAINS_GATEWAY")?,
        component: program("ANONYMOUS_DOMAINS_COMPONENT")?,
    };
    let plan = match arguments.quick {
        true => Plan {
            size: Size::Small,
            duration: Duration::from_millis(300),
            turns: 1,
            joins: 20,
        },
        false => Plan {
            size: Size::Full,
            duration: Duration::from_secs_f64(arguments.seconds),
            turns: arguments.turns,
            joins: 500,
        },
    };
    let conditions = conditions(plan);
    let directory = tempfile::Builder::new().prefix("siege-").tempdir()?;
    let tell = |outcome: &_| println!("{}", report::line(outcome));
    let outcomes = siege(&programs, directory.path(), chosen, plan, tell)?;
    let table = report::table(&outcomes);
    println!("\n{conditions}\n\n{table}");
    if let Some(document) = &arguments.write {
        let results = format!("{conditions}\n\n{table}\n{}", report::attacks(chosen));
        write_into(document, "siege", &results)?;
    }
    let wrong = outcomes
        .iter()
        .map(|outcome| outcome.wrong.len())
        .sum::<usize>();
    println!(
        "verdict: {} attacks, {}",
        outcomes.len(),
        match wrong {
            0 => "no honest client had an error, and the gateway lives".to_owned(),
            wrong => format!("{wrong} things are WRONG, as said above"),
        }
    );
    Ok(wrong == 0)
}

/// What the figures depend on.
fn conditions(plan: Plan) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown").to_owned();
    format!(
        "{} turns of {} s each, on {cores} cores; the load of the machine before was {load}.",
        plan.turns,
        plan.duration.as_secs_f64()
    )
}

/// An attack may need thousands of connections, here and in the gateway, which inherits this limit.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    // If this fails the limit stays as it is, and an attack that needs more says so.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}
