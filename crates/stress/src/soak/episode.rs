//! An episode of a soak: a load of everything at once on domains of its own, whose history is checked
//! at the end. Then the domains are deleted. So the history stays small, and at the end of each episode
//! the same domains are there.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anonymous_domains_client::Token;
use anonymous_domains_protocol::ids::DomainName;
use anonymous_domains_testkit::Usage;
use anyhow::Context as _;
use http::Method;
use tokio::task::{JoinSet, block_in_place};

use super::{
    asker::{Asker, Expected, Question},
    life,
    residents::Residents,
    strangers,
    tally::{Counts, Tally},
};
use crate::{
    caller::Caller,
    checker,
    clock::Clock,
    final_checks,
    http::{HttpClient, Source},
    local_cluster::{self, LocalCluster},
    random::Random,
    recovery,
    workload::{End, Plan, Workload},
};

/// The gateway that lives as long as the soak, and the one that is killed and ended.
pub const ELDER: usize = 0;
const YOUNGER: usize = 1;

/// How long the younger stays down at most.
const MAX_DOWNTIME: Duration = Duration::from_secs(2);
/// How often the gateways are measured under load.
const MEASURE_EVERY: Duration = Duration::from_millis(500);
/// How long an answer may take. More than the server's own limits.
const TIMEOUT: Duration = Duration::from_secs(75);

/// How much load there is.
#[derive(Debug, Clone)]
pub struct Load {
    /// How long it lasts in each episode.
    pub duration: Duration,
    /// The machines that join and leave, and how many send a request at a time.
    pub machines: usize,
    /// See `machines`.
    pub at_a_time: usize,
    /// How long each waits after a request, on average.
    pub pause: Duration,
    /// The domains that they join, at a time.
    pub domains: usize,
    /// After how many key versions such a domain is left for a new one.
    pub versions: u64,
    /// How long until the next flood.
    pub flood_every: Duration,
    /// How long nothing happens before the gateways are measured at rest.
    pub rest: Duration,
}

/// What happens to the gateways in an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Both get SIGHUP.
    Hangup,
    /// The younger is killed with SIGKILL, and started again.
    Kill,
    /// The younger ends by SIGTERM, and is started again.
    Terminate,
}

impl Event {
    /// What happens in this episode: by turns.
    pub fn of(episode: usize) -> Self {
        match episode % 4 {
            1 => Self::Kill,
            3 => Self::Terminate,
            _ => Self::Hangup,
        }
    }
}

/// What is there in all episodes.
pub struct Stage {
    /// The gateways.
    pub cluster: LocalCluster,
    /// Their admin token.
    pub token: Token,
    /// The domains that stay.
    pub residents: Residents,
    /// The names of all domains that were deleted.
    pub deleted_names: BTreeSet<String>,
    /// The seed of all choices.
    pub seed: u64,
}

/// What an episode has shown.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was asked, and what was wrong.
    pub counts: Counts,
    /// What the elder used under load, each time that it was measured.
    pub elder: Vec<Usage>,
    /// What the elder uses when all is over and no connection is left.
    pub elder_at_rest: Usage,
    /// Domains that were created and deleted.
    pub domains: usize,
    /// How many names such domains have had, in all episodes so far.
    pub names: usize,
    /// How many requests were checked as one history.
    pub checked: usize,
}

/// A caller that is as if new: without connections, without a history.
///
/// # Errors
///
/// When no gateway answers.
pub async fn new_caller(cluster: &LocalCluster, token: &Token) -> anyhow::Result<Caller> {
    Caller::new(client()?, cluster.urls(), Some(token), TIMEOUT).await
}

fn client() -> anyhow::Result<HttpClient> {
    Ok(HttpClient::new(TIMEOUT, None)?.from_source(Source::Many))
}

