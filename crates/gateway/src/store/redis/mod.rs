//! The store in a Redis or Valkey, for several gateways.
//!
//! Each row is a hash of its own, `anonymous-domains-gateway:row:` and the row's key, with two
//! fields: `value`, and `version`, 64 random bits as a decimal number. An operation that needs more
//! than one command is one script ([`scripts`]), so the writes of any number of gateways are
//! serialized. Whether an acknowledged write survives a crash of the Redis depends on how that is
//! configured.
//!
//! While the Redis is away every operation fails within seconds ([`connection`]). A read whose
//! connection broke is tried once more on a new one. A write is not, as it may have been executed.

mod address;
mod claim;
mod connection;
mod failure;
mod names;
mod scripts;
mod server_info;

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use connection::Connector;
use failure::Failure;
use names::row;
use redis::{Cmd, FromRedisValue, ScriptInvocation, Value};
use scripts::Scripts;
use tokio::time::Instant;

use super::{
    Entry, KEYS_PER_PAGE, KeyPage, Store, StoreError, Swap, Version, random_version,
    shared::ConnectError,
};

pub use address::Address;
pub use names::PREFIX;

/// How long a starting gateway waits between attempts to connect.
const START_PAUSE: Duration = Duration::from_secs(1);

/// How many keys one `SCAN` looks at.
const SCAN_COUNT: usize = 1000;

/// A [`Store`] in a Redis or Valkey.
pub struct RedisStore {
    connector: Connector,
    scripts: Scripts,
}

