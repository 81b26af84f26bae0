//! A soak: two gateways on one store under a steady load of everything, for an hour. Does anything
//! grow?
//!
//! One of the gateways lives as long as the soak, the other is killed or ended every other minute.
//! The load comes in [`episode`]s of a minute, each of which is checked for itself and deletes its
//! domains: so the store should be as large after an hour as after some minutes. [`residents`] stay
//! throughout, and nobody may notice anything there.

pub mod asker;
pub mod episode;
pub mod life;
pub mod report;
pub mod residents;
pub mod store_size;
pub mod strangers;
pub mod tally;
pub mod trend;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::local_cluster::{LocalCluster, Setup, Store};
use episode::{ELDER, Load, Stage};
use report::{Report, Sample};
use residents::Residents;
use store_size::StoreSize;

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Soak {
    /// The gateway's program.
    pub program: PathBuf,
    /// The component.
    pub component: PathBuf,
    /// More of the component's settings, `name=value`.
    pub settings: Vec<String>,
    /// How many episodes there are, and how long each takes at least.
    pub episodes: usize,
    /// See `episodes`.
    pub episode: Duration,
    /// What happens in each.
    pub load: Load,
    /// The domains that stay, and how many members each has.
    pub residents: (usize, usize),
    /// The seed of all choices.
    pub seed: u64,
}

impl Soak {
    /// Some 150 requests a second for so many minutes.
    pub fn of_minutes(
        minutes: usize,
        program: PathBuf,
        component: PathBuf,
        settings: Vec<String>,
        seed: u64,
    ) -> Self {
        Self {
            program,
            component,
            settings,
            episodes: minutes,
            episode: Duration::from_secs(60),
            load: Load {
                duration: Duration::from_secs(44),
                machines: 60,
                at_a_time: 8,
                pause: Duration::from_millis(90),
                domains: 4,
                versions: 25,
                flood_every: Duration::from_secs(10),
                // Longer than the component's instances are kept for.
                rest: Duration::from_secs(6),
            },
            residents: (4, 25),
            seed,
        }
    }

    /// Some seconds of few requests: with it all is tried once.
    pub fn quick(self) -> Self {
        Self {
            episodes: 4,
            episode: Duration::ZERO,
            load: Load {
                duration: Duration::from_millis(600),
                machines: 10,
                at_a_time: 4,
                pause: Duration::from_millis(20),
                domains: 2,
                rest: Duration::ZERO,
                ..self.load
            },
            residents: (1, 3),
            ..self
        }
    }

    /// Runs it. `tell` gets each sample.
    ///
    /// # Errors
    ///
    /// When a request cannot be built, or a gateway does not start.
    pub async fn run(&self, mut tell: impl FnMut(&Sample)) -> anyhow::Result<Report> {
        let setup = Setup {
            program: self.program.clone(),
            component: self.component.clone(),
            gateways: 2,
            store: Store::Sqlite,
            settings: self.settings.clone(),
            limits: [
                "--trusted-proxy",
                "127.0.0.0/8",
                "--rate-limit-client",
                "20/s:20",
            ]
            .map(str::to_owned)
            .to_vec(),
            has_audit_log: true,
        };
        let cluster = tokio::task::block_in_place(|| LocalCluster::start(&setup))?;
        let token = cluster.admin_token()?;
        let (domains, members) = self.residents;
        let caller = episode::new_caller(&cluster, &token).await?;
        let residents = Residents::join(&caller, domains, members).await?;
        drop(caller);
        let mut stage = Stage {
            cluster,
            token,
            residents,
            deleted_names: BTreeSet::new(),
            seed: self.seed,
        };
        let begin = Instant::now();
        let mut report = Report::default();
        for number in 0..self.episodes {
            let end = begin + self.episode * u32::try_from(number + 1)?;
            let episode = episode::run(&mut stage, &self.load, number).await;
            if episode.is_err() {
                let directory = stage.cluster.keep();
                eprintln!(
                    "soak: the gateways' logs and state stay in {}",
                    directory.display()
                );
            }
            let episode = episode.with_context(|| format!("episode {number}"))?;
            let store = StoreSize::measure(&stage.cluster.state())?;
            let sample = Sample {
                seconds: begin.elapsed().as_secs_f64(),
                episode,
                store,
            };
            tell(&sample);
            report.samples.push(sample);
            tokio::time::sleep_until(end.into()).await;
        }
        for server in ELDER..stage.cluster.len() {
            let log = stage.cluster.log(server);
            let lines = log
                .lines()
                .filter(|line| line.contains("ERROR") || line.contains("panicked"));
            let lines = lines.map(|line| format!("gateway {server} logged: {line}"));
            report.wrong.extend(lines.take(10));
        }
        report.judge();
        if !report.wrong.is_empty() {
            let directory = stage.cluster.keep();
            eprintln!(
                "soak: the gateways' logs and state stay in {}",
                directory.display()
            );
        }
        Ok(report)
    }
}