/// Runs an episode.
///
/// # Errors
///
/// When a request cannot be built, or a gateway does not start.
pub async fn run(stage: &mut Stage, load: &Load, number: usize) -> anyhow::Result<Outcome> {
    let tally = Arc::new(Tally::default());
    let mut random = Random::new(stage.seed, number as u64);
    let checked = Arc::new(new_caller(&stage.cluster, &stage.token).await?);
    let resident_caller = Arc::new(new_caller(&stage.cluster, &stage.token).await?);
    // Every other episode has the names of the one before it but one: they are used again. The others
    // have names that nobody had before.
    let prefix = match number % 2 {
        0 => "again".to_owned(),
        _ => format!("episode-{number}"),
    };
    let plan = Plan {
        machines: load.machines,
        domains: load.domains,
        concurrency: load.at_a_time,
        versions: load.versions,
        prefix: prefix.clone(),
        seed: stage.seed.wrapping_add(number as u64),
        pause: load.pause,
    };
    let workload = Arc::new(Workload::prepare(Arc::clone(&checked), plan).await?);
    let asker = Asker {
        http: client()?,
        servers: stage.cluster.urls().into(),
        admin: stage.token.header(),
        tally: Arc::clone(&tally),
        clock: Arc::new(Clock::default()),
    };
    let mut outcome = Outcome::default();

    let lived = Mutex::new(Vec::new());
    let is_over = AtomicBool::new(false);
    let others = Others {
        load,
        asker: &asker,
        caller: &resident_caller,
        residents: &stage.residents,
        lived: &lived,
        is_over: &is_over,
        prefix: &prefix,
    };
    let running = tokio::spawn({
        let workload = Arc::clone(&workload);
        async move { workload.run(End::default()).await }
    });
    let cluster = &mut stage.cluster;
    let usages = &mut outcome.elder;
    let events = async {
        let begin = Instant::now();
        let at = load.duration.mul_f64(random.below(600) as f64 / 1000.0);
        let mut is_done = false;
        while begin.elapsed() < load.duration || !is_done {
            tokio::time::sleep(MEASURE_EVERY.min(load.duration / 4)).await;
            usages.push(cluster.usage(ELDER)?);
            if !is_done && begin.elapsed() >= at {
                is_done = true;
                let event = Event::of(number);
                let downtime = MAX_DOWNTIME.min(load.duration) / 2;
                happen(event, downtime, cluster, &workload, &tally, &mut random).await?;
            }
        }
        is_over.store(true, Ordering::Relaxed);
        anyhow::Ok(())
    };
    let mut other_random = Random::new(stage.seed, u64::MAX - number as u64);
    let (events, others) = tokio::join!(events, others.run(&mut other_random));
    is_over.store(true, Ordering::Relaxed);
    workload.stop();
    running.await.context("the workload failed")??;
    events?;
    others?;

    let machines = workload.machines();
    let mut violations = final_checks::run(&checked, &machines, load.at_a_time).await?;
    let mut history = checked.history.take();
    stage.cluster.bound_unknown(&mut history);
    violations.extend(local_cluster::hanging(&history));
    violations.extend(checker::check(&history).violations);
    for violation in violations {
        tally.wrong(violation.to_string());
    }
    tally.add(&history, &checked.clock);
    tally.add(&resident_caller.history.take(), &resident_caller.clock);
    outcome.checked = history.len();
    let domains: BTreeSet<&str> = history.iter().map(|it| it.domain.as_str()).collect();
    delete(&asker, &domains, &mut random).await?;
    only_residents_are_left(&asker, &stage.residents).await?;
    let lived = lived.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome.domains = domains.len() + lived.len();
    let domains = domains.into_iter().map(str::to_owned);
    stage.deleted_names.extend(domains.chain(lived));
    outcome.names = stage.deleted_names.len();
    outcome.counts = tally.take();
    drop((workload, checked, resident_caller, asker));
    tokio::time::sleep(load.rest).await;
    outcome.elder_at_rest = at_rest(&stage.cluster).await?;
    Ok(outcome)
}

/// What the elder uses once it has noticed that no connection is left: soon after. Where some stay,
/// that is what is told.
async fn at_rest(cluster: &LocalCluster) -> anyhow::Result<Usage> {
    let mut usage = cluster.usage(ELDER)?;
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = cluster.usage(ELDER)?;
        if now.sockets == usage.sockets {
            return Ok(now);
        }
        usage = now;
    }
    Ok(usage)
}

