//! The store in a Redis or Valkey, or a cluster of them, for several gateways.
//!
//! Each row is a hash of its own, `anonymous-domains-gateway:row:` and the row's key, with two
//! fields: `value`, and `version`, 64 random bits as a decimal number. An operation that needs more
//! than one command is one script ([`scripts`]), so the writes of any number of gateways are
//! serialized. Each concerns one key, so in a cluster each has one node ([`cluster`]). Whether an acknowledged write survives a crash of the Redis depends on how that is
//! configured.
//!
//! While the Redis is away every operation fails within seconds ([`connection`]). A read whose
//! connection broke is tried once more on a new one. A write is not, as it may have been executed.

mod address;
mod claim;
mod cluster;
mod connection;
mod failure;
mod listing;
mod names;
mod node;
mod request;
mod scripts;
mod server_info;
mod servers;
mod slot;

use std::time::Duration;

use async_trait::async_trait;
use failure::Failure;
use names::row;
use redis::{FromRedisValue, Value};
use request::Request;
use scripts::Scripts;
use servers::{Search, Servers};
use tokio::time::Instant;

use super::{
    Entry, KeyPage, Store, StoreError, Swap, Version, random_version, shared::ConnectError,
};

pub use address::Address;
pub use names::PREFIX;

/// How long a starting gateway waits between attempts to connect.
const START_PAUSE: Duration = Duration::from_secs(1);

/// A [`Store`] in a Redis or Valkey, or in a cluster of them.
pub struct RedisStore {
    servers: Servers,
    scripts: Scripts,
}

impl RedisStore {
    /// Connects. Tries again until `timeout` has passed if the Redis cannot be reached. Warns of a
    /// configuration that may lose acknowledged writes.
    ///
    /// # Errors
    ///
    /// If the Redis does not let the gateway in, cannot be reached, or is no cluster although the
    /// address names several servers.
    pub async fn connect(address: &Address, timeout: Duration) -> Result<Self, ConnectError> {
        let search = Search::new(&address.servers);
        let start = Instant::now();
        loop {
            let address = || address.to_string();
            match search.ask().await {
                Ok(Servers::One(_)) if search.has_several() => {
                    return Err(ConnectError::NoCluster { address: address() });
                }
                Ok(servers) => {
                    servers.warn_of_losses().await;
                    return Ok(Self {
                        servers,
                        scripts: Scripts::new(),
                    });
                }
                Err(Failure::Denied(reason)) => {
                    let address = address();
                    return Err(ConnectError::Denied { address, reason });
                }
                Err(failure) if start.elapsed() >= timeout => {
                    return Err(ConnectError::Away {
                        address: address(),
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

    /// Sends a request that only reads.
    async fn read<T: FromRedisValue>(&self, request: &Request<'_>) -> Result<T, StoreError> {
        let answer = match self.servers.send(request).await {
            Err(Failure::Lost(_)) => self.servers.send(request).await,
            answer => answer,
        };
        understood(answer)
    }

    /// Sends a request that writes, once.
    async fn write<T: FromRedisValue>(&self, request: &Request<'_>) -> Result<T, StoreError> {
        understood(self.servers.send(request).await)
    }
}

fn understood<T: FromRedisValue>(answer: Result<Value, Failure>) -> Result<T, StoreError> {
    let value = answer.map_err(failed)?;
    redis::from_redis_value(value).map_err(|error| failed(Failure::Refused(error.into())))
}

#[async_trait]
impl Store for RedisStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        super::check_key(key)?;
        let request = Request::command("HMGET", &row(key));
        let fields: Fields = self.read(&request.arg("version").arg("value")).await?;
        fields.entry()
    }

    async fn exists(&self, key: &str) -> Result<bool, StoreError> {
        super::check_key(key)?;
        self.read(&Request::command("EXISTS", &row(key))).await
    }

    /// Reads every key of the Redis for each page: meant for maintenance, not for requests. A key
    /// that is created or removed in the meantime may or may not be listed. Fails while a cluster
    /// moves slots.
    async fn list_keys(&self, cursor: Option<&str>) -> Result<KeyPage, StoreError> {
        listing::page(&self.servers, cursor).await.map_err(failed)
    }

    async fn set(&self, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        super::check_key(key)?;
        super::check_value(&value)?;
        let request = Request::command("HSET", &row(key));
        let request = request.arg("version").arg(random_version()?);
        self.write(&request.arg("value").arg(value)).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        super::check_key(key)?;
        self.write(&Request::command("DEL", &row(key))).await
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        super::check_key(key)?;
        let request = Request::script(&self.scripts.increment, &row(key));
        match self
            .write(&request.arg(delta).arg(random_version()?))
            .await?
        {
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
        let request = Request::script(&self.scripts.swap, &row(key));
        let request = request.arg(expected.unwrap_or_default());
        let request = request.arg(random_version()?).arg(value);
        match self.write::<Option<Fields>>(&request).await? {
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
        Failure::Moving => "the store is moving keys between its nodes",
        Failure::Refused(error) => {
            tracing::error!(reason = %failure::reason(error), "the store refused");
            match error.code() {
                Some("OOM") => "the store is out of memory",
                Some("MISCONF") => "the store cannot write to its disk",
                Some("READONLY") => "the store is read-only",
                Some("LOADING") => "the store is starting",
                Some("CLUSTERDOWN") => "the store's cluster is down",
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
