//! HTTP: connections ([`serve`]), requests (`service`) and the gateway's own error responses
//! ([`problem`]).
//!
//! ```text
//! serve -> admission, drive
//! faulty -> service
//! drive -> connection, turns, write_timeout
//! service -> drive, access, caller, cross_origin, rate_limit, target, request_body, response, connection,
//!            route, internal
//! ```

mod access;
mod admission;
mod body_policy;
mod caller;
mod connection;
mod cross_origin;
mod drive;
pub mod faulty;
pub mod forwarded;
mod internal;
pub mod listen;
mod min_rate;
mod pool;
pub mod problem;
mod rate_limit;
mod request_body;
mod response;
mod route;
pub mod serve;
mod service;
pub mod target;
mod turns;
mod write_timeout;

pub use connection::Connection;
pub use drive::Answer;
pub use rate_limit::Refusal;
pub use service::{Limits, Service};
