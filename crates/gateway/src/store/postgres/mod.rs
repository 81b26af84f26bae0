//! The store in a PostgreSQL, for several gateways.
//!
//! Each row is a row of the table `anonymous_domains` ([`DDL`]), with a `version` of 64 random bits.
//! Every operation is one statement and one transaction of its own, so it needs no locks and works
//! behind a pooler that gives each transaction another connection. A write is acknowledged when the
//! server has committed it: on its disk, and on a standby if the server waits for one.
//!
//! While no primary can be reached every operation fails within seconds ([`connector`]). A read whose
//! connection broke is tried once more on a new one. A write is not, as it may have been executed.

mod address;
mod claim;
mod connector;
mod durability;
mod failure;
mod password_file;
mod schema;
mod session;
mod tls;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use connector::Connector;
use failure::Failure;
use session::Parameter;
use tokio::time::Instant;
use tokio_postgres::{Row, types::Type};

use super::{
    Entry, KEYS_PER_PAGE, KeyPage, Store, StoreError, Swap, Version, random_version,
    shared::ConnectError,
};

pub use address::Address;
pub(in crate::store) use address::is_url;
pub use schema::DDL;

/// How many connections a gateway has at most, unless it is told.
pub const CONNECTIONS: usize = 16;

/// How long a starting gateway waits between attempts to connect.
const START_PAUSE: Duration = Duration::from_secs(1);

/// A [`Store`] in a PostgreSQL.
pub struct PostgresStore {
    connector: Arc<Connector>,
}

impl PostgresStore {
    /// Connects, with so many connections at most. Tries again until `timeout` has passed if no
    /// primary can be reached. Warns of a configuration that may lose acknowledged writes.
    ///
    /// # Errors
    ///
    /// If the server does not let the gateway in, would lose writes if it crashed, or cannot be
    /// reached.
    pub async fn connect(
        address: Address,
        connections: usize,
        timeout: Duration,
    ) -> Result<Self, ConnectError> {
        let shown = address.to_string();
        let hosts = address.hosts.into_iter().map(Arc::new).collect();
        let connector = Connector::new(hosts, connections.max(1));
        let start = Instant::now();
        loop {
            match durability::warn_of_losses(&connector).await {
                Ok(()) => return Ok(Self { connector }),
                Err(Failure::Denied(reason)) => {
                    return Err(ConnectError::Denied {
                        address: shown,
                        reason,
                    });
                }
                Err(Failure::Unsafe(reason)) => {
                    return Err(ConnectError::Unsafe {
                        address: shown,
                        reason,
                    });
                }
                Err(failure) if start.elapsed() >= timeout => {
                    return Err(ConnectError::Away {
                        address: shown,
                        reason: failure.reason().to_owned(),
                        waited: timeout,
                    });
                }
                Err(_) => {
                    let left = timeout.saturating_sub(start.elapsed());
                    tokio::time::sleep(START_PAUSE.min(left)).await;
                }
            }
        }
    }

