//! HTTP: connections ([`serve`]), requests (`service`) and the gateway's own answers
//! ([`problem`]).

mod body;
mod idle;
pub mod problem;
pub mod serve;
mod service;
mod target;

pub use service::{Limits, Service};
