//! A small native host for the Anonymous Domains component.
//!
//! It embeds wasmtime and hyper, gives the component its key-value store (SQLite or Redis) and
//! its settings, and keeps both within limits. It knows nothing about domains: what the component is
//! asked and what it answers passes through.
//!
//! ```text
//! http::serve -> http::service -> worker -> cores, engine, host -> store, settings
//! ```

#![forbid(unsafe_code)]

pub mod ca;
pub mod cli;
pub mod cores;
pub mod engine;
pub mod host;
pub mod http;
mod idle;
pub mod run;
pub mod settings;
pub mod state;
pub mod storage;
pub mod store;
pub mod telemetry;
pub mod worker;
