//! Gateways that the stress test starts for itself, on a state directory that is removed at the
//! end.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anonymous_domains_client::{Token, files};
use anonymous_domains_testkit::{
    Authentication, Gateway, Guarantee, PostgresServer, RedisServer, Usage, free_port,
};
use anyhow::Context as _;
use tempfile::TempDir;

use crate::{
    checker::Violation,
    clock::Moment,
    history::{Lost, Operation, Outcome},
    postgres_pair::PostgresPair,
};

/// How long a gateway may take to end after SIGTERM, or to begin another log after SIGHUP.
const MAX_SHUTDOWN: Duration = Duration::from_secs(60);

/// Which gateways to run.
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
    /// Flags that set limits of rates, and whose addresses count; without any there are no limits.
    pub limits: Vec<String>,
    /// Whether each gateway writes an audit log.
    pub has_audit_log: bool,
}

/// Where the tables are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// In the state directory.
    Sqlite,
    /// In a Redis server that the stress test starts for itself.
    LocalRedis,
    /// In a PostgreSQL that the stress test starts for itself.
    LocalPostgres,
    /// In a PostgreSQL with a synchronous standby, both of the stress test's own.
    LocalPostgresPair,
    /// Where this URL says.
    Url(String),
}

/// Running gateways.
pub struct LocalCluster {
    members: Vec<Member>,
    runs: Vec<Run>,
    servers: StoreServers,
    /// Removed when all that use it are gone.
    directory: TempDir,
}

/// The servers of a store that the stress test started.
enum StoreServers {
    None,
    Redis { _server: RedisServer },
    Postgres(PostgresServer),
    PostgresPair(PostgresPair),
}

impl StoreServers {
    /// Starts them, and returns the store's URL too. Redis has its data in `directory`.
    fn start(store: &Store, directory: &Path) -> anyhow::Result<(Self, Option<String>)> {
        Ok(match store {
            Store::Sqlite => (Self::None, None),
            Store::Url(url) => (Self::None, Some(url.clone())),
            Store::LocalRedis => {
                let data = directory.join("redis");
                std::fs::create_dir(&data)?;
                let server = RedisServer::start(&data, &[])?;
                let url = server.url();
                (Self::Redis { _server: server }, Some(url))
            }
            Store::LocalPostgres => {
                let server = PostgresServer::start(Authentication::Trust, &[])?;
                let url = server.url();
                (Self::Postgres(server), Some(url))
            }
            Store::LocalPostgresPair => {
                let pair = PostgresPair::start()?;
                let url = pair.url();
                (Self::PostgresPair(pair), Some(url))
            }
        })
    }

    /// The files that they log to, if these are not in the state directory.
    fn logs(&self) -> Vec<PathBuf> {
        match self {
            Self::None | Self::Redis { .. } => Vec::new(),
            Self::Postgres(server) => vec![server.log()],
            Self::PostgresPair(pair) => pair.servers().map(PostgresServer::log).into(),
        }
    }
}

/// One gateway of the cluster.
struct Member {
    setup: Setup,
    state: PathBuf,
    /// The URL of its store, if that is not in the state directory.
    store: Option<String>,
    /// It listens on the same port whenever it is started.
    port: u16,
    /// The file that its log is appended to.
    log: PathBuf,
    /// The file that it writes its audit log to, if it does.
    audit_log: PathBuf,
    /// `None` while it is down.
    gateway: Option<Gateway>,
}

/// From a gateway's start until nothing of that process is left.
#[derive(Debug, Clone, Copy)]
struct Run {
    server: usize,
    start: Moment,
    end: Option<Moment>,
}

