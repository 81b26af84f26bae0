//! Fails PostgreSQL's primary under load, and has the standby take its place.
//!
//! Each commit waits for the standby, so whatever was acknowledged is there. The old primary becomes
//! the standby of the new one, and so on.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::task::block_in_place;

use crate::{
    checker::Violation, local_cluster::LocalCluster, postgres_pair::PostgresPair, random::Random,
    recovery, workload::Workload,
};

/// How long there is load before the primary fails.
const UPTIME_MS: Range<usize> = 200..3000;
/// How long until the operator notices that the primary has ended.
const NOTICE_MS: Range<usize> = 0..500;
/// How long before a stall one of the gateways has nothing to do, so that its connections to the
/// primary are idle.
const REST: Duration = Duration::from_millis(300);
/// How long an operator who cannot turn the old primary off waits before the standby is promoted, as
/// `docs/operate/postgres.md` says.
const SILENCE: Duration = Duration::from_secs(5);
/// How long a stalled primary is away after the new one serves, if it is not back at once.
const ABSENCE_MS: Range<usize> = 0..1500;
/// How long it stays then.
const PRESENCE_MS: Range<usize> = 500..2500;

/// How the primary fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// All its processes are killed: its clients' connections end, and it takes no new ones.
    Killed,
    /// Nothing is answered and its connections stay open, as when its network stalls. When the
    /// standby has taken its place it comes back, and is a primary too for those who ask it.
    Stalled,
    /// Its operator ends it: its clients are told.
    Stopped,
}

impl Failure {
    const IN_TURN: [Self; 3] = [Self::Killed, Self::Stalled, Self::Stopped];
}

/// The result of a series of failovers.
#[derive(Debug, Default)]
pub struct FailoverReport {
    /// How often the standby became the primary.
    pub failovers: usize,
    /// The longest time from a failure to a registration in each domain.
    pub longest_outage: Duration,
    /// The longest time from the promotion to a registration in each domain by each gateway.
    pub longest_recovery: Duration,
    /// What was wrong.
    pub violations: Vec<Violation>,
}

/// Fails the primary again and again, each time at a random moment, and has the standby take its
/// place. After each failover every gateway must answer a registration in every domain by itself.
///
/// # Errors
///
/// When the servers cannot be controlled.
pub async fn run(
    cluster: &mut LocalCluster,
    workload: &Workload,
    failovers: usize,
    random: &mut Random,
) -> anyhow::Result<FailoverReport> {
    let gateways = cluster.len();
    let pair = cluster
        .postgres_pair()
        .context("there is no standby to fail over to")?;
    let mut run = Run {
        pair,
        workload,
        random,
        report: FailoverReport::default(),
    };
    for number in 0..failovers {
        run.random.pause(UPTIME_MS).await;
        run.report.failovers += 1;
        let failure = Failure::IN_TURN[number % Failure::IN_TURN.len()];
        if failure == Failure::Stalled {
            // Each gateway is the idle one by turns.
            run.stall(number / Failure::IN_TURN.len() % gateways, gateways)
                .await?;
        } else {
            run.end(failure, gateways).await?;
        }
        block_in_place(|| run.pair.rebuild_standby())?;
    }
    Ok(run.report)
}

/// What a series needs.
struct Run<'a> {
    pair: &'a mut PostgresPair,
    workload: &'a Workload,
    random: &'a mut Random,
    report: FailoverReport,
}

impl Run<'_> {
    async fn end(&mut self, failure: Failure, gateways: usize) -> anyhow::Result<()> {
        let failed = Instant::now();
        block_in_place(|| match failure {
            Failure::Stopped => self.pair.primary().stop(),
            _ => self.pair.primary().kill(),
        })?;
        self.random.pause(NOTICE_MS).await;
        block_in_place(|| self.pair.promote())?;
        let all: Vec<_> = (0..gateways).collect();
        self.serve_again(failure, failed, &all).await
    }

    async fn stall(&mut self, idle: usize, gateways: usize) -> anyhow::Result<()> {
        let (idle, busy): (Vec<_>, Vec<_>) =
            (0..gateways).partition(|&server| server == idle && gateways > 1);
        self.workload.spare(idle.first().copied());
        tokio::time::sleep(REST).await;
        let failed = Instant::now();
        block_in_place(|| self.pair.primary().stall())?;
        tokio::time::sleep(SILENCE).await;
        block_in_place(|| self.pair.promote())?;
        let is_back_at_once = self.random.percent(50);
        if is_back_at_once {
            block_in_place(|| self.pair.standby().resume())?;
        }
        self.serve_again(Failure::Stalled, failed, &busy).await?;
        if !is_back_at_once {
            self.random.pause(ABSENCE_MS).await;
            block_in_place(|| self.pair.standby().resume())?;
        }
        // The idle gateway did not notice anything. Whether it answers as the new primary would is
        // for the checker to judge.
        self.recover(&idle, Instant::now()).await?;
        self.workload.spare(None);
        self.random.pause(PRESENCE_MS).await;
        let waiting = block_in_place(|| {
            let waiting = self.pair.commits_that_wait_at_the_old_primary()?;
            self.pair.standby().kill()?;
            anyhow::Ok(waiting)
        })?;
        println!("    the old primary was back, and {waiting} commits waited there unanswered");
        Ok(())
    }

    /// Waits until `servers` serve again, after the standby was promoted now and the primary failed
    /// at `failed`.
    async fn serve_again(
        &mut self,
        failure: Failure,
        failed: Instant,
        servers: &[usize],
    ) -> anyhow::Result<()> {
        let promoted = Instant::now();
        let recovery = self.recover(servers, promoted).await?;
        let outage = promoted - failed + recovery;
        self.report.longest_outage = self.report.longest_outage.max(outage);
        println!(
            "failover {}, {failure:?}: every domain registered {:.1} s after the failure, {:.1} s \
             after the promotion",
            self.report.failovers,
            outage.as_secs_f64(),
            recovery.as_secs_f64()
        );
        Ok(())
    }

    /// Waits until `servers` serve, and returns how long after `since` that was.
    async fn recover(&mut self, servers: &[usize], since: Instant) -> anyhow::Result<Duration> {
        let event = format!("failover {}", self.report.failovers);
        let recovery = recovery::wait(self.workload, servers, since, &event).await?;
        self.report.longest_recovery = self.report.longest_recovery.max(recovery.longest);
        self.report.violations.extend(recovery.violations);
        Ok(recovery.longest)
    }
}
