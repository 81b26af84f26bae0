//! What is stored, byte for byte: a server that writes other bytes cannot share a store with one
//! that is running, or open what it has left.
//!
//! Time, random numbers and key material are fixed, so the rows are always the same. They are in
//! `golden/stored_bytes.txt`, a line for each key and value; after a wanted change of the format,
//! `UPDATE_GOLDEN=1 cargo test --test native stored_bytes` writes the file.

use std::{cell::Cell, fmt::Write as _, path::Path};

use anonymous_domains::{
    administration::{Administration, Precondition},
    authentication::Credentials,
    context::RequestContext,
    credential::cache::CredentialCache,
    deregistration::deregister,
    device_request::{Deregistration, Registration},
    environment::Environment,
    error::Error,
    issuer::{CertificateOrder, Issuer, KeyDigest, NewCertificate, NewKey},
    journal::{Actor, Journal},
    registration::register,
    settings::Policy,
    store::rows::Limits,
    tables::{Tables, domain_membership::Machine},
};
use anonymous_domains_protocol::{
    admin::DomainSettings,
    ids::{DomainName, MachineGuid},
    jwk::{KeyType, PrivateKey, PublicKey},
};
use zeroize::Zeroizing;

use crate::support::{MemoryStore, NOW_MS};

const GOLDEN: &str = "tests/native/golden/stored_bytes.txt";

/// Random numbers that are always the same.
#[derive(Debug, Default)]
struct Fixed(Cell<u64>);

impl Environment for Fixed {
    fn now_ms(&self) -> i64 {
        NOW_MS
    }

    async fn sleep_ms(&self, _: u64) {}

    fn fill_random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            // Knuth's constants for a linear congruential generator.
            let next = self.0.get().wrapping_mul(6_364_136_223_846_793_005);
            self.0.set(next.wrapping_add(1_442_695_040_888_963_407));
            *byte = (self.0.get() >> 56) as u8;
        }
    }

    fn log(&self, _: &str) {}
}

/// An issuer whose keys are their names.
struct Named;

impl Issuer for Named {
    fn make(&self, order: &CertificateOrder<'_>, _: &KeyDigest) -> Result<NewKey, Error> {
        Ok(NewKey {
            key_type: KeyType::EcP256,
            sealed: format!("sealed {}/{}", order.domain, order.version).into(),
            certificate: self.renew(order, b"")?,
        })
    }

    fn renew(&self, order: &CertificateOrder<'_>, _: &[u8]) -> Result<NewCertificate, Error> {
        Ok(NewCertificate {
            der: format!("certificate {}/{}", order.domain, order.version).into(),
            chain: vec![b"CA".to_vec(), b"root".to_vec()],
            not_before_s: order.now_s,
            not_after_s: order.now_s + 1_000_000,
        })
    }

    fn reissue(&self, order: &CertificateOrder<'_>, _: &[u8]) -> Result<NewCertificate, Error> {
        self.renew(order, b"")
    }

    fn reseal(
        &self,
        _: &DomainName,
        _: u32,
        _: &[u8],
        _: &KeyDigest,
    ) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }

    fn open(&self, _: &DomainName, _: u32, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        Ok(Zeroizing::new(b"{\"kty\":\"none\"}".to_vec()))
    }

    fn encrypt(&self, _: Zeroizing<Vec<u8>>, _: &PublicKey) -> Result<String, Error> {
        Ok("encrypted".to_owned())
    }

    fn check(&self, _: i64) -> Result<(), Error> {
        Ok(())
    }

    fn signs_until_from_s(&self, _: i64) -> Option<i64> {
        None
    }

    fn takeover_ms(&self) -> u64 {
        1000
    }
}

struct Always;

impl Precondition for Always {
    fn holds(&self, _: Option<&str>) -> bool {
        true
    }
}

fn machine(number: u8) -> Machine {
    Machine {
        guid: MachineGuid::from_bytes([number; 16]),
        key_thumbprint: [number; 32],
        iat_ms: NOW_MS,
    }
}

/// Every kind of row, and every kind of entry in it.
async fn fill(tables: &Tables<MemoryStore, Fixed>) -> Result<(), Error> {
    let policy = Policy {
        public_origin: None,
        public_path_prefix: String::new(),
        clock_tolerance_s: 300,
        auto_create_domains: true,
        machine_trust_anchors: None,
        tokens: None,
        max_domains: None,
        max_key_versions_per_day: 100,
    };
    let credential_cache = CredentialCache::default();
    let journal = Journal::new(&tables.env, "fill", Actor::Machine);
    let server = RequestContext {
        tables,
        credential_cache: &credential_cache,
        issuer: &Named,
        policy: &policy,
        credentials: Credentials::None,
        journal,
    };
    let administration = Administration { tables, journal };
    let domain = |name| DomainName::parse(name).unwrap();
    let key = PrivateKey::generate(KeyType::EcP256);
    let join = async |number, name| {
        let request = Registration {
            server_url: format!("https://domains.example/{name}/"),
            domain: domain(name),
            machine: machine(number),
            machine_key: key.public_key(),
            current_domain: None,
            known_key_version: None,
        };
        register(&server, &request).await.map(drop)
    };
    let leave = async |number, name| {
        let request = Deregistration {
            domain: domain(name),
            machine: machine(number),
            preview: false,
        };
        deregister(&server, &request).await.map(drop)
    };
    let guid = |number| machine(number).guid;
    for number in 0..9 {
        join(number, "living-room").await?;
    }
    leave(1, "living-room").await?;
    let living_room = domain("living-room");
    administration.remove_member(&living_room, guid(2)).await?;
    administration.block(&living_room, guid(3)).await?;
    administration.block(&living_room, guid(200)).await?;
    join(4, "living-room").await?;
    let settings = DomainSettings {
        authentication_required: true,
        auth_namespace: Some("example".to_owned()),
        max_membership: Some(40),
    };
    for name in ["attic", "cellar", "garage", "garden", "hall"] {
        join(1, name).await?;
    }
    let hall = domain("hall");
    administration.put_domain(&hall, &settings, &Always).await?;
    administration.require_rollover(&hall).await?;
    administration.delete_domain(&domain("garage")).await
}

#[tokio::test]
async fn stored_bytes() {
    let limits = Limits {
        leaf_entries: 4,
        branch_children: 3,
        revisions_kept: 2,
        ..Limits::default()
    };
    let (store, keys) = (MemoryStore::default(), vec![[7; 32]]);
    let tables = Tables::new(store, Fixed::default(), keys, limits);
    fill(&tables).await.unwrap();
    let mut stored = String::new();
    for (key, value) in tables.store.rows.borrow().iter() {
        let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(stored, "{key} {hex}").unwrap();
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &stored).unwrap();
    }
    let golden = std::fs::read_to_string(&golden).unwrap();
    for (is, was) in stored.lines().zip(golden.lines()) {
        assert_eq!(is, was);
    }
    assert_eq!(stored.lines().count(), golden.lines().count());
}
