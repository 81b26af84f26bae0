//! A small native host for the Anonymous Domains component.
//!
//! It embeds wasmtime and hyper, gives the component its key-value store (SQLite or Redis) and its
//! settings, and limits both. It knows nothing about domains: it passes requests to the component
//! and responses to the client.
//!
//! A module uses only modules below it in this list:
//!
//! 1. `main`: the command
//! 2. [`run`]: connects the parts, and serves until a signal comes
//! 3. [`http`]: connections, requests and responses
//! 4. [`worker`]: passes requests to instances of the component
//! 5. [`guest`], [`scheduler`], `idle_pool`: an instance and its requests, which instance computes,
//!    which are idle
//! 6. [`engine`]: compiles the component
//! 7. [`host`]: what an instance can import
//! 8. [`storage`]: opens the store, and completes the settings
//! 9. [`state`], [`telemetry`]: the state directory, the log
//! 10. [`cli`], [`ca`]: the command line, creating a CA
//! 11. [`settings`], [`store`]: the component's settings and its key-value store

#![forbid(unsafe_code)]

pub mod ca;
pub mod cli;
pub mod engine;
pub mod guest;
pub mod host;
pub mod http;
mod idle_pool;
pub mod run;
pub mod scheduler;
pub mod settings;
pub mod state;
pub mod storage;
pub mod store;
pub mod telemetry;
pub mod worker;