    /// Runs a statement that only reads.
    async fn read(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Failure> {
        match self.read_once(statement, parameters).await {
            Err(Failure::Lost(_)) => self.read_once(statement, parameters).await,
            outcome => outcome,
        }
    }

    async fn read_once(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Failure> {
        let lease = self.connector.lease().await?;
        let answer = lease.query_all(statement, parameters).await;
        lease.end(answer).await
    }

    /// Runs a statement that writes, once, and says how many rows it wrote.
    async fn write(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<u64, Failure> {
        let lease = self.connector.lease().await?;
        let answer = lease.execute(statement, parameters).await;
        lease.end(answer).await
    }

    /// The row with this key.
    async fn row(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        let rows = self
            .read(
                "SELECT version, value FROM anonymous_domains WHERE key = $1",
                &[(&key, Type::BYTEA)],
            )
            .await
            .map_err(failed)?;
        let entry = |row: &Row| {
            Ok::<_, tokio_postgres::Error>(Entry {
                version: Version(row.try_get(0)?),
                value: row.try_get(1)?,
            })
        };
        rows.first().map(entry).transpose().map_err(|_| foreign())
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        super::check_key(key)?;
        self.row(key.as_bytes()).await
    }

    async fn exists(&self, key: &str) -> Result<bool, StoreError> {
        super::check_key(key)?;
        let rows = self
            .read(
                "SELECT 1 FROM anonymous_domains WHERE key = $1",
                &[(&key.as_bytes(), Type::BYTEA)],
            )
            .await;
        Ok(!rows.map_err(failed)?.is_empty())
    }

    async fn list_keys(&self, cursor: Option<&str>) -> Result<KeyPage, StoreError> {
        // The empty text is no cursor, but may be a key.
        let after = cursor.map(str::as_bytes);
        // One more than a page tells whether there is a next one.
        let limit = KEYS_PER_PAGE as i64 + 1;
        let rows = self
            .read(
                "SELECT key FROM anonymous_domains
                 WHERE key < $1 AND ($2::bytea IS NULL OR key > $2) ORDER BY key LIMIT $3",
                &[
                    (&claim::NO_TEXT, Type::BYTEA),
                    (&after, Type::BYTEA),
                    (&limit, Type::INT8),
                ],
            )
            .await
            .map_err(failed)?;
        let more = rows.len() > KEYS_PER_PAGE;
        let text = |row: &Row| {
            let key: Vec<u8> = row.try_get(0).map_err(|_| foreign())?;
            String::from_utf8(key).map_err(|_| foreign())
        };
        let keys = rows.iter().take(KEYS_PER_PAGE).map(text);
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let cursor = more.then(|| keys.last().cloned()).flatten();
        Ok(KeyPage { keys, cursor })
    }

    async fn set(&self, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        super::check_key(key)?;
        super::check_value(&value)?;
        let version = random_version()?;
        let rows = self
            .write(
                "INSERT INTO anonymous_domains (key, version, value) VALUES ($1, $2, $3)
                 ON CONFLICT (key) DO UPDATE
                 SET version = EXCLUDED.version, value = EXCLUDED.value",
                &[
                    (&key.as_bytes(), Type::BYTEA),
                    (&version, Type::INT8),
                    (&value, Type::BYTEA),
                ],
            )
            .await;
        rows.map(drop).map_err(failed)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        super::check_key(key)?;
        let rows = self
            .write(
                "DELETE FROM anonymous_domains WHERE key = $1",
                &[(&key.as_bytes(), Type::BYTEA)],
            )
            .await;
        rows.map(drop).map_err(failed)
    }

    /// Reads and swaps until no other write came between.
    async fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        loop {
            let current = self.get(key).await?;
            let number = match &current {
                None => 0,
                Some(entry) => number(&entry.value).ok_or(StoreError::NotANumber)?,
            };
            let sum = number.checked_add(delta).ok_or(StoreError::Overflow)?;
            let version = current.map(|entry| entry.version);
            let value = sum.to_string().into_bytes();
            if self.compare_and_swap(key, version, value).await? == Swap::Swapped {
                return Ok(sum);
            }
        }
    }

    async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<Version>,
        value: Vec<u8>,
    ) -> Result<Swap, StoreError> {
        super::check_key(key)?;
        super::check_value(&value)?;
        let swapped = match expected {
            None => self.insert(key.as_bytes(), &value).await?,
            Some(Version(expected)) => {
                let version = random_version()?;
                let rows = self
                    .write(
                        "UPDATE anonymous_domains SET version = $3, value = $4
                         WHERE key = $1 AND version = $2",
                        &[
                            (&key.as_bytes(), Type::BYTEA),
                            (&expected, Type::INT8),
                            (&version, Type::INT8),
                            (&value, Type::BYTEA),
                        ],
                    )
                    .await;
                rows.map_err(failed)? == 1
            }
        };
        match swapped {
            true => Ok(Swap::Swapped),
            // A statement of its own: the one that wrote nothing saw an older state.
            false => Ok(Swap::Conflict(self.row(key.as_bytes()).await?)),
        }
    }
}

/// The number that a value is, if it is one: as [`Store::increment`] writes them.
fn number(value: &[u8]) -> Option<i64> {
    let text = str::from_utf8(value).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Another program wrote to the table.
fn foreign() -> StoreError {
    StoreError::Unavailable("the store holds something that no gateway wrote".into())
}

/// The error for the component: the full reason goes to the log, a short one to the component.
fn failed(failure: Failure) -> StoreError {
    let text = match &failure {
        Failure::Busy => return StoreError::Busy,
        // Logged when it happened, once and not for each request.
        Failure::Away(_) => "the store cannot be reached",
        Failure::Denied(_) => "the store does not let the gateway in",
        Failure::Unsafe(_) => "the store would lose what it acknowledges",
        Failure::Lost(_) => "the store did not answer",
        Failure::Refused { code, message } => {
            tracing::error!(reason = %message, "the store refused");
            match code.code() {
                "40001" | "40P01" => "the store gave the write up for another one",
                "42P01" => "the table anonymous_domains is missing",
                "42501" => "the store does not permit this",
                "53100" => "the store's disk is full",
                "53200" => "the store is out of memory",
                "57014" => "the store cancelled the statement",
                _ => "the store failed",
            }
        }
    };
    StoreError::Unavailable(text.into())
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
