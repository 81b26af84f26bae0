//! HTTP: connections ([`serve`]), requests (`service`) and the gateway's own answers
//! ([`problem`]).

mod answer;
mod body;
mod client;
mod connection;
mod pace;
pub mod problem;
pub mod serve;
mod service;
mod target;
mod write;

pub use connection::Connection;
pub use service::{Limits, Service};
