//! Domain credentials on their way to a machine.

use std::{cell::OnceCell, fmt, rc::Rc};

use anonymous_domains_protocol::{base64url, ids::DomainName, response::Credential, time::rfc3339};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::private_jwk::{PrivateJwk, key_set};
use crate::{
    error::Error,
    issuer::Issuer,
    tables::{
        domain_keys::{DomainKey, DomainKeys},
        domain_server_info::Domain,
    },
};

/// A domain's keys, and what of them was opened and written out: all of an answer that is the same for
/// every machine. The [`CredentialCache`](super::cache::CredentialCache) keeps it for an instance's
/// life. A version is opened when a machine first needs it: most know the old ones.
pub struct Delivery {
    /// How many of the domain's departures the newest key covers.
    pub departures_covered: u64,
    /// How often an operator had had the certificates signed again before they were read.
    pub reissues: u64,
    /// From when on a certificate should be renewed, in seconds since 1970, if ever.
    pub renewable_from_s: Option<i64>,
    domain: DomainName,
    keys: DomainKeys,
    /// For each version, the first one first.
    opened: Vec<OnceCell<Rc<Opened>>>,
    size: usize,
}

/// One version, written out.
pub struct Opened {
    /// A [`Credential`].
    credential: Box<RawValue>,
    /// With the `kid` of the credential.
    private_jwk: PrivateJwk,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({} keys)", self.newest_version())
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened({})", self.credential)
    }
}

impl Delivery {
    /// Takes a domain's keys, which were read after the domain, without opening one. What a `former`
    /// delivery of the same domain has opened stays so.
    pub fn new(
        issuer: &impl Issuer,
        domain: &Domain,
        keys: DomainKeys,
        former: Option<&Self>,
    ) -> Self {
        let opened = |(at, (_, key))| {
            let former = former.and_then(|former| former.opened_if_same(at, &keys, key));
            former.map_or_else(OnceCell::new, OnceCell::from)
        };
        Self {
            departures_covered: keys.departures_covered(),
            reissues: domain.info.reissues,
            renewable_from_s: keys.renewable_from_s(issuer),
            domain: domain.info.domain.clone(),
            opened: keys.above(0).enumerate().map(opened).collect(),
            size: keys.above(0).map(|(_, key)| size(&keys, key)).sum(),
            keys,
        }
    }

    /// What was opened of the version at this place, if it is still the same.
    fn opened_if_same(&self, at: usize, keys: &DomainKeys, key: &DomainKey) -> Option<Rc<Opened>> {
        let opened = self.opened.get(at)?.get()?;
        let (_, own) = self.keys.above(at as u64).next()?;
        let is_same =
            own.sealed == key.sealed && self.keys.certificates(own).eq(keys.certificates(key));
        is_same.then(|| Rc::clone(opened))
    }

    /// The newest key's version.
    pub fn newest_version(&self) -> u64 {
        u64::from(self.keys.newest_version())
    }

    /// How much memory it takes when every version is opened, about, in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The versions above `version`, ascending.
    ///
    /// # Errors
    /// A fault, when a key does not open under the configured key-encryption key.
    pub fn above(&self, issuer: &impl Issuer, version: u64) -> Result<Vec<Rc<Opened>>, Error> {
        let known = usize::try_from(version).unwrap_or(usize::MAX);
        let versions = self.keys.above(version).zip(self.opened.iter().skip(known));
        let mut issuers = Issuers::default();
        versions
            .map(|((version, key), kept)| {
                if let Some(opened) = kept.get() {
                    return Ok(Rc::clone(opened));
                }
                let opened = Rc::new(self.open(issuer, version, key, &mut issuers)?);
                // It was empty just now.
                let _ = kept.set(Rc::clone(&opened));
                Ok(opened)
            })
            .collect()
    }

