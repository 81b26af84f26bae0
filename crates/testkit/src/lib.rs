//! What the stress test, the bench and the tests share.
//!
//! - [`Guarantee`]: the server's guarantees, as the README lists them
//! - [`Process`], [`free_port`]: child processes that do not outlive a test
//! - [`Gateway`]: a running gateway, or another server that prints where it listens
//! - [`domain_life`], [`program`]: devices, by their command; where a test finds programs
//! - [`RedisServer`]: a Redis server for one test
//! - [`PostgresServer`], [`PgBouncer`]: PostgreSQL for one test, with standbys and a pooler
//! - [`Latencies`]: a histogram of response times

#![forbid(unsafe_code)]

mod device;
mod gateway;
mod guarantee;
mod latencies;
mod postgres;
mod process;
mod redis;

pub use device::{component_and_device, domain_life, program};
pub use gateway::Gateway;
pub use guarantee::Guarantee;
pub use latencies::Latencies;
pub use postgres::{Authentication, PgBouncer, PostgresServer};
pub use process::{Process, free_port};
pub use redis::RedisServer;
