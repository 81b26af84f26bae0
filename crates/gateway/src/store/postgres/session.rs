//! One connection to a server, and what is asked of it at its start.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;
use tokio_postgres::{
    AsyncMessage, Client, Connection, NoTls, Row,
    types::{ToSql, Type},
};

use super::{
    address::{CONNECT_TIMEOUT, Host},
    failure::Failure,
};

/// How long an answer may take.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a statement may wait for a row that another one changes. Less than an answer may take, so
/// that the server gives it up before the gateway does.
const LOCK_TIMEOUT: &str = "2s";

/// How often a server looks whether the client of a waiting statement is still there. Without it the
/// statements of dead connections would wait on, and use the connections up.
const CLIENT_CHECK_INTERVAL: &str = "1s";

/// A parameter of a statement, with its type: so the statement needs no name, which a pooler that
/// gives each transaction another connection would not know.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A connection to a primary.
pub(super) struct Session {
    client: Client,
    /// Whether the server has warned since this was last looked at.
    warned: Arc<AtomicBool>,
    driver: JoinHandle<()>,
}

/// What a server says of itself.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// Its version.
    pub version: String,
    /// The number that each promotion of a standby raises; `None` where the server has none.
    pub timeline: Option<u32>,
}

impl Session {
    /// Connects to a host, if it is a primary that loses nothing.
    pub async fn open(host: &Host) -> Result<(Self, Server), Failure> {
        match tokio::time::timeout(CONNECT_TIMEOUT, Self::connect(host)).await {
            Ok(connected) => connected,
            Err(_) => Err(Failure::Away("it did not answer in time".into())),
        }
    }

    async fn connect(host: &Host) -> Result<(Self, Server), Failure> {
        let session = match &host.tls {
            None => {
                let (client, connection) = host.config.connect(NoTls).await.map_err(connecting)?;
                Self::new(client, connection)
            }
            Some(tls) => {
                let connected = host.config.connect(tls.clone()).await;
                let (client, connection) = connected.map_err(connecting)?;
                Self::new(client, connection)
            }
        };
        let server = session.examine().await?;
        Ok((session, server))
    }

    fn new<S, T>(client: Client, connection: Connection<S, T>) -> Self
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let warned = Arc::new(AtomicBool::new(false));
        Self {
            client,
            driver: tokio::spawn(drive(connection, Arc::clone(&warned))),
            warned,
        }
    }

    /// Asks what the server is, and sets limits for the statements to come.
    async fn examine(&self) -> Result<Server, Failure> {
        // A setting of the session may reach other sessions through a pooler: those of gateways.
        let row = self
            .client
            .query_typed_one(
                "SELECT pg_is_in_recovery(), current_setting('transaction_read_only'),
                        current_setting('synchronous_commit'), current_setting('fsync', true),
                        current_setting('server_version'),
                        set_config('lock_timeout', $1, false),
                        CASE WHEN current_setting('client_connection_check_interval', true)
                                  IS NOT NULL
                             THEN set_config('client_connection_check_interval', $2, false) END",
                &[
                    (&LOCK_TIMEOUT, Type::TEXT),
                    (&CLIENT_CHECK_INTERVAL, Type::TEXT),
                ],
            )
            .await
            .map_err(connecting)?;
        let unreadable = |error| connecting(error);
        let is_standby: bool = row.try_get(0).map_err(unreadable)?;
        let read_only: &str = row.try_get(1).map_err(unreadable)?;
        if is_standby || read_only == "on" {
            // It may lag behind, and a departure must be visible at once.
            return Err(Failure::Away("it is a standby, or read-only".into()));
        }
        let synchronous_commit: &str = row.try_get(2).map_err(unreadable)?;
        let fsync: Option<&str> = row.try_get(3).map_err(unreadable)?;
        for (name, value) in [
            ("synchronous_commit", Some(synchronous_commit)),
            ("fsync", fsync),
        ] {
            if value == Some("off") {
                return Err(Failure::Unsafe(format!("its {name} is off")));
            }
        }
        Ok(Server {
            version: row.try_get(4).map_err(unreadable)?,
            timeline: self.timeline().await,
        })
    }

    /// The timeline of what a primary writes. Servers that keep their log elsewhere have none.
    async fn timeline(&self) -> Option<u32> {
        let query = "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)";
        let row = self.client.query_typed_one(query, &[]).await.ok()?;
        u32::from_str_radix(row.try_get(0).ok()?, 16).ok()
    }

    /// Whether there are commits that a standby should have acknowledged long ago. They wait on when
    /// their clients are gone.
    pub async fn commits_wait(&self) -> bool {
        let query = "SELECT 1 FROM pg_stat_activity WHERE usename = current_user
                     AND wait_event = 'SyncRep'
                     AND query_start < clock_timestamp() - interval '2 s' LIMIT 1";
        let row = self.query(query, &[]).await;
        row.is_ok_and(|row| row.is_some())
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs a statement that gives no row or one.
    pub async fn query(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Option<Row>, Failure> {
        self.within(self.client.query_typed_opt(statement, parameters))
            .await
    }

    /// Runs a statement that gives any number of rows.
    pub async fn query_all(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Failure> {
        self.within(self.client.query_typed(statement, parameters))
            .await
    }

    /// Runs a statement that writes, and says how many rows it wrote.
    pub async fn execute(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<u64, Failure> {
        self.warned.store(false, Ordering::SeqCst);
        let rows = self
            .within(self.client.execute_typed(statement, parameters))
            .await?;
        // A commit that an operator cancels while it waits for the standby succeeds, with a warning:
        // the standby may not have it.
        if self.warned.load(Ordering::SeqCst) {
            return Err(Failure::Lost("the server warned of the commit".into()));
        }
        Ok(rows)
    }

    async fn within<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(RESPONSE_TIMEOUT, answer).await {
            Ok(answer) => answer.map_err(|error| Failure::of_statement(&error)),
            Err(_) => Err(Failure::Lost("it did not answer in time".into())),
        }
    }
}

/// Closes the socket. Without this the connection would stay open until the server had answered what
/// is under way. Nothing is cancelled: a commit that waits for its standby would then be acknowledged.
impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Moves a connection's bytes, and notes warnings.
async fn drive<S, T>(mut connection: Connection<S, T>, warned: Arc<AtomicBool>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while let Some(message) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
        match message {
            Ok(AsyncMessage::Notice(notice)) => {
                let code = notice.code().code();
                let message = notice.message();
                // Class 01: warnings. Others, such as that a table is there already, are notices.
                if code.starts_with("01") {
                    warned.store(true, Ordering::SeqCst);
                    tracing::warn!(%message, "the store warns");
                } else {
                    tracing::debug!(%message, "the store says");
                }
            }
            Ok(_) => {}
            Err(error) => {
                let reason = super::failure::reason(&error);
                tracing::debug!(%reason, "a connection to the store ended");
                return;
            }
        }
    }
}

fn connecting(error: tokio_postgres::Error) -> Failure {
    Failure::of_connect(&error)
}
