//! Whatever reads input from outside, as targets for fuzzing.
//!
//! A [`Target`] is a function of bytes. It panics where something does not hold that must hold of
//! every input: that what is printed reads as the same, that what is refused changes nothing, that
//! errors are the documented ones and show no secret. `cargo test` runs each over its seeds and over
//! mutations of them that are always the same; `cargo xtask fuzz` gives each to libFuzzer, which
//! follows the coverage, for as long as one likes.

#![forbid(unsafe_code)]

mod fixture;
mod input;
mod server;
pub mod targets;

pub use targets::{ALL, Target, find};
