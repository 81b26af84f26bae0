//! The targets, by what they read.

mod certificates;
mod configuration;
mod exports;
mod faults;
mod jose;
mod names;
mod network;
mod p256;
mod requests;
mod rows;
mod sequences;
mod tokens;

/// A function of bytes with what must hold.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it reads.
    pub about: &'static str,
    /// Panics where something does not hold.
    pub run: fn(&[u8]),
    /// Inputs from which others are made.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// How many mutations `cargo test` runs: a second or so.
    pub mutations: u32,
}

/// All of them.
pub const ALL: &[Target] = &[
    requests::DEVICE,
    requests::ADMIN,
    jose::JWK,
    jose::PRIVATE_KEY,
    jose::SIGNED_REQUEST,
    jose::JWE,
    jose::ANSWER,
    tokens::TOKEN,
    tokens::ISSUER_KEYS,
    certificates::MACHINE_CHAIN,
    certificates::DOMAIN_CERTIFICATE,
    names::NAMES,
    names::URLS,
    rows::ROWS,
    rows::STORE,
    exports::EXPORT_FILE,
    configuration::SETTINGS,
    configuration::CONFIG_FILE,
    configuration::STORE_ADDRESS,
    configuration::LIMITS,
    faults::TEST_FAULTS,
    network::FORWARDED_FOR,
    network::REQUEST_TARGET,
    p256::P256,
    sequences::SEQUENCES,
];

/// The target of a name.
pub fn find(name: &str) -> Option<&'static Target> {
    ALL.iter().find(|target| target.name == name)
}
