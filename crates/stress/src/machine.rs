//! The machines of a run: each has a GUID and a key, kept in memory.

use std::sync::Arc;

use anonymous_domains_protocol::{
    ids::MachineGuid,
    jwk::{KeyType, PrivateKey},
};

/// RSA keys are slow to make, so machines share this many.
const RSA_KEYS: usize = 4;
/// One in this many machines has an RSA key.
const RSA_EVERY: usize = 10;

/// A machine with its identity.
#[derive(Clone)]
pub struct Machine {
    /// Its GUID.
    pub guid: MachineGuid,
    /// Its key.
    pub key: Arc<PrivateKey>,
}

/// Makes machines with random GUIDs: one in ten with an RSA key, the others with an EC key each.
pub fn make(number: usize) -> Vec<Machine> {
    let rsa: Vec<_> = (0..number.div_ceil(RSA_EVERY).min(RSA_KEYS))
        .map(|_| Arc::new(PrivateKey::generate(KeyType::Rsa2048)))
        .collect();
    (0..number)
        .map(|index| Machine {
            guid: MachineGuid::random(),
            key: if index % RSA_EVERY == 0 {
                Arc::clone(&rsa[index / RSA_EVERY % rsa.len()])
            } else {
                Arc::new(PrivateKey::generate(KeyType::EcP256))
            },
        })
        .collect()
}

/// Makes machines with random GUIDs and EC keys.
pub fn make_ec(number: usize) -> Vec<Machine> {
    (0..number)
        .map(|_| Machine {
            guid: MachineGuid::random(),
            key: Arc::new(PrivateKey::generate(KeyType::EcP256)),
        })
        .collect()
}
