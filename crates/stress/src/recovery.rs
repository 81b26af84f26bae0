//! How soon servers serve again after a failure.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anonymous_domains_protocol::ids::DomainName;
use anonymous_domains_testkit::Guarantee;
use anyhow::Context as _;
use tokio::task::JoinSet;

use crate::{
    caller::Caller,
    checker::Violation,
    history::{Outcome, Request},
    machine::Machine,
    workload::Workload,
};

/// How soon a registration must be answered: the longest time that the claim of a dead process on a
/// key is valid (10 s for RSA-2048), plus a large margin for a busy machine.
const MAX_RECOVERY: Duration = Duration::from_secs(120);

/// What was seen of a recovery.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Until a registration was answered in every domain.
    pub longest: Duration,
    /// The domains in which it took too long.
    pub violations: Vec<Violation>,
}

/// Waits until each of `servers` answered a registration in every domain after `event`, such as
/// `kill 3`, which was over at `since`. Asks them all in all domains at once.
///
/// # Errors
///
/// When a request cannot be built.
pub async fn wait(
    workload: &Workload,
    servers: &[usize],
    since: Instant,
    event: &str,
) -> anyhow::Result<Recovery> {
    let mut tasks = JoinSet::new();
    for (domain, probe) in workload.probes() {
        for &server in servers {
            let caller = Arc::clone(&workload.caller);
            let (domain, probe) = (Arc::clone(&domain), probe.clone());
            tasks.spawn(async move {
                let time = first_registration(&caller, server, &domain, &probe, since).await?;
                anyhow::Ok((server, domain, time))
            });
        }
    }
    let mut recovery = Recovery::default();
    while let Some(task) = tasks.join_next().await {
        let (server, domain, time) = task.context("a probe's task failed")??;
        recovery.longest = recovery.longest.max(time);
        if time > MAX_RECOVERY {
            recovery.violations.push(Violation::new(
                Guarantee::Recovery,
                format!(
                    "after {event}, no registration in {domain} was answered by server {server} \
                     within {} s",
                    MAX_RECOVERY.as_secs()
                ),
                [],
            ));
        }
    }
    Ok(recovery)
}

/// How long after `since` the probe was answered. Gives up soon after [`MAX_RECOVERY`].
async fn first_registration(
    caller: &Caller,
    server: usize,
    domain: &Arc<DomainName>,
    probe: &Machine,
    since: Instant,
) -> anyhow::Result<Duration> {
    loop {
        let request = Request::Register { known: None };
        let outcome = caller.ask(server, domain, Some(probe), request).await?;
        let time = since.elapsed();
        if matches!(outcome, Outcome::Registered { .. }) || time > MAX_RECOVERY {
            return Ok(time);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
