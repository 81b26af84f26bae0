//! The connection to a Redis: one, shared by all requests, and made anew when it breaks.
//!
//! Whoever needs a connection and finds none makes it, and the others wait for that one attempt.
//! After a failed attempt everyone is refused for a moment ([`PAUSE`]), so that nothing queues up
//! while the Redis is away. A connection that breaks, or whose answer does not come in time, is
//! given up: what was asked on it may or may not have been done.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, ServerErrorKind};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::server::{self, Server};

/// How long connecting may take, with TLS and authentication.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long an answer may take.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// After a failed attempt to connect the next one is made so much later.
const PAUSE: Duration = Duration::from_millis(250);

/// Why a command brought nothing.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// There is no connection, and none could be made: nothing was asked.
    Away(String),
    /// The Redis does not let the gateway in: nothing was asked.
    Denied(String),
    /// The connection broke or the answer did not come: what was asked may have been done.
    Lost(String),
    /// The Redis answered with an error.
    Refused(RedisError),
}

/// The connection, or the lack of one.
pub(super) struct Link {
    client: Client,
    config: AsyncConnectionConfig,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Connection>,
    /// Counts the connections.
    generation: u64,
    /// When the last attempt failed, and why; `None` after one that did not.
    failed: Option<(Instant, Failure)>,
}

/// A connection that was good when it was last used.
#[derive(Clone)]
pub(super) struct Connection {
    pub redis: MultiplexedConnection,
    generation: u64,
}

impl Link {
    /// A link that is not connected yet.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            config: AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(Some(RESPONSE_TIMEOUT)),
            state: Mutex::default(),
        }
    }

    /// The connection; made if there is none.
    pub async fn connection(&self) -> Result<Connection, Failure> {
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.current {
            return Ok(connection.clone());
        }
        if let Some((at, failure)) = &state.failed
            && at.elapsed() < PAUSE
        {
            return Err(failure.clone());
        }
        // Whoever gives up while it connects lets the next one in line try.
        match self.connect().await {
            Ok((redis, server)) => {
                state.generation += 1;
                state.failed = None;
                let generation = state.generation;
                let connection = Connection { redis, generation };
                state.current = Some(connection.clone());
                tracing::info!(server = %server, "connected to the store");
                Ok(connection)
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

    async fn connect(&self) -> Result<(MultiplexedConnection, Server), Failure> {
        let connect = async {
            let mut connection = self
                .client
                .get_multiplexed_async_connection_with_config(&self.config)
                .await?;
            let server = server::hello(&mut connection).await?;
            Ok((connection, server))
        };
        let connected = match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
            Ok(connected) => connected.map_err(|error| connect_failure(&error))?,
            Err(_) => return Err(Failure::Away("it did not answer in time".into())),
        };
        if connected.1.is_replica() {
            // It may lag behind, and a departure must be seen.
            return Err(Failure::Away("it is a replica".into()));
        }
        Ok(connected)
    }

    /// Says what an error on `connection` means, and gives the connection up if it is broken.
    pub async fn failure(&self, connection: &Connection, error: RedisError) -> Failure {
        // A server that was made a replica, or whose cluster is down, is asked anew who it is.
        let demoted = matches!(
            error.kind(),
            redis::ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
        );
        let broken = error.is_io_error() || error.is_timeout() || error.is_unrecoverable_error();
        if broken || demoted {
            let mut state = self.state.lock().await;
            if state
                .current
                .as_ref()
                .is_some_and(|current| current.generation == connection.generation)
            {
                state.current = None;
                tracing::warn!(reason = %reason(&error), "lost the connection to the store");
            }
        }
        if broken {
            Failure::Lost(reason(&error))
        } else {
            Failure::Refused(error)
        }
    }
}

impl Failure {
    /// What happened, in short and without credentials.
    pub fn reason(&self) -> String {
        match self {
            Self::Away(reason) | Self::Denied(reason) | Self::Lost(reason) => reason.clone(),
            Self::Refused(error) => reason(error),
        }
    }
}

fn connect_failure(error: &RedisError) -> Failure {
    let denied = error.kind() == redis::ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"));
    if denied {
        Failure::Denied(reason(error))
    } else {
        Failure::Away(reason(error))
    }
}

/// An error's text. A Redis that does not know a command quotes its arguments, and they may be a
/// password or a value: they are cut off.
pub(super) fn reason(error: &RedisError) -> String {
    let text = error.to_string();
    match text.split_once(", with args") {
        Some((text, _)) => text.to_owned(),
        None => text,
    }
}
