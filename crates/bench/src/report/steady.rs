//! A steady join: a machine that is a member registers again. Compared with the same crate without the
//! sandbox, and with Spin.

use std::time::Duration;

use anonymous_domains_bench::{
    load::{self, Pace},
    machines::{Machine, machines, registrations},
    pauses::{self, Pauses},
};
use anonymous_domains_protocol::jwk::KeyType;

use super::{
    Plan, Report, copy_state, number,
    race::{Results, Rival, median, race},
    state_directory,
};
use crate::server::{Build, Server};

/// The machines that ask.
pub const MACHINES: usize = 64;

/// The connections that keep two cores busy.
pub const CONNECTIONS: usize = 4;

/// The share of the gateway's rate that Spin should reach with the same build.
const OF_GATEWAY: f64 = 0.7;

/// The share of a server's maximum rate at which latencies should still be even.
const HIGH_LOAD: f64 = 0.8;

/// The most connections at high load: requests must not wait for one.
const OPEN_CONNECTIONS: usize = 64;

/// Members of a domain `home` that ask again.
pub fn members<'a>(name: &str, server: &'a Server, machines: &'a [Machine]) -> Rival<'a> {
    Rival::new(name, || {
        registrations(machines, &server.domain("home"), None)
    })
}

pub fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let first = state_directory()?;
    let wide = plan.programs.gateway(Build::Wide, first.path(), &[])?;
    let mut states = Vec::new();
    let mut copy = || {
        let state = state_directory()?;
        copy_state(first.path(), state.path())?;
        let path = state.path().to_owned();
        states.push(state);
        anyhow::Ok(path)
    };
    let native = plan.programs.native(&copy()?)?;
    let portable = plan.programs.gateway(Build::Portable, &copy()?, &[])?;
    let p2 = plan.programs.gateway(Build::P2, &copy()?, &[])?;
    let mut spins = Vec::new();
    if let Some(spin) = &plan.programs.spin {
        for build in [Build::Portable, Build::P2] {
            spins.push(plan.programs.spin(spin, build, &copy()?)?);
        }
    }

    report.section(
        "A steady join",
        &format!(
            "{MACHINES} members of a domain ask again: one key version of RSA-2048, {} rounds of {} s for \
             each server in turns. *Native* is the component's crate behind hyper without the sandbox, \
             on the gateway's SQLite store; the builds run in the gateway, or in Spin.",
            plan.effort().rounds,
            plan.effort().round.as_secs_f64(),
        ),
    );
    report.table(&[
        "server, machine's key, connections",
        "joins/s",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "of native's rate",
    ]);
    let mut busiest = Vec::new();
    for kind in [KeyType::EcP256, KeyType::Rsa2048] {
        let machines = machines(MACHINES, kind);
        let mut rivals = vec![
            members("native", &native, &machines),
            members("wide build", &wide, &machines),
            members("portable build", &portable, &machines),
            members("WASI 0.2 build", &p2, &machines),
        ];
        let names = ["Spin, portable build", "Spin, WASI 0.2 build"];
        rivals.extend(
            names
                .iter()
                .zip(&spins)
                .map(|(name, spin)| members(name, spin, &machines)),
        );
        for connections in [CONNECTIONS, 1] {
            let results = race(&rivals, connections, plan.effort())?;
            for (nth, rival) in rivals.iter().enumerate() {
                let name = format!("{}, {kind}, {connections}", rival.name);
                row(report, &name, &results, nth);
            }
            if connections == CONNECTIONS {
                let (of_native, of_wide) = match kind {
                    KeyType::EcP256 => (0.85, 0.6),
                    _ => (0.7, 0.5),
                };
                let mut goal = |what: &str, goal, of, to| {
                    report.at_least(format!("{kind}: {what}"), goal, results.ratio(of, to));
                };
                goal("wide build by native", of_native, 1, 0);
                goal("portable build by wide", of_wide, 2, 1);
                if !spins.is_empty() {
                    goal("Spin by gateway, portable build", OF_GATEWAY, 4, 2);
                    goal("Spin by gateway, WASI 0.2 build", OF_GATEWAY, 5, 3);
                }
                busiest.push((kind, [results.rate(0), results.rate(1)]));
            }
        }
    }

    report.section(
        "A steady join at high load",
        &format!(
            "Requests are due at {HIGH_LOAD} of the server's rate above, whether or not earlier ones are \
             answered, and timed from when they were due."
        ),
    );
    report.table(&[
        "server, machine's key",
        "joins/s",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "p99 : p50",
    ]);
    for (kind, [native_rate, wide_rate]) in busiest {
        let name = format!("native, {kind}");
        high_load(plan, report, name, &native, kind, native_rate)?;
        let name = format!("wide build, {kind}");
        let spread = high_load(plan, report, name, &wide, kind, wide_rate)?;
        report.at_most(format!("{kind}: p99 by p50"), 4.0, spread);
    }
    let Pauses {
        share,
        per_second,
        longest_ms,
    } = pauses::measure(WATCHED);
    report.line(format!(
        "\nThe machine itself pauses: threads that only read the clock, one per core, then lost {:.1} % of \
         {} s, {} times a second for over 1 ms, at most for {} ms.",
        100.0 * share,
        WATCHED.as_secs(),
        number(per_second),
        number(longest_ms),
    ));
    Ok(())
}

/// How long the machine's own pauses are watched.
const WATCHED: Duration = Duration::from_secs(10);

/// Measures a server at a share of its maximum rate. Returns the ratio of the 99th percentile of its
/// latency to the median.
fn high_load(
    plan: &Plan,
    report: &mut Report,
    name: String,
    server: &Server,
    kind: KeyType,
    rate: f64,
) -> anyhow::Result<f64> {
    let machines = machines(MACHINES, kind);
    let requests = || registrations(&machines, &server.domain("home"), None);
    load::post(&requests())?;
    let mut samples = Vec::new();
    for _ in 0..plan.effort().rounds {
        let pace = Pace::Open(HIGH_LOAD * rate, plan.effort().round);
        samples.push(load::run(&requests(), OPEN_CONNECTIONS, pace)?);
    }
    let of = |value: &dyn Fn(&load::Sample) -> f64| median(samples.iter().map(value));
    let percentile = |share| of(&|sample| sample.percentile_ms(share));
    let spread = of(&|sample| sample.percentile_ms(0.99) / sample.percentile_ms(0.5));
    report.row(&[
        name,
        number(of(&|sample| sample.rate)),
        number(percentile(0.5)),
        number(percentile(0.9)),
        number(percentile(0.99)),
        number(spread),
    ]);
    Ok(spread)
}

fn row(report: &mut Report, name: &str, results: &Results, nth: usize) {
    report.row(&[
        name.to_owned(),
        number(results.rate(nth)),
        number(results.percentile_ms(nth, 0.5)),
        number(results.percentile_ms(nth, 0.9)),
        number(results.percentile_ms(nth, 0.99)),
        number(results.ratio(nth, 0)),
    ]);
}
