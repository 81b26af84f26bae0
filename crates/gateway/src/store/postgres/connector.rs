//! Which of the hosts is the primary, and the connections to it.
//!
//! All hosts are asked, and of those that are primaries the one with the highest timeline is used: a
//! promotion raises the timeline, so an old primary that comes back is known by its lower one. It is
//! never used again by a gateway that has seen the new one. When a connection breaks, or an answer
//! does not come in time, the primary is looked for anew. While it is in use, the other hosts are
//! asked again and again whether one of them was promoted. A gateway that has not seen the new primary
//! yet takes no answers of the old one that do not count ([`Confirmation`]).
//!
//! A request that needs the primary and finds none looks for it, and other requests wait for that one
//! attempt. After a failed attempt all requests fail for a short time, so that nothing queues up
//! while the servers are away.

use std::{
    ops::Deref,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use deadpool::{
    Runtime,
    managed::{self, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult, TimeoutType},
};
use tokio::{sync::Mutex, task::JoinSet, time::Instant};

use super::{
    address::{CONNECT_TIMEOUT, Host},
    confirmation::Confirmation,
    failure::Failure,
    session::{RESPONSE_TIMEOUT, Server, Session},
};

/// How long after a failed attempt to find the primary the next one is made.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// How long the answers of other hosts are waited for when one is a primary.
const OTHERS_TIMEOUT: Duration = Duration::from_millis(500);

/// How often the other hosts are asked whether one of them was promoted.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// Finds the primary, and keeps connections to it.
pub(super) struct Connector {
    hosts: Vec<Arc<Host>>,
    /// How many connections there are at most.
    connections: usize,
    newest_timeline: Arc<AtomicU32>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Primary>,
    /// Counts the primaries, and a server that was found again.
    generation: u64,
    /// When the last attempt failed, and why; `None` after one that did not.
    failed: Option<(Instant, Failure)>,
}

/// A server that was the primary when it was found.
#[derive(Clone)]
struct Primary {
    pool: Pool<Connections>,
    /// Its place among the hosts.
    host: usize,
    generation: u64,
    confirmation: Arc<Confirmation>,
}

impl Connector {
    /// A connector that has found no primary yet.
    pub fn new(hosts: Vec<Arc<Host>>, connections: usize) -> Arc<Self> {
        let connector = Arc::new(Self {
            connections,
            newest_timeline: Arc::default(),
            state: Mutex::default(),
            hosts,
        });
        if connector.hosts.len() > 1 {
            tokio::spawn(watch(Arc::downgrade(&connector)));
        }
        connector
    }

    /// A connection to the primary. Looks for the primary if none is known.
    pub async fn lease(&self) -> Result<Lease<'_>, Failure> {
        let primary = self.primary().await?;
        match primary.pool.get().await {
            Ok(session) => Ok(Lease {
                connector: self,
                generation: primary.generation,
                confirmation: primary.confirmation,
                session: Some(session),
                kept: false,
            }),
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(Failure::Busy),
            Err(PoolError::Backend(failure)) => {
                self.lost(primary.generation, failure.reason()).await;
                Err(failure)
            }
            Err(_) => {
                let reason = "it did not answer in time";
                self.lost(primary.generation, reason).await;
                Err(Failure::Away(reason.into()))
            }
        }
    }

    async fn primary(&self) -> Result<Primary, Failure> {
        let mut state = self.state.lock().await;
        if let Some(primary) = &state.current {
            return Ok(primary.clone());
        }
        if let Some((at, failure)) = &state.failed
            && at.elapsed() < RETRY_PAUSE
        {
            return Err(failure.clone());
        }
        // If this request is cancelled while it searches, the next one in line tries.
        match self.find().await {
            Ok((host, server)) => {
                state.generation += 1;
                state.failed = None;
                let primary = Primary {
                    pool: self.pool(host),
                    host,
                    generation: state.generation,
                    confirmation: Arc::default(),
                };
                state.current = Some(primary.clone());
                tracing::info!(
                    host = %self.hosts[host].shown,
                    version = %server.version,
                    timeline = server.timeline,
                    "connected to the store"
                );
                Ok(primary)
            }
            Err(failure) => {
                let reason = failure.reason();
                // Once for as long as the reason is the same: it may be away for hours.
                match &state.failed {
                    Some((_, last)) if last.reason() == reason => {
                        tracing::debug!(%reason, "the store is still away");
                    }
                    _ => tracing::warn!(%reason, "cannot connect to the store"),
                }
                state.failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    /// Asks all hosts at once. Of several primaries the one with the highest timeline is the right
    /// one. Fails as the last of the hosts that are not simply away, or as the last.
    async fn find(&self) -> Result<(usize, Server), Failure> {
        let mut asked: JoinSet<_> = (0..self.hosts.len())
            .map(|number| {
                let host = Arc::clone(&self.hosts[number]);
                async move { (number, Session::open(&host).await) }
            })
            .collect();
        let mut found: Option<(usize, Session, Server)> = None;
        let mut failed: Option<Failure> = None;
        let deadline = Instant::now() + CONNECT_TIMEOUT * 2;
        let mut until = deadline;
        while let Ok(Some(answer)) = tokio::time::timeout_at(until, asked.join_next()).await {
            match answer {
                Ok((number, Ok((session, server)))) => {
                    until = until.min(Instant::now() + OTHERS_TIMEOUT);
                    if found
                        .as_ref()
                        .is_none_or(|(.., other)| other.timeline < server.timeline)
                    {
                        found = Some((number, session, server));
                    }
                }
                Ok((number, Err(failure))) => {
                    let failure = self.of_host(number, failure);
                    if !matches!(failed, Some(Failure::Denied(_) | Failure::Unsafe(_))) {
                        failed = Some(failure);
                    }
                }
                Err(_) => {}
            }
        }
        let Some((number, session, server)) = found else {
            let away = || Failure::Away("it did not answer in time".into());
            return Err(failed.unwrap_or_else(away));
        };
        admit(&self.newest_timeline, &server)?;
        if session.commits_wait().await {
            // Each more would occupy one more of the server's connections.
            let text = "its commits wait for a standby that does not answer";
            return Err(self.of_host(number, Failure::Away(text.into())));
        }
        Ok((number, server))
    }

    /// Names the host in a failure, if there are several.
    fn of_host(&self, number: usize, failure: Failure) -> Failure {
        if self.hosts.len() == 1 {
            return failure;
        }
        let text = |reason| format!("{}: {reason}", self.hosts[number].shown);
        match failure {
            Failure::Away(reason) => Failure::Away(text(reason)),
            Failure::Denied(reason) => Failure::Denied(text(reason)),
            Failure::Unsafe(reason) => Failure::Unsafe(text(reason)),
            other => other,
        }
    }

    fn pool(&self, host: usize) -> Pool<Connections> {
        let manager = Connections {
            host: Arc::clone(&self.hosts[host]),
            newest_timeline: Arc::clone(&self.newest_timeline),
        };
        let pool = Pool::builder(manager)
            .max_size(self.connections)
            .wait_timeout(Some(RESPONSE_TIMEOUT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .runtime(Runtime::Tokio1)
            .build();
        pool.expect("a runtime was named")
    }

    /// Gives a primary up, so that it is looked for anew.
    async fn lost(&self, generation: u64, reason: &str) {
        let mut state = self.state.lock().await;
        let current = state.current.as_ref();
        if current.is_some_and(|primary| primary.generation == generation) {
            state.current = None;
            tracing::warn!(%reason, "lost the connection to the store");
        }
    }

    /// Looks whether another host was promoted, and gives the primary up if so.
    async fn look_for_promotion(&self) {
        let current = self.state.lock().await.current.clone();
        let Some(current) = current else {
            return;
        };
        let others = self.hosts.iter().enumerate();
        for (_, host) in others.filter(|(number, _)| *number != current.host) {
            let Ok((_, server)) = Session::open(host).await else {
                continue;
            };
            let newest = self.newest_timeline.load(Ordering::SeqCst);
            if server.timeline.is_some_and(|timeline| timeline > newest) {
                self.lost(current.generation, "another server was promoted")
                    .await;
            }
        }
    }
}

/// Asks the other hosts for as long as the connector is used.
async fn watch(connector: Weak<Connector>) {
    loop {
        tokio::time::sleep(WATCH_INTERVAL).await;
        let Some(connector) = connector.upgrade() else {
            return;
        };
        connector.look_for_promotion().await;
    }
}

/// Whether a primary is as new as all that were seen, which it is noted as.
fn admit(newest_timeline: &AtomicU32, server: &Server) -> Result<(), Failure> {
    let Some(timeline) = server.timeline else {
        return Ok(());
    };
    let newest = newest_timeline.fetch_max(timeline, Ordering::SeqCst);
    if timeline < newest {
        return Err(Failure::Away(format!(
            "it is an old primary: its timeline is {timeline}, and {newest} was seen"
        )));
    }
    Ok(())
}

/// Makes connections to one server.
struct Connections {
    host: Arc<Host>,
    newest_timeline: Arc<AtomicU32>,
}

impl managed::Manager for Connections {
    type Type = Session;
    type Error = Failure;

    async fn create(&self) -> Result<Session, Failure> {
        let (session, server) = Session::open(&self.host).await?;
        admit(&self.newest_timeline, &server)?;
        Ok(session)
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<Failure> {
        match session.is_closed() {
            true => Err(RecycleError::message("the connection ended")),
            false => Ok(()),
        }
    }
}

/// A connection in use. Goes back to the others if all that was asked was answered.
pub(super) struct Lease<'a> {
    connector: &'a Connector,
    generation: u64,
    confirmation: Arc<Confirmation>,
    session: Option<Object<Connections>>,
    kept: bool,
}

impl Lease<'_> {
    /// What the server has acknowledged.
    pub fn confirmation(&self) -> &Confirmation {
        &self.confirmation
    }

    /// Gives the connection back, or up, after the last answer on it.
    pub async fn end<T>(mut self, answer: Result<T, Failure>) -> Result<T, Failure> {
        match &answer {
            Err(Failure::Lost(reason)) => self.connector.lost(self.generation, reason).await,
            _ => self.kept = true,
        }
        answer
    }
}

impl Deref for Lease<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        // It is taken when this is dropped.
        self.session.as_ref().expect("a session")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take()
            && !self.kept
        {
            // An answer may still be under way, so nobody else can use it.
            drop(Object::take(session));
        }
    }
}
