//! Domain credentials on their way to a machine.

use anonymous_domains_protocol::{base64url, response::Credential, time::rfc3339};
use zeroize::Zeroizing;

use super::Issuer;
use crate::{
    error::Error,
    tables::domain_keys::{DomainKey, DomainKeys},
};

/// A domain's credentials, opened and written out: all of an answer that is the same for every
/// machine. [`KnownKeys`](super::known_keys::KnownKeys) keeps it for an instance's life.
pub struct Delivery {
    /// How many of the domain's departures the newest key covers.
    pub departures_covered: u64,
    /// From when on a certificate should be signed anew, in seconds since 1970, if ever.
    pub renewable_from_s: Option<i64>,
    /// A [`Credential`] for each version.
    credentials: List,
    /// A private JWK for each version, with the `kid` and `x5c` of its credential.
    private_jwks: List,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Delivery({} keys)", self.newest_version())
    }
}

impl Delivery {
    /// Opens and writes out a domain's keys.
    ///
    /// # Errors
    /// A fault, when a key does not open under the configured key-encryption key.
    pub fn new(issuer: &impl Issuer, domain: &str, keys: &DomainKeys) -> Result<Self, Error> {
        let mut credentials = List::default();
        let mut private_jwks = List::default();
        for (version, key) in keys.above(0) {
            let credential = credential(domain, version, keys, key);
            credentials.push(|text| write_json(text, &credential))?;
            let private_jwk = issuer.open(domain, version, &key.sealed)?;
            // What was sealed is the text of a JSON object: it gets two more members.
            let members = private_jwk
                .strip_suffix(b"}")
                .ok_or_else(|| Error::fault("a sealed domain key is not a JWK"))?;
            // What is no secret is written first, so that the length is known.
            let mut rest = b",\"kid\":".to_vec();
            write_json(&mut rest, &credential.kid)?;
            rest.extend_from_slice(b",\"x5c\":");
            write_json(&mut rest, &credential.x5c)?;
            rest.push(b'}');
            private_jwks.reserve(members.len() + rest.len() + 1);
            private_jwks.push(|text| {
                text.extend_from_slice(members);
                text.extend_from_slice(&rest);
                Ok(())
            })?;
        }
        Ok(Self {
            departures_covered: keys.departures_covered(),
            renewable_from_s: keys.renewable_from_s(issuer),
            credentials,
            private_jwks,
        })
    }

    /// One that takes so much memory.
    #[cfg(test)]
    pub(super) fn of_size(size: usize) -> Self {
        Self {
            departures_covered: 0,
            renewable_from_s: None,
            credentials: List {
                text: Zeroizing::new(vec![0; size]),
                starts: vec![0],
            },
            private_jwks: List::default(),
        }
    }

    /// The newest key's version.
    pub fn newest_version(&self) -> u64 {
        self.credentials.starts.len() as u64
    }

    /// How much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        self.credentials.text.len() + self.private_jwks.text.len()
    }

    /// The [`Credential`]s of the versions above `version`, as JSON with commas between them.
    pub fn credentials_above(&self, version: u64) -> &[u8] {
        self.credentials.above(version)
    }

    /// The private keys of the versions above `version`, as the text of a JWK Set (RFC 7517 section
    /// 5); `None` where there are none.
    pub fn key_set_above(&self, version: u64) -> Option<Zeroizing<Vec<u8>>> {
        let keys = self.private_jwks.above(version);
        (!keys.is_empty()).then(|| Zeroizing::new([b"{\"keys\":[", keys, b"]}"].concat()))
    }
}

/// JSON texts, one a version from 1 on, with commas between them.
#[derive(Default)]
struct List {
    text: Zeroizing<Vec<u8>>,
    /// Where each begins.
    starts: Vec<usize>,
}

impl List {
    /// Appends what `write` appends.
    fn push(
        &mut self,
        write: impl FnOnce(&mut Zeroizing<Vec<u8>>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if !self.starts.is_empty() {
            self.text.push(b',');
        }
        self.starts.push(self.text.len());
        write(&mut self.text)
    }

    /// Makes room for more. What is there moves by way of a copy that is wiped: a vector that grows
    /// by itself leaves its former place as it was.
    fn reserve(&mut self, more: usize) {
        if self.text.capacity() - self.text.len() >= more {
            return;
        }
        let room = (self.text.len() + more).max(2 * self.text.capacity());
        let mut text = Zeroizing::new(Vec::with_capacity(room));
        text.extend_from_slice(&self.text);
        self.text = text;
    }

    fn above(&self, version: u64) -> &[u8] {
        let first = usize::try_from(version)
            .ok()
            .and_then(|version| self.starts.get(version));
        first.map_or(&[], |&start| &self.text[start..])
    }
}

fn credential(domain: &str, version: u32, keys: &DomainKeys, key: &DomainKey) -> Credential {
    Credential {
        key_version: u64::from(version),
        kid: kid(domain, version),
        x5c: x5c(keys, key),
        not_before: rfc3339(key.not_before_s),
        not_after: rfc3339(key.not_after_s),
    }
}

/// The key ID of a version: `{domain}/{version}`.
pub fn kid(domain: &str, version: u32) -> String {
    format!("{domain}/{version}")
}

/// A key's certificate and its issuers, as RFC 7515's `x5c` has them.
pub fn x5c(keys: &DomainKeys, key: &DomainKey) -> Vec<String> {
    keys.certificates(key)
        .map(base64url::encode_standard)
        .collect()
}

fn write_json(to: &mut Vec<u8>, value: &impl serde::Serialize) -> Result<(), Error> {
    serde_json::to_writer(to, value)
        .map_err(|error| Error::fault(format!("a credential cannot be written: {error}")))
}
