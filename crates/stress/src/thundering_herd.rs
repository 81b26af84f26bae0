//! A thundering herd: very many machines that arrive at the same moment.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anonymous_domains_protocol::ids::DomainName;
use anonymous_domains_testkit::Guarantee;
use anyhow::Context as _;
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    caller::Caller,
    checker::Violation,
    history::{Outcome, Request},
    machine::{self, Machine},
};

/// How often each machine asks at most until it is answered.
const TRIES: usize = 60;
/// How long it waits before it asks again.
const PAUSE: Duration = Duration::from_secs(1);

/// The result of a thundering herd.
#[derive(Debug)]
pub struct HerdReport {
    /// How many machines there were.
    pub machines: usize,
    /// The time from the common start to the last answer, on the fresh domain and after the
    /// departure.
    pub times: [Duration; 2],
    /// How many requests it took.
    pub requests: [usize; 2],
    /// What was wrong, in addition to what the history shows.
    pub violations: Vec<Violation>,
}

/// Has `number` machines join the fresh domain `name` at once. Then one leaves, and all ask at once.
///
/// # Errors
///
/// When a request cannot be built.
pub async fn run(caller: &Arc<Caller>, name: &str, number: usize) -> anyhow::Result<HerdReport> {
    let domain = Arc::new(DomainName::parse(name)?);
    let machines = machine::make(number);
    let mut herd = HerdReport {
        machines: number,
        times: [Duration::ZERO; 2],
        requests: [0; 2],
        violations: Vec::new(),
    };
    for round in 0..2 {
        if round == 1 {
            let (outcome, _) =
                until_answered(caller, 0, &domain, &machines[0], Request::Leave).await?;
            if !matches!(outcome, Outcome::Done | Outcome::Refused(_)) {
                herd.fail(Guarantee::Recovery, format!("nobody could leave {domain}"));
                return Ok(herd);
            }
        }
        let expected = round as u64 + 1;
        let begun = Instant::now();
        let outcomes = register_all(caller, &domain, &machines).await?;
        herd.times[round] = begun.elapsed();
        herd.requests[round] = outcomes.iter().map(|(_, requests)| requests).sum();
        let mut told: Vec<u64> = Vec::new();
        let mut without_answer = 0;
        for (outcome, _) in &outcomes {
            match outcome {
                Outcome::Registered { newest, .. } => told.push(*newest),
                _ => without_answer += 1,
            }
        }
        if without_answer > 0 {
            herd.fail(
                Guarantee::Recovery,
                format!("{without_answer} of {number} machines could not join {domain}"),
            );
        }
        told.sort_unstable();
        told.dedup();
        if told != [expected] {
            herd.fail(
                Guarantee::SingleFlight,
                format!("the newest version of {domain} should be {expected} for all: {told:?}"),
            );
        }
    }
    let reads = if caller.is_operator() {
        vec![
            Request::Describe,
            Request::Members,
            Request::Show,
            Request::Members,
            Request::Keys,
        ]
    } else {
        vec![Request::Describe]
    };
    for read in reads {
        caller.ask(0, &domain, None, read).await?;
    }
    Ok(herd)
}

impl HerdReport {
    fn fail(&mut self, guarantee: Guarantee, text: String) {
        self.violations.push(Violation::new(guarantee, text, []));
    }
}

/// All ask at once; each outcome comes with the number of requests that it took.
async fn register_all(
    caller: &Arc<Caller>,
    domain: &Arc<DomainName>,
    machines: &[Machine],
) -> anyhow::Result<Vec<(Outcome, usize)>> {
    let start = Arc::new(Barrier::new(machines.len()));
    let mut tasks = JoinSet::new();
    for (index, machine) in machines.iter().cloned().enumerate() {
        let (caller, domain) = (Arc::clone(caller), Arc::clone(domain));
        let start = Arc::clone(&start);
        tasks.spawn(async move {
            start.wait().await;
            let request = Request::Register { known: None };
            until_answered(&caller, index, &domain, &machine, request).await
        });
    }
    let mut outcomes = Vec::with_capacity(machines.len());
    while let Some(task) = tasks.join_next().await {
        outcomes.push(task.context("a machine's task failed")??);
    }
    Ok(outcomes)
}

async fn until_answered(
    caller: &Caller,
    index: usize,
    domain: &Arc<DomainName>,
    machine: &Machine,
    request: Request,
) -> anyhow::Result<(Outcome, usize)> {
    let mut number = 0;
    loop {
        let server = (index + number) % caller.servers();
        let outcome = caller
            .ask(server, domain, Some(machine), request.clone())
            .await?;
        number += 1;
        let is_answered = !matches!(outcome, Outcome::NotSent | Outcome::Unknown { .. });
        if is_answered || number == TRIES {
            return Ok((outcome, number));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
