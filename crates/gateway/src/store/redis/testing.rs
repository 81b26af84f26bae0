//! Real Redis or Valkey servers for a test, in a directory of its own.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anonymous_domains_testkit::{RedisCluster, RedisServer};
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Address, RedisStore};
use crate::store::{contract::Two, shared::Credentials, testing::DEADLINE};

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

/// A running cluster, with a user who may do what a gateway needs and no more. It is killed when
/// this is dropped.
pub(crate) struct TestCluster {
    cluster: RedisCluster,
    _directory: TempDir,
}

impl TestCluster {
    /// Starts one with so many primaries and replicas of the first.
    pub fn start(primaries: usize, replicas: usize, options: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let user = format!("--user gateway on >hunter2 {PERMISSIONS}");
        let user: Vec<_> = user.split(' ').collect();
        let options = [&user, options].concat();
        let cluster = RedisCluster::start(directory.path(), primaries, replicas, &options);
        Self {
            cluster: cluster.expect("a Redis Cluster"),
            _directory: directory,
        }
    }

    /// A store on it. Only the nodes with these numbers are named.
    pub async fn store(&self, nodes: &[usize]) -> RedisStore {
        let hosts = nodes.iter().map(|&node| self.nodes[node].port);
        store_at(hosts).await
    }

    /// Two stores on it, after everything in it was deleted.
    pub async fn emptied(&self) -> Two {
        for node in &self.nodes {
            node.ask("FLUSHALL").expect("an emptied node");
        }
        [
            Arc::new(self.store(&[0]).await),
            Arc::new(self.store(&[2, 1]).await),
        ]
    }
}

/// A store on a cluster with nodes at these ports.
pub(crate) async fn store_at(ports: impl IntoIterator<Item = u16>) -> RedisStore {
    let hosts = ports.into_iter().map(|port| format!("127.0.0.1:{port}"));
    let hosts: Vec<_> = hosts.collect();
    let url = format!("redis://gateway:hunter2@{}", hosts.join(","));
    let address = Address::new(&url, Credentials::default()).expect("an address");
    let store = RedisStore::connect(&address, DEADLINE).await;
    store.expect("a store")
}

impl Deref for TestCluster {
    type Target = RedisCluster;

    fn deref(&self) -> &RedisCluster {
        &self.cluster
    }
}

impl DerefMut for TestCluster {
    fn deref_mut(&mut self) -> &mut RedisCluster {
        &mut self.cluster
    }
}

/// What a gateway's user must be permitted, as docs/operate/deploying.md says.
pub(crate) const PERMISSIONS: &str = "resetkeys ~anonymous-domains-gateway:* resetchannels -@all \
    +select +get +set +del +exists +sadd +smembers +hget +hmget +hset +hincrby +evalsha \
    +script|load +scan +cluster|slots +cluster|nodes +cluster|info +asking";

/// Forwards everything between a client and a server. On demand it drops an answer and closes the
/// connection instead.
pub(crate) async fn relay(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    mut server: impl AsyncRead + AsyncWrite + Unpin,
    swallow: &AtomicBool,
) {
    let (mut from_client, mut from_server) = ([0; 4096], [0; 4096]);
    loop {
        tokio::select! {
            Ok(n @ 1..) = client.read(&mut from_client) => {
                server.write_all(&from_client[..n]).await.unwrap();
            }
            Ok(n @ 1..) = server.read(&mut from_server) => {
                if swallow.swap(false, Ordering::SeqCst) {
                    break;
                }
                client.write_all(&from_server[..n]).await.unwrap();
            }
            else => break,
        }
    }
}
