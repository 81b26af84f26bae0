//! Domain credentials on their way to a machine.

use std::{fmt, rc::Rc};

use anonymous_domains_protocol::{base64url, ids::DomainName, response::Credential, time::rfc3339};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::private_jwk::{PrivateJwk, key_set};
use crate::{
    error::Error,
    issuer::Issuer,
    tables::domain_keys::{DomainKey, DomainKeys},
};

/// A domain's credentials, opened and written out: all of an answer that is the same for every
/// machine. The [`CredentialCache`](super::cache::CredentialCache) keeps it for an instance's life.
pub struct Delivery {
    /// How many of the domain's departures the newest key covers.
    pub departures_covered: u64,
    /// From when on a certificate should be renewed, in seconds since 1970, if ever.
    pub renewable_from_s: Option<i64>,
    /// A [`Credential`] for each version.
    credentials: Vec<Box<RawValue>>,
    /// For each version, with the `kid` and `x5c` of its credential.
    private_jwks: Vec<PrivateJwk>,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({} keys)", self.newest_version())
    }
}

impl Delivery {
    /// Opens and writes out a domain's keys.
    ///
    /// # Errors
    /// A fault, when a key does not open under the configured key-encryption key.
    pub fn new(
        issuer: &impl Issuer,
        domain: &DomainName,
        keys: &DomainKeys,
    ) -> Result<Self, Error> {
        let mut credentials = Vec::new();
        let mut private_jwks = Vec::new();
        for (version, key) in keys.above(0) {
            let credential = credential(domain, version, keys, key);
            let sealed = issuer.open(domain, version, &key.sealed)?;
            private_jwks.push(PrivateJwk::new(&sealed, &credential)?);
            credentials.push(serde_json::value::to_raw_value(&credential).map_err(unwritable)?);
        }
        Ok(Self {
            departures_covered: keys.departures_covered(),
            renewable_from_s: keys.renewable_from_s(issuer),
            credentials,
            private_jwks,
        })
    }

    /// The newest key's version.
    pub fn newest_version(&self) -> u64 {
        self.credentials.len() as u64
    }

    /// How much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        let credentials = self.credentials.iter().map(|json| json.get().len());
        let private_jwks = self.private_jwks.iter().map(PrivateJwk::len);
        credentials.chain(private_jwks).sum()
    }

    /// The private keys of the versions above `version`, as the text of a JWK Set (RFC 7517 section
    /// 5); `None` where there are none.
    ///
    /// # Errors
    /// None in practice.
    pub fn key_set_above(&self, version: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        match above(&self.private_jwks, version) {
            [] => Ok(None),
            keys => key_set(keys).map(Some),
        }
    }
}

#[cfg(test)]
impl Delivery {
    /// One that takes so much memory.
    pub(super) fn of_size(size: usize) -> Self {
        let json = format!("\"{}\"", "x".repeat(size - 2));
        Self {
            departures_covered: 0,
            renewable_from_s: None,
            credentials: vec![RawValue::from_string(json).unwrap()],
            private_jwks: Vec::new(),
        }
    }
}

/// The [`Credential`]s of the versions above one, as JSON.
#[derive(Debug)]
pub struct CredentialsAbove {
    /// All of the domain's.
    pub delivery: Rc<Delivery>,
    /// The version above which they are wanted.
    pub version: u64,
}

impl Serialize for CredentialsAbove {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(above(&self.delivery.credentials, self.version))
    }
}

/// What there is of the versions above `version`; the first is version 1.
fn above<T>(all: &[T], version: u64) -> &[T] {
    let known = usize::try_from(version).unwrap_or(usize::MAX);
    all.get(known..).unwrap_or_default()
}

fn credential(domain: &DomainName, version: u32, keys: &DomainKeys, key: &DomainKey) -> Credential {
    Credential {
        key_version: u64::from(version),
        kid: kid(domain, version),
        x5c: x5c(keys, key),
        not_before: rfc3339(key.not_before_s),
        not_after: rfc3339(key.not_after_s),
    }
}

/// The key ID of a version: `{domain}/{version}`.
pub fn kid(domain: &DomainName, version: u32) -> String {
    format!("{domain}/{version}")
}

/// A key's certificate and its issuers, as RFC 7515's `x5c` has them.
pub fn x5c(keys: &DomainKeys, key: &DomainKey) -> Vec<String> {
    keys.certificates(key)
        .map(base64url::encode_standard)
        .collect()
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::fault(format!("a credential cannot be written: {error}"))
}