impl LocalCluster {
    /// Starts the gateways.
    ///
    /// # Errors
    ///
    /// When one of them, or their store, does not start.
    pub fn start(setup: &Setup) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("stress-").tempdir()?;
        let state = directory.path().join("state");
        let (servers, store) = StoreServers::start(&setup.store, directory.path())?;
        let mut members = Vec::new();
        for number in 0..setup.gateways {
            let mut member = Member {
                setup: setup.clone(),
                state: state.clone(),
                store: store.clone(),
                port: free_port()?,
                log: directory.path().join(format!("gateway-{number}.log")),
                audit_log: directory.path().join(format!("audit-{number}.jsonl")),
                gateway: None,
            };
            member.start()?;
            members.push(member);
        }
        let runs = (0..members.len()).map(|server| Run {
            server,
            start: 0,
            end: None,
        });
        Ok(Self {
            runs: runs.collect(),
            members,
            servers,
            directory,
        })
    }

    /// How many gateways there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The gateways' origins.
    pub fn urls(&self) -> Vec<String> {
        self.members.iter().map(Member::url).collect()
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

    /// The PostgreSQL that can fail over, if that is the store.
    pub fn postgres_pair(&mut self) -> Option<&mut PostgresPair> {
        match &mut self.servers {
            StoreServers::PostgresPair(pair) => Some(pair),
            _ => None,
        }
    }

    /// Keeps the directory with the gateways' logs, and those of PostgreSQL's servers, and says
    /// where it is.
    pub fn keep(&mut self) -> PathBuf {
        for (number, log) in self.servers.logs().into_iter().enumerate() {
            let kept = self.directory.path().join(format!("postgres-{number}.log"));
            if let Err(error) = std::fs::copy(log, kept) {
                eprintln!("stress: the log of PostgreSQL is not kept: {error}");
            }
        }
        self.directory.disable_cleanup(true);
        self.directory.path().to_path_buf()
    }

    /// Kills a gateway with SIGKILL.
    ///
    /// # Errors
    ///
    /// When it had ended by itself.
    pub fn kill(&mut self, server: usize) -> anyhow::Result<()> {
        let gateway = self.members[server].gateway.take();
        gateway
            .context("the gateway was not started")?
            .process
            .kill()
    }

    /// Has a gateway end by SIGTERM.
    ///
    /// # Errors
    ///
    /// When it had ended by itself, or does not end in time, or with an error.
    pub fn terminate(&mut self, server: usize) -> anyhow::Result<()> {
        let gateway = self.members[server].gateway.take();
        let mut gateway = gateway.context("the gateway was not started")?;
        gateway.process.terminate(MAX_SHUTDOWN)
    }

    /// Sends SIGHUP to a gateway. If it has an audit log, that is renamed before, and is removed when
    /// the gateway has begun another.
    ///
    /// # Errors
    ///
    /// When it begins no other audit log in time.
    pub fn hang_up(&self, server: usize) -> anyhow::Result<()> {
        let member = &self.members[server];
        let old = member.audit_log.with_extension("old");
        if member.setup.has_audit_log {
            std::fs::rename(&member.audit_log, &old).context("the audit log")?;
        }
        member.running()?.process.signal("HUP")?;
        if member.setup.has_audit_log {
            let start = Instant::now();
            while !member.audit_log.exists() {
                anyhow::ensure!(
                    start.elapsed() < MAX_SHUTDOWN,
                    "no other audit log was begun after SIGHUP"
                );
                std::thread::sleep(Duration::from_millis(10));
            }
            std::fs::remove_file(old)?;
        }
        Ok(())
    }

    /// What a gateway uses now.
    ///
    /// # Errors
    ///
    /// When it is down.
    pub fn usage(&self, server: usize) -> anyhow::Result<Usage> {
        Usage::of(self.members[server].running()?.process.id())
    }

    /// What a gateway has logged, in all its runs.
    pub fn log(&self, server: usize) -> String {
        std::fs::read_to_string(&self.members[server].log).unwrap_or_default()
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Starts a gateway again that was killed or has ended. Returns how long that took.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn restart(&mut self, server: usize) -> anyhow::Result<Duration> {
        let start = Instant::now();
        self.members[server].start()?;
        Ok(start.elapsed())
    }

    /// Notes that a gateway was started again at `start`, and that nothing of its previous process
    /// was left by `end`.
    pub fn record_restart(&mut self, server: usize, start: Moment, end: Moment) {
        let previous = self.runs.iter_mut().rev().find(|run| run.server == server);
        if let Some(run) = previous {
            run.end = Some(end);
        }
        self.runs.push(Run {
            server,
            start,
            end: None,
        });
    }

    /// Limits the outcomes that are unknown: a request to a gateway that was killed ended with it.
    pub fn bound_unknown(&self, history: &mut [Operation]) {
        for operation in history {
            let Outcome::Unknown { until, .. } = &mut operation.outcome else {
                continue;
            };
            // The run that the request may have been in: the latest that started before its end.
            let run = self
                .runs
                .iter()
                .rev()
                .find(|run| run.server == operation.server && run.start <= operation.end);
            if let Some(end) = run.and_then(|run| run.end) {
                *until = (*until).min(end.max(operation.end));
            }
        }
    }
}

impl Member {
    fn running(&self) -> anyhow::Result<&Gateway> {
        self.gateway.as_ref().context("the gateway is down")
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn start(&mut self) -> anyhow::Result<()> {
        let setup = &self.setup;
        let (program, component) = (&setup.program, &setup.component);
        let mut command = match setup.limits.is_empty() {
            true => Gateway::command(program, component, &self.state),
            false => Gateway::limited_command(program, component, &self.state),
        };
        command.args(&setup.limits);
        if setup.has_audit_log {
            command.arg("--audit-log").arg(&self.audit_log);
        }
        command.args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        if let Some(store) = &self.store {
            command.args(["--store", store]);
        }
        for setting in &setup.settings {
            command.args(["--set", setting]);
        }
        let log = File::options().create(true).append(true).open(&self.log)?;
        command.stderr(log);
        let gateway = Gateway::start(command).with_context(|| last_line(&self.log))?;
        self.gateway = Some(gateway);
        Ok(())
    }
}

/// The last line of a gateway's log.
fn last_line(log: &Path) -> String {
    let log = std::fs::read_to_string(log).unwrap_or_default();
    log.lines().last().unwrap_or("it logged nothing").to_owned()
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
        Guarantee::Recovery,
        "requests had no answer within the timeout",
        std::iter::once(first).chain(hanging),
    ))
}
