//! A real Redis or Valkey server for a test, in a directory of its own.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use anonymous_domains_testkit::RedisServer;
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

use super::{Address, RedisStore};
use crate::store::shared::Credentials;

/// How long anything may take before a test gives up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A running server. It is killed when this is dropped.
pub(crate) struct TestRedis {
    server: RedisServer,
    /// Removed after the server was killed.
    pub directory: TempDir,
}

impl TestRedis {
    /// Starts a server with more options, such as `--requirepass`, `x`.
    pub fn start(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self::try_start(directory, options).expect("the Redis server ended")
    }

    /// Starts one in a directory that may hold what its options name; `None` if it ends at once.
    pub fn try_start(directory: TempDir, options: &[&str]) -> Option<Self> {
        let started = RedisServer::try_start(directory.path(), options);
        let server = started.expect("a Redis server")?;
        Some(Self { server, directory })
    }

    /// A store on it.
    pub async fn store(&self) -> RedisStore {
        let address = Address::new(&self.url(), Credentials::default()).expect("an address");
        RedisStore::connect(&address, DEADLINE)
            .await
            .expect("a store")
    }

    /// A plain connection to it.
    pub async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url()).expect("a client");
        let connection = client.get_multiplexed_async_connection().await;
        connection.expect("a connection")
    }
}

impl Deref for TestRedis {
    type Target = RedisServer;

    fn deref(&self) -> &RedisServer {
        &self.server
    }
}

impl DerefMut for TestRedis {
    fn deref_mut(&mut self) -> &mut RedisServer {
        &mut self.server
    }
}
