//! HTTP: connections ([`serve`]), requests (`service`) and the gateway's own error responses
//! ([`problem`]).
//!
//! ```text
//! serve -> admission, drive, service
//! drive -> connection, response, write_timeout
//! service -> target, request_body, response, connection, route, internal
//! ```

mod admission;
mod body_policy;
mod client;
mod connection;
mod drive;
mod internal;
mod min_rate;
pub mod problem;
mod request_body;
mod response;
mod route;
pub mod serve;
mod service;
mod target;
mod write_timeout;

pub use connection::Connection;
pub use service::{Limits, Service};
