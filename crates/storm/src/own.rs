//! Gateways of the storm's own: started on a state directory that is removed at the end, killed
//! under load, and started again.

mod gateway;
mod redis;

use crate::caller::Caller;
use crate::checker::{Promise, Violation};
use crate::clock::{Clock, Moment};
use crate::history::{Lost, Operation, Outcome, Request};
use crate::load::Storm;
use crate::machine::Machine;
use crate::random::Random;
use anonymous_domains_client::{Token, files};
use anonymous_domains_protocol::ids::DomainName;
use anyhow::Context as _;
use gateway::Gateway;
use redis::Redis;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// Within this a registration must be answered after a gateway was killed: the longest time that a
/// dead maker's claim on a key stands (10 s for RSA-2048), and as much again as a busy machine may
/// need.
const RECOVERY: Duration = Duration::from_secs(30);
/// How long a gateway lives under load before it is killed.
const LIFE_MS: std::ops::Range<usize> = 50..1500;
/// How long it stays dead.
const DEATH_MS: std::ops::Range<usize> = 0..200;

/// What gateways to run.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The gateway's program.
    pub program: PathBuf,
    /// The component.
    pub component: PathBuf,
    /// How many gateways share the store.
    pub gateways: usize,
    /// Where the store is.
    pub store: Store,
    /// More of the component's settings, `name=value`.
    pub settings: Vec<String>,
}

/// Where the tables are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// In the state directory.
    Sqlite,
    /// In a redis-server that the storm starts itself.
    OwnRedis,
    /// Where this URL says.
    Url(String),
}

/// Running gateways.
pub struct Fleet {
    gateways: Vec<Gateway>,
    lives: Mutex<Vec<Life>>,
    _redis: Option<Redis>,
    /// Removed when all that use it are gone.
    directory: TempDir,
}

/// From a gateway's start to when nothing of it is left.
#[derive(Debug, Clone, Copy)]
struct Life {
    server: usize,
    begun: Moment,
    over: Option<Moment>,
}

/// How the killing went.
#[derive(Debug, Default)]
pub struct Kills {
    /// How often a gateway was killed.
    pub kills: usize,
    /// The longest from a start to the line that says that it serves.
    pub longest_start: Duration,
    /// The longest from a kill, or from a start, to a registration in each domain.
    pub longest_recovery: Duration,
    /// What was wrong.
    pub violations: Vec<Violation>,
}