/// Lets it happen. Who is made to end is down for about `downtime`.
async fn happen(
    event: Event,
    downtime: Duration,
    cluster: &mut LocalCluster,
    workload: &Workload,
    tally: &Tally,
    random: &mut Random,
) -> anyhow::Result<()> {
    if event == Event::Hangup {
        for server in 0..cluster.len() {
            block_in_place(|| cluster.hang_up(server))?;
        }
        return Ok(());
    }
    tally.begin_outage(YOUNGER);
    block_in_place(|| match event {
        Event::Kill => cluster.kill(YOUNGER),
        _ => cluster.terminate(YOUNGER),
    })?;
    random.pause_about(downtime).await;
    let start = workload.caller.clock.now();
    block_in_place(|| cluster.restart(YOUNGER))?;
    let both = [ELDER, YOUNGER];
    let name = format!("{event:?}");
    let recovery = recovery::wait(workload, &both, Instant::now(), &name).await?;
    for violation in recovery.violations {
        tally.wrong(violation.to_string());
    }
    cluster.record_restart(YOUNGER, start, workload.caller.clock.now());
    tally.end_outage(YOUNGER);
    Ok(())
}

/// All but the machines that join and leave.
struct Others<'a> {
    load: &'a Load,
    asker: &'a Asker,
    caller: &'a Caller,
    residents: &'a Residents,
    /// The names of the domains that have lived, in turn.
    lived: &'a Mutex<Vec<String>>,
    is_over: &'a AtomicBool,
    prefix: &'a str,
}

impl Others<'_> {
    /// Until it is over.
    async fn run(&self, random: &mut Random) -> anyhow::Result<()> {
        let (load, tally) = (self.load, &self.asker.tally);
        let mut lives = random.fork();
        let mut strays = random.fork();
        let mut floods = random.fork();
        let (domain, machine) = self.residents.a_domain();
        let residents = async {
            while !self.is_over() {
                self.residents.step(self.caller, random, tally).await?;
                random.pause_about(load.pause / 4).await;
            }
            anyhow::Ok(())
        };
        let lived = || self.lived.lock().unwrap_or_else(PoisonError::into_inner);
        let lives = async {
            while !self.is_over() {
                let number = lived().len();
                // As with the names of an episode's other domains.
                let name = match number % 2 {
                    0 => "life".to_owned(),
                    _ => format!("life-{}-{number}", self.prefix),
                };
                let domain = DomainName::parse(&name)?;
                life::live(self.asker, &domain, &mut lives, load.pause / 2).await?;
                lived().push(name);
            }
            anyhow::Ok(())
        };
        let strays = async {
            while !self.is_over() {
                strangers::stray(self.asker, domain, machine, &mut strays).await?;
                strays.pause_about(load.pause).await;
                strangers::look(self.asker, &mut strays).await?;
                strays.pause_about(load.pause).await;
            }
            anyhow::Ok(())
        };
        let floods = async {
            while !self.is_over() {
                strangers::flood(self.asker, domain, &mut floods).await?;
                let begin = Instant::now();
                while !self.is_over() && begin.elapsed() < load.flood_every {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            anyhow::Ok(())
        };
        let (a, b, c, d) = tokio::join!(residents, lives, strays, floods);
        a.and(b).and(c).and(d)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// Deletes domains, some at a time.
async fn delete(
    asker: &Asker,
    domains: &BTreeSet<&str>,
    random: &mut Random,
) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    for domain in domains {
        if tasks.len() >= 4
            && let Some(task) = tasks.join_next().await
        {
            task??;
        }
        let asker = asker.clone();
        let server = random.below(asker.servers.len());
        let domain = DomainName::parse(domain)?;
        tasks.spawn(async move { asker.delete(server, &domain).await });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(())
}

/// After an episode exactly the domains are there that stay.
async fn only_residents_are_left(asker: &Asker, residents: &Residents) -> anyhow::Result<()> {
    let list = Question::admin("admin: list", Method::GET, "?limit=1000");
    for server in 0..asker.servers.len() {
        let answer = asker.ask(server, &list, &[Expected::Status(200)]).await?;
        let Some(answer) = answer else { continue };
        let names = answer.json["domains"].as_array().into_iter().flatten();
        let names = names.filter_map(|domain| Some(domain["domain"].as_str()?.to_owned()));
        let names: BTreeSet<String> = names.collect();
        if names != residents.names() {
            asker
                .tally
                .wrong(format!("when all others are deleted, there are {names:?}"));
        }
    }
    Ok(())
}
