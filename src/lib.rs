//! The open device-domain registration server.
//!
//! Devices that belong to one *domain* share its keys. This crate is the server that admits them,
//! as a WebAssembly component for any host with `wasi:http` 0.3 or 0.2 and `wasi:keyvalue@0.2.0-draft2`,
//! and as an ordinary library in which the same logic is tested natively.
//!
//! Data flows one way: [`http`] → [`device_request`] → [`registration`] or [`deregistration`] →
//! [`membership`] → [`tables`] → [`store`], and back as a response. ARCHITECTURE.md has the order of all
//! modules, and a test holds the imports to it.

#![cfg_attr(not(target_family = "wasm"), forbid(unsafe_code))]

pub mod administration;
pub mod authentication;
pub mod context;
pub mod credential;
pub mod deregistration;
pub mod device_request;
pub mod domain;
pub mod environment;
pub mod error;
pub mod health;
pub mod http;
pub mod issuer;
pub mod journal;
pub mod machine_trust;
pub mod membership;
pub mod registration;
pub mod settings;
pub mod store;
pub mod tables;
#[cfg(target_family = "wasm")]
mod wasi;
