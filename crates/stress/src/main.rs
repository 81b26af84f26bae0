//! The command `stress`.

#![forbid(unsafe_code)]

mod args;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anonymous_domains_client::{Token, files};
use anonymous_domains_stress::{
    caller::Caller,
    checker::{self, Violation},
    failover, final_checks,
    http::HttpClient,
    local_cluster::{self, LocalCluster, Setup, Store},
    nemesis,
    random::Random,
    report, thundering_herd,
    workload::{End, Plan, Workload},
};
use anyhow::Context as _;
use args::Arguments;
use clap::Parser as _;

/// How long a run takes if no flag says so.
const DEFAULT_SECONDS: u64 = 30;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    raise_file_limit();
    match run(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("stress: {error:#}");
            ExitCode::from(3)
        }
    }
}

/// Whether every guarantee held.
async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let mut cluster = None;
    let (urls, token) = if arguments.url.is_empty() {
        let started = cluster.insert(LocalCluster::start(&setup(arguments)?)?);
        (started.urls(), Some(started.admin_token()?))
    } else {
        let origin = |url: &String| url.trim_end_matches('/').to_owned();
        (
            arguments.url.iter().map(origin).collect(),
            token(arguments)?,
        )
    };
    let timeout = Duration::from_secs(arguments.timeout);
    let roots = match &arguments.ca_file {
        Some(file) => Some(files::certificates(file).map_err(anyhow::Error::msg)?),
        None => None,
    };
    let http = HttpClient::new(timeout, roots.as_deref())?;
    let caller = Arc::new(Caller::new(http, urls, token.as_ref(), timeout).await?);
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => u64::from(random_u32()?),
    };
    let prefix = format!("stress-{:08x}", random_u32()?);
    println!("domains {prefix}-..., seed {seed}");

    let mut violations = Vec::new();
    if let Some(number) = arguments.herd {
        let name = format!("{prefix}-herd");
        let result = thundering_herd::run(&caller, &name, number as usize).await?;
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
    let has_nemesis = arguments.kill.is_some() || arguments.failover.is_some();
    let has_end = arguments.seconds.is_some() || arguments.operations.is_some();
    if arguments.herd.is_none() || has_end || has_nemesis {
        let plan = Plan {
            machines: arguments.machines as usize,
            domains: arguments.domains as usize,
            concurrency: arguments.concurrency as usize,
            versions: arguments.versions,
            prefix,
            seed,
            pause: Duration::ZERO,
        };
        let end = End {
            after: match (arguments.seconds, has_end, has_nemesis) {
                (Some(seconds), _, _) => Some(Duration::from_secs(seconds)),
                (None, false, false) => Some(Duration::from_secs(DEFAULT_SECONDS)),
                _ => None,
            },
            operations: arguments.operations,
        };
        let workload = Arc::new(Workload::prepare(Arc::clone(&caller), plan).await?);
        let running = tokio::spawn({
            let workload = Arc::clone(&workload);
            async move { workload.run(end).await }
        });
        if let Some(cluster) = &mut cluster {
            let mut random = Random::new(seed, u64::MAX);
            let found = attack(cluster, &workload, arguments, &mut random).await;
            if has_nemesis {
                workload.stop();
            }
            violations.extend(found?);
        }
        running.await.context("the workload failed")??;
        println!(
            "the run is over; {} domains were replaced by new ones",
            workload.domains_replaced()
        );
        let concurrency = arguments.concurrency as usize;
        violations.extend(final_checks::run(&caller, &workload.machines(), concurrency).await?);
    }

    let mut history = caller.history.take();
    if let Some(cluster) = &cluster {
        cluster.bound_unknown(&mut history);
        violations.extend(local_cluster::hanging(&history));
    }
    print!("{}", report::table(&history));
    let mut verdict = checker::check(&history);
    verdict.violations.splice(0..0, violations);
    print!("{}", report::verdict(&verdict, &history));
    let held = verdict.violations.is_empty();
    if let (Some(cluster), false) = (&mut cluster, held) {
        println!(
            "the gateways' logs and state stay in {}",
            cluster.keep().display()
        );
    }
    Ok(held)
}

/// Kills gateways or fails their store, if that is asked for, and returns what was wrong then.
async fn attack(
    cluster: &mut LocalCluster,
    workload: &Workload,
    arguments: &Arguments,
    random: &mut Random,
) -> anyhow::Result<Vec<Violation>> {
    let mut violations = Vec::new();
    if let Some(kills) = arguments.kill {
        let result = nemesis::run(cluster, workload, kills, random).await?;
        println!(
            "{} kills; the longest start {:.1} s, the longest until every domain registered {:.1} s",
            result.kills,
            result.longest_start.as_secs_f64(),
            result.longest_recovery.as_secs_f64()
        );
        violations.extend(result.violations);
    }
    if let Some(failovers) = arguments.failover {
        let result = failover::run(cluster, workload, failovers, random).await?;
        println!(
            "{} failovers; the longest until every domain registered {:.1} s after the failure, and \
             {:.1} s after the promotion",
            result.failovers,
            result.longest_outage.as_secs_f64(),
            result.longest_recovery.as_secs_f64()
        );
        violations.extend(result.violations);
    }
    Ok(violations)
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
        gateways: usize::from(match (arguments.gateways, arguments.failover) {
            (Some(gateways), _) => gateways,
            (None, Some(_)) => 2,
            (None, None) => 1,
        }),
        store: match (arguments.failover, arguments.store.as_deref()) {
            (Some(_), None | Some("postgres")) => Store::LocalPostgresPair,
            (Some(_), Some(_)) => anyhow::bail!("--failover needs --store postgres"),
            (None, None | Some("sqlite")) => Store::Sqlite,
            (None, Some("redis")) => Store::LocalRedis,
            (None, Some("postgres")) => Store::LocalPostgres,
            (None, Some(url)) => Store::Url(url.to_owned()),
        },
        settings: arguments.settings.clone(),
        limits: Vec::new(),
        has_audit_log: false,
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

/// A thundering herd needs a connection for each machine, here and in a gateway, which inherits this
/// limit.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    // If this fails the limit stays as it is, and a run that needs more fails with an error.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}
