//! Kills the gateways of a local cluster under load, and starts them again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anonymous_domains_protocol::ids::DomainName;
use anonymous_domains_testkit::Guarantee;
use anyhow::Context as _;
use tokio::task::{JoinSet, block_in_place};

use crate::{
    caller::Caller,
    checker::Violation,
    history::{Outcome, Request},
    local_cluster::LocalCluster,
    machine::Machine,
    random::Random,
    workload::Workload,
};

/// How soon after a kill a registration must be answered: the longest time that the claim of a
/// dead process on a key is valid (10 s for RSA-2048), plus a margin for a busy machine.
const MAX_RECOVERY: Duration = Duration::from_secs(30);
/// How long a gateway runs under load before it is killed.
const UPTIME_MS: std::ops::Range<usize> = 50..1500;
/// How long it stays down.
const DOWNTIME_MS: std::ops::Range<usize> = 0..200;

/// The result of a series of kills.
#[derive(Debug, Default)]
pub struct KillReport {
    /// How often a gateway was killed.
    pub kills: usize,
    /// The longest time from a start to the line that says that the gateway is listening.
    pub longest_start: Duration,
    /// The longest time from a kill, or from a start, to a registration in each domain.
    pub longest_recovery: Duration,
    /// What was wrong.
    pub violations: Vec<Violation>,
}

/// Kills the gateways one after another, each at a random moment, and starts them again. After
/// each kill another gateway, if there is one, must answer a registration in every domain. After
/// each start the restarted gateway must do so too.
///
/// # Errors
///
/// When a gateway does not start again.
pub async fn run(
    cluster: &mut LocalCluster,
    workload: &Workload,
    kills: usize,
    random: &mut Random,
) -> anyhow::Result<KillReport> {
    let caller = &workload.caller;
    let mut report = KillReport::default();
    for number in 0..kills {
        pause(UPTIME_MS, random).await;
        let server = number % cluster.len();
        block_in_place(|| cluster.kill(server))?;
        report.kills += 1;
        if cluster.len() > 1 {
            let other = (server + 1) % cluster.len();
            wait_for_recovery(caller, workload, other, &mut report).await?;
        }
        pause(DOWNTIME_MS, random).await;
        let start = caller.clock.now();
        let took = block_in_place(|| cluster.restart(server))?;
        report.longest_start = report.longest_start.max(took);
        wait_for_recovery(caller, workload, server, &mut report).await?;
        // Whatever the previous process left behind, such as a command on its way to Redis, has
        // ended by now: the commands of the new process came after it, and were answered.
        cluster.record_restart(server, start, caller.clock.now());
        if (number + 1) % 10 == 0 {
            eprintln!("{} kills, {} operations", number + 1, caller.history.len());
        }
    }
    Ok(report)
}

async fn pause(range_ms: std::ops::Range<usize>, random: &mut Random) {
    let pause = range_ms.start + random.below(range_ms.len());
    tokio::time::sleep(Duration::from_millis(pause as u64)).await;
}

/// Waits until a registration was answered in every domain. Asks in all domains at once.
async fn wait_for_recovery(
    caller: &Arc<Caller>,
    workload: &Workload,
    server: usize,
    report: &mut KillReport,
) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    for (domain, probe) in workload.probes() {
        let caller = Arc::clone(caller);
        tasks.spawn(async move {
            let time = first_registration(&caller, server, &domain, &probe).await?;
            anyhow::Ok((domain, time))
        });
    }
    while let Some(task) = tasks.join_next().await {
        let (domain, time) = task.context("a probe's task failed")??;
        report.longest_recovery = report.longest_recovery.max(time);
        if time > MAX_RECOVERY {
            report.violations.push(Violation::new(
                Guarantee::Recovery,
                format!(
                    "after kill {}, no registration in {domain} was answered by server {server} \
                     within {} s",
                    report.kills,
                    MAX_RECOVERY.as_secs()
                ),
                [],
            ));
        }
    }
    Ok(())
}

/// How long it took until the probe was answered. Gives up soon after [`MAX_RECOVERY`].
async fn first_registration(
    caller: &Caller,
    server: usize,
    domain: &Arc<DomainName>,
    probe: &Machine,
) -> anyhow::Result<Duration> {
    let start = Instant::now();
    loop {
        let request = Request::Register { known: None };
        let outcome = caller.ask(server, domain, Some(probe), request).await?;
        let time = start.elapsed();
        if matches!(outcome, Outcome::Registered { .. }) || time > MAX_RECOVERY {
            return Ok(time);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
