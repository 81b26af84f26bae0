//! Very many names of domains.

use anonymous_domains_protocol::jwk::KeyType;

use super::{Attack, BOTH, BOTH_RSA};
use crate::{
    field::Field,
    requests::{Machine, register},
};

/// Connections of a flood.
const CLIENTS: usize = 16;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "unknown-domains",
        what: "16 connections ask about domains that are not there, up to 100,000",
        unit: "request",
        limit: "`--rate-limit-client`; a look at one row",
        settings: BOTH,
        run: |field| Box::pin(unknown(field)),
    },
    Attack {
        name: "unsigned-joins",
        what: "16 connections send nonsense to up to 100,000 domains",
        unit: "request",
        limit: "`--rate-limit-client`; refused before any row is read",
        settings: BOTH,
        run: |field| Box::pin(unsigned(field)),
    },
    Attack {
        name: "new-domains",
        what: "16 connections join up to 100,000 new domains, validly; keys are EC",
        unit: "request",
        limit: "`--rate-limit-client`, `max_domains`, `auto_create_domains = false`, tokens",
        settings: BOTH,
        run: |field| Box::pin(new_domains(field)),
    },
    Attack {
        name: "new-domains-rsa",
        what: "the same; each makes the server make an RSA key",
        unit: "request",
        limit: "a quarter of the cores, by turns with other clients; as before",
        settings: BOTH_RSA,
        run: |field| Box::pin(new_domains(field)),
    },
];

/// The name of one of 100,000 domains.
fn name(field: &Field, number: u64) -> Option<String> {
    (number < 100_000).then(|| format!("{}-{number}", field.prefix))
}

async fn unknown(field: Field) {
    let get = |field: &Field, number| {
        let path = format!("/flashaccess/domainserver/{}", name(field, number)?);
        Some(field.requests.get(&path))
    };
    field.flood(CLIENTS, get).await;
}

async fn unsigned(field: Field) {
    let body = "{\"protected\":\"e30\",\"payload\":\"e30\",\"signature\":\"AA\"}";
    let post = |field: &Field, number| {
        let path = register(&name(field, number)?);
        Some(field.requests.post(&path, body))
    };
    field.flood(CLIENTS, post).await;
}

async fn new_domains(field: Field) {
    let machine = Machine::new(KeyType::EcP256);
    let join = |field: &Field, number| Some(field.requests.join(&name(field, number)?, &machine));
    field.flood(CLIENTS, join).await;
}
