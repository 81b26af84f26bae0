//! Joins after a departure, which make a new key.

use std::time::Instant;

use anonymous_domains_bench::{
    load::{self, Pace},
    machines::{deregistrations, machines, registrations},
};
use anonymous_domains_protocol::jwk::KeyType;

use super::{Plan, Report, copy_state, number, race::median, state_directory};
use crate::server::{Build, Server};

/// How many devices register at once after a departure.
const HERD: usize = 1000;

pub fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let states = [state_directory()?, state_directory()?, state_directory()?];
    let [rsa_state, native_state, ec_state] = states.each_ref().map(|state| state.path());
    // Enough for every device's connection.
    let room = ["--max-connections", "2000"];
    let rsa = plan.programs.gateway(Build::Wide, rsa_state, &room)?;
    copy_state(rsa_state, native_state)?;
    let native = plan.programs.native(native_state)?;
    let ec_keys = ["--set", "domain_key_type=EC-P256", room[0], room[1]];
    let ec = plan.programs.gateway(Build::Wide, ec_state, &ec_keys)?;
    report.section(
        "After a departure",
        "The first join generates the next key. Medians over one connection, EC machine keys; the time \
         to find RSA primes varies.",
    );
    report.table(&[
        "domain key, server",
        "first join ms",
        "steady join ms",
        "ratio",
    ]);
    for (name, server) in [
        ("RSA-2048, wide build", &rsa),
        ("RSA-2048, native", &native),
        ("EC-P256, wide build", &ec),
    ] {
        let (first, steady) = first_joins(server, if plan.quick { 2 } else { 25 })?;
        report.row(&[
            name.to_owned(),
            number(first),
            number(steady),
            number(first / steady),
        ]);
    }
    let devices = if plan.quick { 100 } else { HERD };
    report.line(format!(
        "\n{devices} devices of a domain ask at once, each over its own connection: after one has left, \
         and again when the new key exists.\n"
    ));
    report.table(&["domain key", "after a departure ms", "steady ms", "ratio"]);
    for (name, server) in [("RSA-2048", &rsa), ("EC-P256", &ec)] {
        let (after, steady, ratio) = thundering_herd(server, devices, plan.effort().rounds)?;
        report.row(&[
            name.to_owned(),
            number(after),
            number(steady),
            number(ratio),
        ]);
        report.at_most(
            format!("{devices} joins after a departure by as many steady ones, {name} domain keys"),
            1.5,
            ratio,
        );
    }
    Ok(())
}

/// The medians, in milliseconds, of a join that makes a key and of one that makes none.
fn first_joins(server: &Server, times: usize) -> anyhow::Result<(f64, f64)> {
    let url = server.domain("left");
    let all = machines(2, KeyType::EcP256);
    let (resident, leaver) = (&all[..1], &all[1..]);
    let took = |machines| -> anyhow::Result<f64> {
        let sample = load::run(&registrations(machines, &url, None), 1, Pace::Once)?;
        Ok(sample.percentile_ms(0.5))
    };
    took(resident)?;
    let (mut first, mut steady) = (Vec::new(), Vec::new());
    for _ in 0..times {
        took(leaver)?;
        load::post(&deregistrations(&leaver[..1], &url))?;
        first.push(took(resident)?);
        steady.push(took(resident)?);
    }
    Ok((median(first), median(steady)))
}

/// How long all devices take after a departure and then again, in milliseconds, and the ratio. Each is
/// the median of several trials, each in its own domain.
fn thundering_herd(
    server: &Server,
    devices: usize,
    trials: usize,
) -> anyhow::Result<(f64, f64, f64)> {
    let (mut after, mut steady, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for trial in 0..trials {
        let url = server.domain(&format!("herd-{trial}"));
        let mut devices = machines(devices + 1, KeyType::EcP256);
        load::run(&registrations(&devices, &url, None), 4, Pace::Once)?;
        if let Some(leaver) = devices.pop() {
            load::post(&deregistrations(&[leaver], &url))?;
        }
        let all_ask = || -> anyhow::Result<f64> {
            let requests = registrations(&devices, &url, None);
            let began = Instant::now();
            load::run(&requests, devices.len(), Pace::Once)?;
            Ok(began.elapsed().as_secs_f64() * 1000.0)
        };
        let (first, second) = (all_ask()?, all_ask()?);
        after.push(first);
        steady.push(second);
        ratios.push(first / second);
    }
    Ok((median(after), median(steady), median(ratios)))
}