    fn open<'a>(
        &'a self,
        issuer: &impl Issuer,
        version: u32,
        key: &'a DomainKey,
        issuers: &mut Issuers<'a>,
    ) -> Result<Opened, Error> {
        let kid = kid(&self.domain, version);
        let sealed = issuer.open(&self.domain, version, &key.sealed)?;
        let mut certificates = self.keys.certificates(key);
        let leaf = certificates.next().unwrap_or_default();
        let credential = Credential {
            key_version: u64::from(version),
            x5c: x5c_text(leaf, issuers.written(certificates.collect()))?,
            not_before: rfc3339(key.not_before_s),
            not_after: rfc3339(key.not_after_s),
            kid,
        };
        Ok(Opened {
            private_jwk: PrivateJwk::new(&sealed, &credential.kid)?,
            credential: serde_json::value::to_raw_value(&credential).map_err(unwritable)?,
        })
    }
}

/// The issuers of a certificate, as `x5c` goes on after it. Most versions have the same ones.
#[derive(Default)]
struct Issuers<'a> {
    ders: Vec<&'a [u8]>,
    text: String,
}

impl<'a> Issuers<'a> {
    fn written(&mut self, ders: Vec<&'a [u8]>) -> &str {
        if self.ders != ders {
            self.text.clear();
            for der in &ders {
                self.text.push_str(",\"");
                base64url::encode_standard_to(der, &mut self.text);
                self.text.push('"');
            }
            self.ders = ders;
        }
        &self.text
    }
}

/// `x5c` as JSON. Base64 has nothing to be escaped, which serialization would look for.
fn x5c_text(leaf: &[u8], issuers: &str) -> Result<Box<RawValue>, Error> {
    let mut text = String::with_capacity(leaf.len() * 4 / 3 + issuers.len() + 8);
    text.push_str("[\"");
    base64url::encode_standard_to(leaf, &mut text);
    text.push('"');
    text.push_str(issuers);
    text.push(']');
    RawValue::from_string(text).map_err(unwritable)
}

/// How much a version takes: sealed and opened, and its certificates as DER and as text.
fn size(keys: &DomainKeys, key: &DomainKey) -> usize {
    const NAMES: usize = 1024;
    let certificates: usize = keys.certificates(key).map(<[u8]>::len).sum();
    2 * key.sealed.len() + certificates + certificates.div_ceil(3) * 4 + NAMES
}

#[cfg(test)]
impl Delivery {
    /// One that takes so much memory.
    pub(super) fn of_size(size: usize) -> Self {
        Self {
            departures_covered: 0,
            reissues: 0,
            renewable_from_s: None,
            domain: DomainName::parse("attic").unwrap(),
            keys: DomainKeys::default(),
            opened: Vec::new(),
            size,
        }
    }
}

/// The private keys of versions, as the text of a JWK Set (RFC 7517 section 5); `None` where there
/// are none.
pub fn private_key_set(versions: &[Rc<Opened>]) -> Option<Zeroizing<Vec<u8>>> {
    let jwks = versions.iter().map(|opened| &opened.private_jwk);
    (!versions.is_empty()).then(|| key_set(jwks))
}

/// The [`Credential`]s of versions, as JSON.
#[derive(Debug)]
pub struct Credentials(pub Vec<Rc<Opened>>);

impl Credentials {
    /// How long the JSON is, in bytes.
    pub fn size(&self) -> usize {
        let texts = self.0.iter().map(|opened| opened.credential.get());
        texts.map(|text| text.len() + 1).sum::<usize>() + 2
    }
}

impl Serialize for Credentials {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|opened| &opened.credential))
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

/// A text of base64url and dots as JSON: nothing in it is escaped.
///
/// # Errors
/// A fault, when it is another text.
pub fn as_json(base64url: &str) -> Result<Box<RawValue>, Error> {
    RawValue::from_string(["\"", base64url, "\""].concat()).map_err(unwritable)
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::fault(format!("a credential cannot be written: {error}"))
}
