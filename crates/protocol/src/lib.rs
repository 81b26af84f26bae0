//! The wire protocol of anonymous domains, shared by the server component, devices and tests.
//!
//! Names ([`ids`]), the JOSE that carries messages ([`jwk`], [`jws`], [`jwe`]), the messages
//! themselves ([`request`], [`response`], [`admin`], [`check`], [`transfer`]) and the one catalogue of errors
//! ([`problem`]).
//!
//! Nothing here does I/O or reads a clock; the crate builds for `wasm32-wasip2` as it does natively.
//! Whatever comes from outside is parsed once, at the door, into types with private fields that
//! cannot hold anything invalid.

#![forbid(unsafe_code)]

pub mod admin;
pub mod base64url;
pub mod check;
pub mod ids;
pub mod json;
pub mod jwe;
pub mod jwk;
pub mod jws;
pub mod problem;
pub mod request;
pub mod response;
pub mod time;
pub mod transfer;

mod random;
