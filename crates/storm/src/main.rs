//! The command `storm`.

#![forbid(unsafe_code)]

mod args;

use anonymous_domains_client::{Token, files};
use anonymous_domains_storm::caller::Caller;
use anonymous_domains_storm::http::HttpClient;
use anonymous_domains_storm::load::{End, Plan, Storm};
use anonymous_domains_storm::own::{self, Fleet, Setup, Store};
use anonymous_domains_storm::random::Random;
use anonymous_domains_storm::{checker, herd, report, settle};
use anyhow::Context as _;
use args::Arguments;
use clap::Parser as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// How long a storm is where nothing says it.
const DEFAULT_SECONDS: u64 = 30;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    raise_file_limit();
    match run(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("storm: {error:#}");
            ExitCode::from(3)
        }
    }
}

/// Whether all held.
async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let mut fleet = None;
    let (urls, token) = if arguments.url.is_empty() {
        let started = fleet.insert(Fleet::start(&setup(arguments)?).await?);
        (started.urls(), Some(started.admin_token()?))
    } else {
        let origin = |url: &String| url.trim_end_matches('/').to_owned();
        (
            arguments.url.iter().map(origin).collect(),
            token(arguments)?,
        )
    };
    let patience = Duration::from_secs(arguments.timeout);
    let roots = match &arguments.ca_file {
        Some(file) => Some(files::certificates(file).map_err(anyhow::Error::msg)?),
        None => None,
    };
    let http = HttpClient::new(patience, roots.as_deref())?;
    let caller = Arc::new(Caller::new(http, urls, token.as_ref(), patience).await?);
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => u64::from(random_u32()?),
    };
    let prefix = format!("storm-{:08x}", random_u32()?);
    println!("domains {prefix}-..., seed {seed}");

    let mut violations = Vec::new();
    if let Some(number) = arguments.herd {
        let name = format!("{prefix}-herd");
        let result = herd::run(&caller, &name, number as usize).await?;
        println!(
            "herd of {}: {:.1} s with {} requests on a fresh domain, {:.1} s with {} after a \
             departure",
            result.machines,
            result.times[0].as_secs_f64(),
            result.requests[0],
            result.times[1].as_secs_f64(),
            result.requests[1],
        );
        violations.extend(result.violations);
    }
    let has_end = arguments.seconds.is_some() || arguments.operations.is_some();
    if arguments.herd.is_none() || has_end || arguments.kill.is_some() {
        let plan = Plan {
            machines: arguments.machines as usize,
            domains: arguments.domains as usize,
            concurrency: arguments.concurrency as usize,
            versions: arguments.versions,
            prefix,
            seed,
        };
        let end = End {
            after: match (arguments.seconds, has_end, arguments.kill) {
                (Some(seconds), _, _) => Some(Duration::from_secs(seconds)),
                (None, false, None) => Some(Duration::from_secs(DEFAULT_SECONDS)),
                _ => None,
            },
            operations: arguments.operations,
        };
        let storm = Arc::new(Storm::prepare(Arc::clone(&caller), plan).await?);
        let running = tokio::spawn({
            let storm = Arc::clone(&storm);
            async move { storm.run(end).await }
        });
        if let (Some(fleet), Some(kills)) = (&mut fleet, arguments.kill) {
            let mut random = Random::new(seed, u64::MAX);
            let result = fleet.kill(&storm, kills, &mut random).await;
            storm.stop();
            let result = result?;
            println!(
                "{} kills; the longest start {:.1} s, the longest until every domain registered \
                 {:.1} s",
                result.kills,
                result.longest_start.as_secs_f64(),
                result.longest_recovery.as_secs_f64()
            );
            violations.extend(result.violations);
        }
        running.await.context("the storm failed")??;
        println!(
            "the storm is over; {} domains were left for new ones",
            storm.domains_left()
        );
        let concurrency = arguments.concurrency as usize;
        violations.extend(settle::settle(&caller, &storm.machines(), concurrency).await?);
    }

    let mut history = caller.history.take();
    if let Some(fleet) = &fleet {
        fleet.bound_unknown(&mut history);
        violations.extend(own::hanging(&history));
    }
    print!("{}", report::table(&history));
    let mut verdict = checker::check(&history);
    verdict.violations.splice(0..0, violations);
    print!("{}", report::verdict(&verdict, &history));
    let held = verdict.violations.is_empty();
    if let (Some(fleet), false) = (&mut fleet, held) {
        println!(
            "the gateways' logs and state stay in {}",
            fleet.keep().display()
        );
    }
    Ok(held)
}

fn setup(arguments: &Arguments) -> anyhow::Result<Setup> {
    let program = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .with_context(|| format!("without --url, {name} must name the program"))
    };
    Ok(Setup {
        program: program("ANONYMOUS_DOMAINS_GATEWAY")?,
        component: program("ANONYMOUS_DOMAINS_COMPONENT")?,
        gateways: usize::from(arguments.gateways),
        store: match arguments.store.as_str() {
            "sqlite" => Store::Sqlite,
            "redis" => Store::OwnRedis,
            url => Store::Url(url.to_owned()),
        },
        settings: arguments.settings.clone(),
    })
}

fn token(arguments: &Arguments) -> anyhow::Result<Option<Token>> {
    let Some(file) = &arguments.admin_token_file else {
        return Ok(None);
    };
    files::token_in_file(file)
        .map(Some)
        .map_err(anyhow::Error::msg)
}

fn random_u32() -> anyhow::Result<u32> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).context("the system has no randomness")?;
    Ok(u32::from_be_bytes(bytes))
}

/// A herd needs a connection for each machine, here and, as its child inherits this, in a gateway.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    // Where it cannot be raised it stays: whoever needs more is told by what fails then.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}
