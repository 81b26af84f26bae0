//! Kills the gateways of a local cluster under load, and starts them again.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use tokio::task::block_in_place;

use crate::{
    checker::Violation, local_cluster::LocalCluster, random::Random, recovery, workload::Workload,
};

/// How long a gateway runs under load before it is killed.
const UPTIME_MS: Range<usize> = 50..1500;
/// How long it stays down.
const DOWNTIME_MS: Range<usize> = 0..200;

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
        random.pause(UPTIME_MS).await;
        let server = number % cluster.len();
        block_in_place(|| cluster.kill(server))?;
        report.kills += 1;
        if cluster.len() > 1 {
            let other = (server + 1) % cluster.len();
            report.recover(workload, other).await?;
        }
        random.pause(DOWNTIME_MS).await;
        let start = caller.clock.now();
        let took = block_in_place(|| cluster.restart(server))?;
        report.longest_start = report.longest_start.max(took);
        report.recover(workload, server).await?;
        // Whatever the previous process left behind, such as a command on its way to Redis, has
        // ended by now: the commands of the new process came after it, and were answered.
        cluster.record_restart(server, start, caller.clock.now());
        if (number + 1) % 10 == 0 {
            eprintln!("{} kills, {} operations", number + 1, caller.history.len());
        }
    }
    Ok(report)
}

impl KillReport {
    async fn recover(&mut self, workload: &Workload, server: usize) -> anyhow::Result<()> {
        let event = format!("kill {}", self.kills);
        let recovery = recovery::wait(workload, &[server], Instant::now(), &event).await?;
        self.longest_recovery = self.longest_recovery.max(recovery.longest);
        self.violations.extend(recovery.violations);
        Ok(())
    }
}
