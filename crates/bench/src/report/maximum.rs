//! A maximum on a large domain, set and lifted under load.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anonymous_domains_bench::{
    load::{self, Pace, Sample},
    machines::{machines, registrations},
    seed::{self, Seed},
};
use anonymous_domains_protocol::jwk::KeyType;
use anyhow::{anyhow, ensure};

use super::{
    Plan, Report, number, operator, state_directory,
    steady::{CONNECTIONS, MACHINES},
};
use crate::server::Build;

/// How long a load runs at a time.
const SLICE: Duration = Duration::from_millis(500);

pub fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let members: u64 = if plan.quick { 3_000 } else { 1_000_000 };
    let state = state_directory()?;
    eprintln!("bench: filling a store");
    let seed = Seed {
        members,
        versions: 0,
        domains: 0,
    };
    seed::seed(state.path(), &seed::store_of(None)?, &seed)?;
    let server = plan.programs.gateway(Build::Wide, state.path(), &[])?;
    let url = server.domain("large");
    let residents = machines(MACHINES, KeyType::EcP256);
    load::post(&registrations(&residents, &url, None))?;
    let admin = operator::admin(&server, state.path())?;
    report.section(
        "A maximum on a large domain",
        &format!(
            "One domain of {members} members, wide build. {MACHINES} members ask again over \
             {CONNECTIONS} connections meanwhile. After each `PUT` a new machine tries to join."
        ),
    );
    report.table(&[
        "maximum",
        "`PUT` ms",
        "members reported",
        "steady joins/s",
        "p99 ms",
        "a new machine",
    ]);
    for maximum in [Some(0), Some(10), None, Some(2 * members), None] {
        let ended = AtomicBool::new(false);
        let (put, sample) = thread::scope(|scope| {
            let load = scope.spawn(|| under_load(&registrations(&residents, &url, None), &ended));
            thread::sleep(SLICE);
            let put = operator::set_maximum(&admin, "large", maximum);
            ended.store(true, Ordering::Relaxed);
            (put, load.join())
        });
        let (took, told) = put?;
        let sample = sample.map_err(|_| anyhow!("the load panicked"))??;
        let newcomer = machines(1, KeyType::EcP256);
        let is_admitted = load::post(&registrations(&newcomer, &url, None)).is_ok();
        ensure!(
            is_admitted == maximum.is_none_or(|maximum| maximum > told),
            "with a maximum of {maximum:?} and {told} members a new machine was judged wrongly"
        );
        let shown = maximum.map_or_else(|| "none".to_owned(), |maximum| maximum.to_string());
        report.row(&[
            shown,
            number(took.as_secs_f64() * 1000.0),
            told.to_string(),
            number(sample.rate),
            number(sample.percentile_ms(0.99)),
            if is_admitted { "joined" } else { "refused" }.to_owned(),
        ]);
    }
    Ok(())
}

/// Sends requests until `ended` is set.
fn under_load(requests: &load::Requests, ended: &AtomicBool) -> anyhow::Result<Sample> {
    let mut all = Sample::default();
    let start = Instant::now();
    while !ended.load(Ordering::Relaxed) {
        let sample = load::run(requests, CONNECTIONS, Pace::Closed(SLICE))?;
        all.latencies.add(&sample.latencies);
    }
    all.rate = all.latencies.len() as f64 / start.elapsed().as_secs_f64();
    Ok(all)
}
