//! An issuer whose key pairs are names, and whose encrypted keys can be read.

use std::rc::Rc;

use anonymous_domains::{
    credential::{Issuer, Order},
    error::Error,
    tables::domain_keys::{NewCertificate, NewKey},
};
use anonymous_domains_protocol::{
    base64url,
    jwk::PublicKey,
    response::{Credential, PrivateKeySet, RegisterResponse},
};
use serde_json::json;
use zeroize::Zeroizing;

use crate::world::World;

/// How long a simulated request waits for a maker, in milliseconds.
pub const PATIENCE_MS: u64 = 200;

/// How long a certificate is good, in seconds: so short that some run out within a schedule.
const LIFETIME_S: i64 = 12;

/// The member of a private JWK that names its key pair.
const NAME: &str = "name";

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

    fn open(&self, _: &str, _: u32, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let jwk = json!({ NAME: String::from_utf8_lossy(sealed) });
        Ok(Zeroizing::new(jwk.to_string().into_bytes()))
    }

    /// Encrypts nothing.
    fn encrypt(&self, key_set: Zeroizing<Vec<u8>>, _: &PublicKey) -> Result<String, Error> {
        Ok(base64url::encode(&key_set))
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

/// The key pairs whose private keys an answer delivers.
pub fn delivered(answer: &RegisterResponse) -> Option<Vec<String>> {
    let key_set = base64url::decode(answer.encrypted_keys.as_ref()?).ok()?;
    let key_set: PrivateKeySet = serde_json::from_slice(&key_set).ok()?;
    let name = |jwk: &serde_json::Value| jwk[NAME].as_str().map(str::to_owned);
    key_set.keys.iter().map(name).collect()
}

/// The key pair that a credential's certificate is over.
pub fn identity(credential: &Credential) -> Option<String> {
    let der = base64url::decode_standard(credential.x5c.first()?).ok()?;
    String::from_utf8(der).ok()
}
