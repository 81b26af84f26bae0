//! The address of a store that several gateways share, of any kind.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    postgres::{self, PostgresStore},
    redis::{self, RedisStore},
    shared::{AddressError, ConnectError, Credentials, SharedStore},
};

/// A server for the tables. `Display` and `Debug` show its URL without credentials.
pub enum Address {
    /// A Redis or Valkey.
    Redis(Box<redis::Address>),
    /// A PostgreSQL, and how many connections a gateway has to it at most.
    Postgres(postgres::Address, usize),
}

impl Address {
    /// Parses a URL, see [`redis::Address::new`] and [`postgres::Address::new`]. `connections` is for
    /// stores that need several.
    ///
    /// # Errors
    ///
    /// If it is no URL of a store, or does not fit the credentials.
    pub fn new(
        url: &str,
        credentials: Credentials,
        connections: usize,
    ) -> Result<Self, AddressError> {
        match postgres::is_url(url) {
            true => postgres::Address::new(url, credentials)
                .map(|address| Self::Postgres(address, connections)),
            false => redis::Address::new(url, credentials)
                .map(Box::new)
                .map(Self::Redis),
        }
    }

    /// Whether a text looks like the URL of a store and has a password in it.
    pub fn has_password(url: &str) -> bool {
        postgres::Address::has_password(url) || redis::Address::has_password(url)
    }

    /// Connects. Tries again until `timeout` has passed if the server cannot be reached.
    ///
    /// # Errors
    ///
    /// If the server does not let the gateway in, would lose writes, or cannot be reached.
    pub async fn connect(self, timeout: Duration) -> Result<Arc<dyn SharedStore>, ConnectError> {
        Ok(match self {
            Self::Redis(address) => Arc::new(RedisStore::connect(&address, timeout).await?),
            Self::Postgres(address, connections) => {
                Arc::new(PostgresStore::connect(address, connections, timeout).await?)
            }
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redis(address) => address.fmt(f),
            Self::Postgres(address, _) => address.fmt(f),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
