//! The connection to a server. All requests share one, and a new one is made when it breaks.
//!
//! A request that needs a connection and finds none makes it, and other requests wait for that one
//! attempt. After a failed attempt all requests fail for a short time ([`RETRY_PAUSE`]), so that
//! nothing queues up while the server is away. A connection is dropped when it breaks, or when an
//! answer does not come in time: the commands on it may or may not have been executed.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, RedisError, RedisResult, ServerErrorKind, Value,
    aio::MultiplexedConnection,
};
use tokio::{sync::Mutex, time::Instant};

use super::{
    failure::{Failure, reason},
    request::Request,
    server_info::{self, ServerInfo},
};

/// How long connecting may take, with TLS and authentication.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long an answer may take.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long after a failed attempt to connect the next one is made.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Makes the connection, and keeps it while it is good.
pub(super) struct Connector {
    info: ConnectionInfo,
    name: String,
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
    /// Whether the server is a node of a cluster.
    pub in_cluster: bool,
    generation: u64,
}

impl Connector {
    /// A connector that has no connection yet.
    pub fn new(info: ConnectionInfo) -> Self {
        Self {
            name: info.addr().to_string(),
            info,
            config: AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(Some(RESPONSE_TIMEOUT)),
            state: Mutex::default(),
        }
    }

    /// The server's address.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The connection. Makes one if there is none.
    pub async fn connection(&self) -> Result<Connection, Failure> {
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.current {
            return Ok(connection.clone());
        }
        if let Some((at, failure)) = &state.failed
            && at.elapsed() < RETRY_PAUSE
        {
            return Err(failure.clone());
        }
        // If this request is cancelled while it connects, the next one in line tries.
        match self.connect().await {
            Ok((redis, server)) => {
                state.generation += 1;
                state.failed = None;
                let generation = state.generation;
                let connection = Connection {
                    redis,
                    in_cluster: server.is_in_cluster(),
                    generation,
                };
                state.current = Some(connection.clone());
                tracing::info!(server = %server, address = self.name, "connected to the store");
                Ok(connection)
            }
            Err(failure) => {
                let reason = failure.reason();
                // Once for as long as the reason is the same: it may be away for hours.
                match &state.failed {
                    Some((_, last)) if last.reason() == reason => {
                        tracing::debug!(%reason, address = self.name, "the store is still away");
                    }
                    _ => {
                        tracing::warn!(%reason, address = self.name, "cannot connect to the store");
                    }
                }
                state.failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    async fn connect(&self) -> Result<(MultiplexedConnection, ServerInfo), Failure> {
        let connect = async {
            let client = Client::open(self.info.clone())?;
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&self.config)
                .await?;
            let server = server_info::hello(&mut connection).await?;
            Ok((connection, server))
        };
        let connected = match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
            Ok(connected) => connected.map_err(|error| Failure::of_connect(&error))?,
            Err(_) => return Err(Failure::Away("it did not answer in time".into())),
        };
        if connected.1.is_replica() && !connected.1.is_in_cluster() {
            // It may lag behind, and a departure must be visible at once. In a cluster it serves
            // nothing, and may become a primary while it is connected.
            return Err(Failure::Away("it is a replica".into()));
        }
        Ok(connected)
    }

    /// Sends a request, once.
    pub async fn send(&self, request: &Request<'_>) -> Result<Value, Failure> {
        let connection = self.connection().await?;
        self.send_on(connection, request, false).await
    }

    /// Sends a request on one of its connections, once.
    pub async fn send_on(
        &self,
        mut connection: Connection,
        request: &Request<'_>,
        asking: bool,
    ) -> Result<Value, Failure> {
        let answer = request.send(&mut connection.redis, asking).await;
        self.judge(&connection, answer).await
    }

    /// Says what an answer on `connection` means, and drops the connection if it is broken.
    pub async fn judge<T>(
        &self,
        connection: &Connection,
        answer: RedisResult<T>,
    ) -> Result<T, Failure> {
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.failure(connection, error).await),
        }
    }

    async fn failure(&self, connection: &Connection, error: RedisError) -> Failure {
        // A server that became a replica, or whose cluster is down, must be asked again for its role.
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
                let reason = reason(&error);
                tracing::warn!(%reason, address = self.name, "lost the connection to the store");
            }
        }
        if broken {
            Failure::Lost(reason(&error))
        } else {
            Failure::Refused(error)
        }
    }
}
