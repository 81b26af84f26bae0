//! An issuer whose key pairs are names, and whose encrypted keys can be read.

use std::rc::Rc;

use anonymous_domains::{
    credential::{Issuer, Order},
    error::Error,
    tables::domain_keys::{DomainKeys, NewCertificate, NewKey},
};
use anonymous_domains_protocol::{base64url, jwk::PublicKey, response::Credential};

use crate::world::World;

/// How long a simulated request waits for a maker, in milliseconds.
pub const PATIENCE_MS: u64 = 200;

/// How long a certificate is good, in seconds: so short that some run out within a schedule.
const LIFETIME_S: i64 = 12;

/// Makes the keys of a simulated server.
#[derive(Debug, Clone)]
pub struct SimIssuer {
    pub world: Rc<World>,
    /// Whether certificates run out within a schedule.
    pub short_lived: bool,
}

impl SimIssuer {
    fn certificate(&self, order: &Order<'_>, identity: &str) -> NewCertificate {
        NewCertificate {
            der: identity.as_bytes().to_vec(),
            chain: vec![b"the domain CA".to_vec()],
            not_before_s: order.now_s,
            not_after_s: self.not_after_s(order.now_s),
        }
    }
}

impl Issuer for SimIssuer {
    fn make(&self, order: &Order<'_>) -> Result<NewKey, Error> {
        let identity = self.world.make(order.domain, order.version);
        self.world.trace_call(|| format!("makes key {identity}"));
        Ok(NewKey {
            sealed: identity.as_bytes().to_vec(),
            certificate: self.certificate(order, &identity),
        })
    }

    fn renew(&self, order: &Order<'_>, old: &[u8]) -> Result<NewCertificate, Error> {
        let identity = String::from_utf8_lossy(old).into_owned();
        self.world.trace_call(|| format!("renews {identity}"));
        Ok(self.certificate(order, &identity))
    }

    /// The names of the keys, a line each.
    fn encrypted_keys(
        &self,
        _domain: &str,
        keys: &DomainKeys,
        credentials: &[Credential],
        _machine_key: &PublicKey,
    ) -> Result<Option<String>, Error> {
        let Some(first) = credentials.first() else {
            return Ok(None);
        };
        let names: Vec<_> = keys
            .above(first.key_version - 1)
            .map(|(_, key)| String::from_utf8_lossy(&key.sealed).into_owned())
            .collect();
        Ok(Some(names.join("\n")))
    }

    fn not_after_s(&self, now_s: i64) -> i64 {
        now_s
            + if self.short_lived {
                LIFETIME_S
            } else {
                1_000_000_000
            }
    }

    fn patience_ms(&self) -> u64 {
        PATIENCE_MS
    }
}

/// The key pair that a credential's certificate is over.
pub fn identity(credential: &Credential) -> Option<String> {
    let der = base64url::decode_standard(credential.x5c.first()?).ok()?;
    String::from_utf8(der).ok()
}
