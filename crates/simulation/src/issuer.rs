//! [`Issuer`] whose key pairs are only names, and whose encrypted keys anyone can read.

use std::rc::Rc;

use anonymous_domains::{
    error::Error,
    issuer::{CertificateOrder, Issuer, NewCertificate, NewKey},
};
use anonymous_domains_protocol::{
    base64url,
    ids::DomainName,
    jwk::{KeyType, PublicKey},
    response::{Credential, PrivateKeySet, RegisterResponse},
};
use serde_json::json;
use zeroize::Zeroizing;

use crate::runtime::Runtime;

/// How long making a simulated key may take, in milliseconds.
pub const TAKEOVER_MS: u64 = 200;

/// The error when making a key fails.
pub const FAILURE: &str = "a key cannot be made";

/// How often making a key fails, in thousandths, in schedules in which it does.
const FAILURE_RATE: u32 = 300;

/// The lifetime of a short-lived certificate, in seconds. Some expire within a schedule.
const LIFETIME_S: i64 = 12;

/// The member of a private JWK that names its key pair.
const NAME: &str = "name";

/// Makes the keys of a simulated server.
#[derive(Debug, Clone)]
pub struct SimIssuer {
    pub runtime: Rc<Runtime>,
    /// Whether certificates expire within a schedule.
    pub short_lived: bool,
    /// The key-encryption key that it has.
    pub owner: Owner,
}

/// A key-encryption key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The key of the store's owner.
    Right,
    /// Another key: an operator's mistake.
    Wrong,
}

impl Owner {
    /// The key's digest.
    pub fn digest(self) -> [u8; 32] {
        [self as u8 + 1; 32]
    }

    /// What is sealed under the key begins with this.
    fn seal(self) -> &'static str {
        match self {
            Self::Right => "",
            Self::Wrong => "sealed under another key: ",
        }
    }
}

impl SimIssuer {
    fn lifetime_s(&self) -> i64 {
        if self.short_lived {
            LIFETIME_S
        } else {
            1_000_000_000
        }
    }

    fn certificate(&self, order: &CertificateOrder<'_>, name: &str) -> NewCertificate {
        NewCertificate {
            der: name.as_bytes().to_vec(),
            chain: vec![b"the domain CA".to_vec()],
            not_before_s: order.now_s,
            not_after_s: order.now_s + self.lifetime_s(),
        }
    }
}

impl Issuer for SimIssuer {
    fn make(&self, order: &CertificateOrder<'_>) -> Result<NewKey, Error> {
        if self.runtime.key_making_fails.get() && self.runtime.chance(FAILURE_RATE) {
            self.runtime.trace_current(|| FAILURE.to_owned());
            return Err(Error::fault(FAILURE));
        }
        let name = self.runtime.make_key(order.domain.as_str(), order.version);
        self.runtime.trace_current(|| format!("makes key {name}"));
        Ok(NewKey {
            key_type: KeyType::EcP256,
            sealed: format!("{}{name}", self.owner.seal()).into_bytes(),
            certificate: self.certificate(order, &name),
        })
    }

    fn renew(&self, order: &CertificateOrder<'_>, old: &[u8]) -> Result<NewCertificate, Error> {
        let name = String::from_utf8_lossy(old).into_owned();
        self.runtime.trace_current(|| format!("renews {name}"));
        Ok(self.certificate(order, &name))
    }

    fn open(&self, _: &DomainName, _: u32, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let sealed = String::from_utf8_lossy(sealed);
        let is_other = sealed.starts_with(Owner::Wrong.seal()) != (self.owner == Owner::Wrong);
        let name = sealed.strip_prefix(self.owner.seal());
        let name = name.filter(|_| !is_other);
        let name = name.ok_or_else(|| Error::fault("a domain key does not open"))?;
        let jwk = json!({ NAME: name });
        Ok(Zeroizing::new(jwk.to_string().into_bytes()))
    }

    /// Encrypts nothing.
    fn encrypt(&self, key_set: Zeroizing<Vec<u8>>, _: &PublicKey) -> Result<String, Error> {
        Ok(base64url::encode(&key_set))
    }

    fn check(&self, _now_s: i64) -> Result<(), Error> {
        Ok(())
    }

    fn signs_until_from_s(&self, not_after_s: i64) -> Option<i64> {
        Some(not_after_s - self.lifetime_s())
    }

    fn takeover_ms(&self) -> u64 {
        TAKEOVER_MS
    }
}

/// The names of the key pairs whose private keys an answer delivers.
pub fn delivered(answer: &RegisterResponse) -> Option<Vec<String>> {
    let key_set = base64url::decode(answer.encrypted_keys.as_ref()?).ok()?;
    let key_set: PrivateKeySet = serde_json::from_slice(&key_set).ok()?;
    let name = |jwk: &serde_json::Value| jwk[NAME].as_str().map(str::to_owned);
    key_set.keys.iter().map(name).collect()
}

/// The name of the key pair that a credential certifies.
pub fn certified(credential: &Credential) -> Option<String> {
    let der = base64url::decode_standard(credential.x5c.first()?).ok()?;
    String::from_utf8(der).ok()
}
