//! What the stress test, the bench and the tests share.
//!
//! - [`Guarantee`]: the server's guarantees, as the README lists them
//! - [`Process`], [`free_port`]: child processes that do not outlive a test; [`Usage`]: what they use
//! - [`Gateway`]: a running gateway, or another server that prints where it listens
//! - [`domain_life`], [`program`]: devices, by their command; where a test finds programs
//! - [`RedisServer`], [`RedisCluster`]: a Redis server, or several, for one test
//! - [`PostgresServer`], [`PgBouncer`]: PostgreSQL for one test, with standbys and a pooler
//! - [`Latencies`]: a histogram of response times; [`write_into`]: results in documents
//! - [`assert_command`]: whether a command line is consistent, and the examples in its help are true

#![forbid(unsafe_code)]

mod device;
mod document;
mod examples;
mod gateway;
mod guarantee;
mod latencies;
mod postgres;
mod process;
mod redis;
mod redis_cluster;
mod usage;

pub use device::{component_and_device, domain_life, program};
pub use document::write_into;
pub use examples::assert_command;
pub use gateway::Gateway;
pub use guarantee::Guarantee;
pub use latencies::Latencies;
pub use postgres::{Authentication, PgBouncer, PostgresServer};
pub use process::{Process, free_port};
pub use redis::RedisServer;
pub use redis_cluster::{RedisCluster, RedisNode};
pub use usage::Usage;
