//! Honest clients: machines that are members and ask again, machines that come to new domains, and
//! readers.

use std::{
    cell::RefCell,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anonymous_domains_protocol::jwk::KeyType;
use anonymous_domains_testkit::Latencies;
use anyhow::{Context as _, ensure};
use tokio::time::{Instant, sleep_until, timeout};

use crate::{
    requests::{Machine, Requests},
    wire::Wire,
};

/// Where honest clients connect from.
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// How long an honest client waits for an answer. Far above what is to be expected, since a slow
/// answer is no error.
const PATIENCE: Duration = Duration::from_secs(120);

/// The machines that are members.
const MEMBERS: usize = 8;

/// What honest clients do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A member asks for its credentials again.
    SteadyJoin,
    /// A machine is the first in a new domain.
    FirstJoin,
    /// Somebody asks about a domain.
    Read,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SteadyJoin, Self::FirstJoin, Self::Read];

    /// What a report calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SteadyJoin => "steady join",
            Self::FirstJoin => "first join",
            Self::Read => "read",
        }
    }

    /// How many connections share its requests, and how many come a second.
    fn load(self, has_slow_keys: bool) -> (u32, f64) {
        match self {
            Self::SteadyJoin => (4, 40.0),
            Self::FirstJoin if has_slow_keys => (2, 0.5),
            Self::FirstJoin => (2, 5.0),
            Self::Read => (4, 40.0),
        }
    }
}

/// What honest clients noticed.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Response times by kind, from the moment when a request was due.
    pub latencies: [Latencies; 3],
    /// What failed; of many failures the first.
    pub errors: Vec<String>,
    /// How many requests failed.
    pub failed: u64,
}

impl Sample {
    /// Adds another one.
    pub fn add(&mut self, other: Self) {
        for (sum, latencies) in self.latencies.iter_mut().zip(&other.latencies) {
            sum.add(latencies);
        }
        self.failed += other.failed;
        self.errors.extend(other.errors);
        self.errors.truncate(5);
    }

    /// The 99th percentile of a kind, in milliseconds.
    pub fn p99_ms(&self, kind: Kind) -> Option<f64> {
        self.latencies[kind as usize].percentile_ms(0.99)
    }
}

/// The honest clients.
#[derive(Debug)]
pub struct Honest {
    server: SocketAddr,
    /// The domain of those that are members.
    pub domain: String,
    members: Vec<Machine>,
    has_slow_keys: bool,
}

impl Honest {
    /// Makes machines and lets them join.
    ///
    /// # Errors
    ///
    /// If one cannot.
    pub fn settle(server: SocketAddr, domain: String, has_slow_keys: bool) -> anyhow::Result<Self> {
        let honest = Self {
            server,
            domain,
            members: (0..MEMBERS)
                .map(|_| Machine::new(KeyType::EcP256))
                .collect(),
            has_slow_keys,
        };
        block_on(async {
            let requests = honest.requests(100);
            let mut wire = Wire::connect(SOURCE, server).await?;
            for member in &honest.members {
                wire.send(&requests.join(&honest.domain, member)).await?;
                let answer = wire.answer().await?;
                let text = String::from_utf8_lossy(&answer.body);
                ensure!(answer.status == 200, "the first joins: {text}");
            }
            Ok(honest)
        })?
    }

    /// Each kind has an address of its own, so that no limit is reached honestly.
    fn requests(&self, number: usize) -> Requests {
        Requests {
            server: self.server,
            client: format!("198.51.100.{number}"),
        }
    }

    /// Asks for a time. `prefix` begins the names of new domains.
    ///
    /// # Errors
    ///
    /// If there are no tasks; failures of requests are counted.
    pub fn run(&self, duration: Duration, prefix: &str) -> anyhow::Result<Sample> {
        block_on(async {
            let sample = RefCell::new(Sample::default());
            let start = Instant::now() + Duration::from_millis(20);
            let end = start + duration;
            let steady = self.ask(Kind::SteadyJoin, start, end, prefix, &sample);
            let first = self.ask(Kind::FirstJoin, start, end, prefix, &sample);
            let read = self.ask(Kind::Read, start, end, prefix, &sample);
            tokio::join!(steady, first, read);
            sample.into_inner()
        })
    }

    async fn ask(
        &self,
        kind: Kind,
        start: Instant,
        end: Instant,
        prefix: &str,
        sample: &RefCell<Sample>,
    ) {
        let (connections, rate) = kind.load(self.has_slow_keys);
        let period = Duration::from_secs_f64(f64::from(connections) / rate);
        let client = async |number: u32| {
            let mut due = start + period * number / connections;
            let mut wire = None;
            let mut count = 0;
            // Each asks at least once.
            while due < end || count == 0 {
                sleep_until(due).await;
                let request = self.request(kind, number, count, prefix);
                let result = timeout(PATIENCE, self.exchange(&mut wire, &request)).await;
                let mut sample = sample.borrow_mut();
                match result.context("no answer").flatten() {
                    Ok(()) => sample.latencies[kind as usize].record(due.elapsed()),
                    Err(error) => {
                        wire = None;
                        sample.failed += 1;
                        if sample.errors.len() < 5 {
                            sample.errors.push(format!("a {}: {error:#}", kind.name()));
                        }
                    }
                }
                drop(sample);
                due += period;
                count += 1;
            }
        };
        match connections {
            2 => drop(tokio::join!(client(0), client(1))),
            _ => drop(tokio::join!(client(0), client(1), client(2), client(3))),
        }
    }

    fn request(&self, kind: Kind, number: u32, count: u32, prefix: &str) -> Vec<u8> {
        let requests = self.requests(kind as usize + 1);
        let member = (number * 2 + count % 2) as usize % MEMBERS;
        match kind {
            Kind::SteadyJoin => requests.join(&self.domain, &self.members[member]),
            Kind::FirstJoin => {
                requests.join(&format!("{prefix}-{number}-{count}"), &self.members[0])
            }
            Kind::Read => requests.get(&format!("/flashaccess/domainserver/{}", self.domain)),
        }
    }

    async fn exchange(&self, wire: &mut Option<Wire>, request: &[u8]) -> anyhow::Result<()> {
        let wire = match wire {
            Some(wire) => wire,
            None => wire.insert(Wire::connect(SOURCE, self.server).await?),
        };
        wire.send(request).await?;
        let answer = wire.answer().await?;
        let text = String::from_utf8_lossy(&answer.body);
        ensure!(answer.status == 200, "HTTP {}: {text}", answer.status);
        Ok(())
    }

    /// Sends so many steady joins, one after another, from an address that nobody else uses.
    ///
    /// # Errors
    ///
    /// If one fails.
    pub fn join_many(&self, number: u32) -> anyhow::Result<()> {
        block_on(async {
            let requests = self.requests(101);
            let mut wire = None;
            for number in 0..number as usize {
                let join = requests.join(&self.domain, &self.members[number % MEMBERS]);
                self.exchange(&mut wire, &join).await?;
            }
            Ok(())
        })?
    }

    /// Whether the server says that it is well.
    ///
    /// # Errors
    ///
    /// If not, or if it does not answer.
    pub fn check_health(&self) -> anyhow::Result<()> {
        block_on(async {
            let request = self.requests(102).get("/healthz");
            let exchange = async { self.exchange(&mut None, &request).await };
            timeout(PATIENCE, exchange).await.context("no answer")?
        })?
        .context("the gateway is not well after the attack")
    }
}

/// Runs a future on this thread.
///
/// # Errors
///
/// If the system has no resources for it.
fn block_on<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(future))
}
