//! The herd: very many machines that arrive at the same moment.

use crate::caller::Caller;
use crate::checker::{Promise, Violation};
use crate::history::{Outcome, Request};
use crate::machine::{self, Machine};
use anonymous_domains_protocol::ids::DomainName;
use anyhow::Context as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// How often each machine asks until it is answered.
const TRIES: usize = 60;
/// How long it waits before it asks again.
const PAUSE: Duration = Duration::from_secs(1);

/// How a herd fared.
#[derive(Debug)]
pub struct Herd {
    /// How many machines it was of.
    pub machines: usize,
    /// From the moment that they were let go to the last answer, on the fresh domain and after the
    /// departure.
    pub times: [Duration; 2],
    /// How many requests it took.
    pub requests: [usize; 2],
    /// What was wrong, beyond what the history shows.
    pub violations: Vec<Violation>,
}

/// Lets `number` machines join the fresh domain `name` at once; then one leaves, and all ask at
/// once.
///
/// # Errors
///
/// When a request cannot be put together.
pub async fn run(caller: &Arc<Caller>, name: &str, number: usize) -> anyhow::Result<Herd> {
    let domain = Arc::new(DomainName::parse(name)?);
    let machines = machine::make(number);
    let mut herd = Herd {
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
                herd.fail(Promise::Recovery, format!("nobody could leave {domain}"));
                return Ok(herd);
            }
        }
        let expected = round as u64 + 1;
        let begun = Instant::now();
        let outcomes = arrive(caller, &domain, &machines).await?;
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
                Promise::Recovery,
                format!("{without_answer} of {number} machines could not join {domain}"),
            );
        }
        told.sort_unstable();
        told.dedup();
        if told != [expected] {
            herd.fail(
                Promise::SingleFlight,
                format!("the newest version of {domain} was to be {expected} for all: {told:?}"),
            );
        }
    }
    let looks = if caller.is_operator() {
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
    for look in looks {
        caller.ask(0, &domain, None, look).await?;
    }
    Ok(herd)
}

impl Herd {
    fn fail(&mut self, promise: Promise, text: String) {
        self.violations.push(Violation {
            promise,
            text,
            operations: Vec::new(),
        });
    }
}

/// All ask at once; each outcome comes with the number of requests that it took.
async fn arrive(
    caller: &Arc<Caller>,
    domain: &Arc<DomainName>,
    machines: &[Machine],
) -> anyhow::Result<Vec<(Outcome, usize)>> {
    let gate = Arc::new(Barrier::new(machines.len()));
    let mut tasks = JoinSet::new();
    for (index, machine) in machines.iter().cloned().enumerate() {
        let (caller, domain) = (Arc::clone(caller), Arc::clone(domain));
        let gate = Arc::clone(&gate);
        tasks.spawn(async move {
            gate.wait().await;
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
