//! Tells whether a host's key-value store is safe for Anonymous Domains.
//!
//! A component of its own, which a host serves in the server's place. A request has it try out the
//! host's `wasi:keyvalue@0.2.0-draft2` store, and the response says what was found and what that means
//! for the server: see [`finding`]. What one request cannot see, such as whether writes survive a
//! restart, it asks for with a link to call next: see [`run`].
//!
//! The checks are ordinary Rust over the trait [`store::Store`], so that they are tested natively, on
//! stores that have each defect.

#![cfg_attr(not(target_family = "wasm"), forbid(unsafe_code))]

pub mod answer;
pub mod check;
pub mod finding;
pub mod report;
pub mod run;
pub mod store;
#[cfg(target_family = "wasm")]
mod wasi;