impl RedisStore {
    /// Connects. Tries again until `timeout` has passed if the Redis cannot be reached. Warns of a
    /// configuration that may lose acknowledged writes.
    ///
    /// # Errors
    ///
    /// If the Redis does not let the gateway in, or cannot be reached.
    pub async fn connect(address: &Address, timeout: Duration) -> Result<Self, ConnectError> {
        let connector = Connector::new(address.client.clone());
        let start = Instant::now();
        loop {
            match connector.connection().await {
                Ok(mut connection) => {
                    server_info::warn_of_losses(&mut connection.redis).await;
                    return Ok(Self {
                        connector,
                        scripts: Scripts::new(),
                    });
                }
                Err(Failure::Denied(reason)) => {
                    let address = address.to_string();
                    return Err(ConnectError::Denied { address, reason });
                }
                Err(failure) if start.elapsed() >= timeout => {
                    return Err(ConnectError::Away {
                        address: address.to_string(),
                        reason: failure.reason(),
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

    /// Runs a command that only reads.
    async fn read<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let outcome = match self.command(command).await {
            Err(Failure::Lost(_)) => self.command(command).await,
            outcome => outcome,
        };
        outcome.map_err(failed)
    }

    /// Runs a command that writes, once.
    async fn write<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.command(command).await.map_err(failed)
    }

    async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        let mut connection = self.connector.connection().await?;
        match command.query_async(&mut connection.redis).await {
            Ok(value) => Ok(value),
            Err(error) => Err(self.connector.failure(&connection, error).await),
        }
    }

    /// Runs a script, once. If the Redis does not know it, it was not run: then it is sent in full
    /// and called again.
    async fn script<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connector.connection().await.map_err(failed)?;
        match script.invoke_async(&mut connection.redis).await {
            Ok(value) => Ok(value),
            Err(error) => Err(failed(self.connector.failure(&connection, error).await)),
        }
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        super::check_key(key)?;
        let mut command = redis::cmd("HMGET");
        command.arg(row(key)).arg("version").arg("value");
        let fields: Fields = self.read(&command).await?;
        fields.entry()
    }

    async fn exists(&self, key: &str) -> Result<bool, StoreError> {
        super::check_key(key)?;
        self.read(redis::cmd("EXISTS").arg(row(key))).await
    }

    /// Reads every key of the Redis for each page: meant for maintenance, not for requests. A key
    /// that is created or removed in the meantime may or may not be listed.
    async fn list_keys(&self, cursor: Option<&str>) -> Result<KeyPage, StoreError> {
        let prefix = row("");
        let mut keys = BTreeSet::new();
        let mut position = 0u64;
        loop {
            let mut command = redis::cmd("SCAN");
            command.arg(position).arg("MATCH").arg(row("*"));
            command.arg("COUNT").arg(SCAN_COUNT);
            let (next, found): (u64, Vec<Vec<u8>>) = self.read(&command).await?;
            for name in found {
                let key = str::from_utf8(&name).ok();
                let key = key.and_then(|name| name.strip_prefix(&prefix));
                if let Some(key) = key.filter(|key| cursor.is_none_or(|cursor| *key > cursor)) {
                    keys.insert(key.to_owned());
                }
                // One more than a page tells whether there is a next one.
                if keys.len() > KEYS_PER_PAGE + 1 {
                    keys.pop_last();
                }
            }
            if next == 0 {
                break;
            }
            position = next;
        }
        let more = keys.len() > KEYS_PER_PAGE;
        let keys: Vec<_> = keys.into_iter().take(KEYS_PER_PAGE).collect();
        let cursor = more.then(|| keys.last().cloned()).flatten();
        Ok(KeyPage { keys, cursor })
    }

    async fn set(&self, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        super::check_key(key)?;
        super::check_value(&value)?;
        let mut command = redis::cmd("HSET");
        command.arg(row(key)).arg("version").arg(random_version()?);
        self.write(command.arg("value").arg(value)).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        super::check_key(key)?;
        self.write(redis::cmd("DEL").arg(row(key))).await
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        super::check_key(key)?;
        let mut script = self.scripts.increment.prepare_invoke();
        script.key(row(key)).arg(delta).arg(random_version()?);
        match self.script(&script).await? {
            Value::Int(1) => Err(StoreError::NotANumber),
            Value::Int(2) => Err(StoreError::Overflow),
            sum => redis::from_redis_value(sum).map_err(|_| foreign()),
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
        let expected = expected.map(|Version(version)| version.to_string());
        let mut script = self.scripts.swap.prepare_invoke();
        script.key(row(key)).arg(expected.unwrap_or_default());
        script.arg(random_version()?).arg(value);
        match self.script::<Option<Fields>>(&script).await? {
            None => Ok(Swap::Swapped),
            Some(fields) => Ok(Swap::Conflict(fields.entry()?)),
        }
    }
}

/// A row's `version` and `value`.
struct Fields(Option<i64>, Option<Vec<u8>>);

impl FromRedisValue for Fields {
    fn from_redis_value(value: Value) -> Result<Self, redis::ParsingError> {
        let (version, value) = FromRedisValue::from_redis_value(value)?;
        Ok(Self(version, value))
    }
}

impl Fields {
    fn entry(self) -> Result<Option<Entry>, StoreError> {
        match self {
            Self(Some(version), Some(value)) => Ok(Some(Entry {
                value,
                version: Version(version),
            })),
            Self(None, None) => Ok(None),
            _ => Err(foreign()),
        }
    }
}

/// Another program wrote under the gateway's prefix.
fn foreign() -> StoreError {
    StoreError::Unavailable("the store holds something that no gateway wrote".into())
}

/// The error for the component: the full reason goes to the log, a short one to the component.
fn failed(failure: Failure) -> StoreError {
    let text = match &failure {
        // Logged when it happened, once and not for each request.
        Failure::Away(_) => "the store cannot be reached",
        Failure::Denied(_) => "the store does not let the gateway in",
        Failure::Lost(_) => "the store did not answer",
        Failure::Refused(error) => {
            tracing::error!(reason = %failure::reason(error), "the store refused");
            match error.code() {
                Some("OOM") => "the store is out of memory",
                Some("MISCONF") => "the store cannot write to its disk",
                Some("READONLY") => "the store is read-only",
                Some("LOADING") => "the store is starting",
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