impl Fleet {
    /// Starts the gateways.
    ///
    /// # Errors
    ///
    /// When one of them, or Redis, does not start.
    pub async fn start(setup: &Setup) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("storm-").tempdir()?;
        let state = directory.path().join("state");
        let (redis, store) = match &setup.store {
            Store::Sqlite => (None, None),
            Store::Url(url) => (None, Some(url.clone())),
            Store::OwnRedis => {
                let redis = Redis::start(&directory.path().join("redis")).await?;
                let url = redis.url();
                (Some(redis), Some(url))
            }
        };
        let mut gateways = Vec::new();
        for number in 0..setup.gateways {
            let log = directory.path().join(format!("gateway-{number}.log"));
            let mut gateway = Gateway::new(setup, &state, store.as_deref(), log)?;
            gateway.start().await?;
            gateways.push(gateway);
        }
        let lives = (0..gateways.len()).map(|server| Life {
            server,
            begun: 0,
            over: None,
        });
        Ok(Self {
            lives: Mutex::new(lives.collect()),
            gateways,
            _redis: redis,
            directory,
        })
    }

    /// The gateways' origins.
    pub fn urls(&self) -> Vec<String> {
        self.gateways.iter().map(Gateway::url).collect()
    }

    /// The token that the first start made.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn admin_token(&self) -> anyhow::Result<Token> {
        let file = self.directory.path().join("state/admin-token");
        files::token_in_file(&file).map_err(anyhow::Error::msg)
    }

    /// Keeps the directory with the gateways' logs, and says where it is.
    pub fn keep(&mut self) -> PathBuf {
        self.directory.disable_cleanup(true);
        self.directory.path().to_path_buf()
    }

    /// Kills gateways in turn under the storm's load, each at a random moment, and starts them
    /// again. After each kill another gateway, if there is one, and after each start the one that
    /// was killed must answer a registration in every domain.
    ///
    /// # Errors
    ///
    /// When a gateway does not start again.
    pub async fn kill(
        &mut self,
        storm: &Storm,
        kills: usize,
        random: &mut Random,
    ) -> anyhow::Result<Kills> {
        let caller = &storm.caller;
        let mut result = Kills::default();
        for number in 0..kills {
            let pause = LIFE_MS.start + random.below(LIFE_MS.len());
            tokio::time::sleep(Duration::from_millis(pause as u64)).await;
            let server = number % self.gateways.len();
            self.gateways[server].kill().await?;
            result.kills += 1;
            if self.gateways.len() > 1 {
                let other = (server + 1) % self.gateways.len();
                recover(caller, storm, other, &mut result).await?;
            }
            let pause = DEATH_MS.start + random.below(DEATH_MS.len());
            tokio::time::sleep(Duration::from_millis(pause as u64)).await;
            let begun = caller.clock.now();
            let started = Instant::now();
            self.gateways[server].start().await?;
            result.longest_start = result.longest_start.max(started.elapsed());
            recover(caller, storm, server, &mut result).await?;
            self.new_life(server, begun, &caller.clock);
            if (number + 1) % 10 == 0 {
                eprintln!("{} kills, {} operations", number + 1, caller.history.len());
            }
        }
        Ok(result)
    }

    /// What the former life left behind, such as a command on its way to Redis, has surely come to
    /// its end before the new one answered: its own commands came behind.
    fn new_life(&self, server: usize, begun: Moment, clock: &Clock) {
        let mut lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        let former = lives.iter_mut().rev().find(|life| life.server == server);
        if let Some(life) = former {
            life.over = Some(clock.now());
        }
        lives.push(Life {
            server,
            begun,
            over: None,
        });
    }

    /// A request to a gateway that was killed is over with it: tells the history so.
    pub fn bound_unknown(&self, history: &mut [Operation]) {
        let lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        for operation in history {
            let Outcome::Unknown { until, .. } = &mut operation.outcome else {
                continue;
            };
            // The life that the request may have been in: the latest begun before its end.
            let life = lives
                .iter()
                .rev()
                .find(|life| life.server == operation.server && life.begun <= operation.end);
            if let Some(over) = life.and_then(|life| life.over) {
                *until = (*until).min(over.max(operation.end));
            }
        }
    }
}

/// Requests that got no answer at all, though a gateway answers or ends within its own limits.
pub fn hanging(history: &[Operation]) -> Option<Violation> {
    let mut hanging = history.iter().filter(|operation| {
        matches!(
            operation.outcome,
            Outcome::Unknown {
                why: Lost::TimedOut,
                ..
            }
        )
    });
    let first = hanging.next()?;
    Some(Violation::new(
        Promise::Recovery,
        "requests had no answer in the time that the storm waits",
        std::iter::once(first).chain(hanging),
    ))
}

/// Waits until a registration was answered in every domain, all at once.
async fn recover(
    caller: &Arc<Caller>,
    storm: &Storm,
    server: usize,
    result: &mut Kills,
) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    for (domain, witness) in storm.witnesses() {
        let caller = Arc::clone(caller);
        tasks.spawn(async move {
            let time = first_registration(&caller, server, &domain, &witness).await?;
            anyhow::Ok((domain, time))
        });
    }
    while let Some(task) = tasks.join_next().await {
        let (domain, time) = task.context("a witness's task failed")??;
        result.longest_recovery = result.longest_recovery.max(time);
        if time > RECOVERY {
            result.violations.push(Violation {
                promise: Promise::Recovery,
                text: format!(
                    "after kill {}, no registration in {domain} was answered by server {server} \
                     within {} s",
                    result.kills,
                    RECOVERY.as_secs()
                ),
                operations: Vec::new(),
            });
        }
    }
    Ok(())
}

/// How long it took until the witness was answered, or longer than it may.
async fn first_registration(
    caller: &Caller,
    server: usize,
    domain: &Arc<DomainName>,
    witness: &Machine,
) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    loop {
        let request = Request::Register { known: None };
        let outcome = caller.ask(server, domain, Some(witness), request).await?;
        let time = begun.elapsed();
        if matches!(outcome, Outcome::Registered { .. }) || time > RECOVERY {
            return Ok(time);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
