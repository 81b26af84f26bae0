//! An issuer whose key pairs are names, and whose encrypted keys can be read.

use std::rc::Rc;

use anonymous_domains::{
    error::Error,
    issuer::{CertificateOrder, Issuer},
    issuer::{NewCertificate, NewKey},
};
use anonymous_domains_protocol::{
    base64url,
    ids::DomainName,
    jwk::PublicKey,
    response::{Credential, PrivateKeySet, RegisterResponse},
};
use serde_json::json;
use zeroize::Zeroizing;

use crate::world::World;

/// How long a simulated key may be in the making, in milliseconds.
pub const TAKEOVER_MS: u64 = 200;

/// What a maker says that fails.
pub const FAILURE: &str = "a key cannot be made";

/// How often makers fail where they do, in thousandths.
const FAILURES: u32 = 300;

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
    /// Which key-encryption key it has.
    pub owner: Owner,
}

/// A key-encryption key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The one that the store belongs to.
    Right,
    /// Another one, by an operator's mistake.
    Wrong,
}

impl Owner {
    /// Its digest.
    pub fn digest(self) -> [u8; 32] {
        [self as u8 + 1; 32]
    }

    /// What is sealed under it begins with this.
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

    fn certificate(&self, order: &CertificateOrder<'_>, identity: &str) -> NewCertificate {
        NewCertificate {
            der: identity.as_bytes().to_vec(),
            chain: vec![b"the domain CA".to_vec()],
            not_before_s: order.now_s,
            not_after_s: order.now_s + self.lifetime_s(),
        }
    }
}

impl Issuer for SimIssuer {
    fn make(&self, order: &CertificateOrder<'_>) -> Result<NewKey, Error> {
        if self.world.makers_fail.get() && self.world.chance(FAILURES) {
            self.world.trace_call(|| FAILURE.to_owned());
            return Err(Error::fault(FAILURE));
        }
        let identity = self.world.make(order.domain.as_str(), order.version);
        self.world.trace_call(|| format!("makes key {identity}"));
        Ok(NewKey {
            sealed: format!("{}{identity}", self.owner.seal()).into_bytes(),
            certificate: self.certificate(order, &identity),
        })
    }

    fn renew(&self, order: &CertificateOrder<'_>, old: &[u8]) -> Result<NewCertificate, Error> {
        let identity = String::from_utf8_lossy(old).into_owned();
        self.world.trace_call(|| format!("renews {identity}"));
        Ok(self.certificate(order, &identity))
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
