//! Domain credentials: a certificate over a domain's key, and the private key for one machine.

pub mod at_rest;
pub mod authority;
mod ca_key;
pub mod cache;
pub mod certificate;
pub mod delivery;
mod ecdsa;
pub mod pem;
mod private_jwk;
pub mod stored_key;
