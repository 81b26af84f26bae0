//! The row of a domain in `DomainKeys`, and what it says by itself.

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};

use crate::{
    error::{Error, RateLimit},
    issuer::{Issuer, NewCertificate, NewKey},
    tables::domain_server_info::DomainServerInfo,
};

const DAY_S: i64 = 24 * 60 * 60;

/// A domain's row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DomainKeys {
    /// The keys; the first is version 1.
    pub(super) keys: Vec<DomainKey>,
    /// The digest of the key-encryption key that all of them are sealed under, once there is one or
    /// they were resealed: then the next one must be too.
    pub(super) sealed_under: Option<ByteArray<32>>,
    /// The issuers of the certificates, each list from the issuer up to the domain CA, as DER.
    pub(super) chains: Vec<Vec<ByteBuf>>,
    /// How many of the domain's departures were counted when the newest key began to be made.
    pub(super) departures_covered: u64,
    /// How many of those were an operator's wish.
    pub(super) departures_by_operators_covered: u64,
    /// The request that is making the next key.
    pub(super) claim: Option<Claim>,
    /// Whether the domain was deleted: then there will never be a key any more.
    pub(super) erased: bool,
}

/// That a request is making the next key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    /// A random number of the request's own.
    pub(super) maker: u64,
    /// When it began, in milliseconds since 1970.
    pub(super) since_ms: i64,
}

/// One version of a domain's key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DomainKey {
    /// When it was made, in seconds since 1970.
    pub created_at_s: i64,
    /// The private key, sealed ([`crate::credential::at_rest`]).
    pub sealed: ByteBuf,
    /// The certificate, as DER.
    pub certificate: ByteBuf,
    /// From when the certificate is good, in seconds since 1970.
    pub not_before_s: i64,
    /// Until when the certificate is good, in seconds since 1970.
    pub not_after_s: i64,
    /// Whether an operator's wish made it necessary.
    pub by_operator: bool,
    chain: u32,
}

impl DomainKey {
    fn lifetime_s(&self) -> i64 {
        self.not_after_s - self.not_before_s
    }

    /// A certificate is renewed in the last third of its life, if that makes it good for a third
    /// of its life longer: in the last years of the CA it may not.
    pub(super) fn renewable_from_s(&self, issuer: &impl Issuer) -> Option<i64> {
        let third_s = self.lifetime_s() / 3;
        let from_s = issuer.signs_until_from_s(self.not_after_s + third_s)?;
        Some(from_s.max(self.not_after_s - third_s + 1))
    }
}

/// A domain without a key.
impl Default for DomainKeys {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            sealed_under: None,
            chains: Vec::new(),
            departures_covered: 0,
            departures_by_operators_covered: 0,
            claim: None,
            erased: false,
        }
    }
}

impl DomainKeys {
    /// The newest version; 0 where there is none.
    pub fn newest_version(&self) -> u32 {
        self.keys.len() as u32
    }

    /// The versions above `version`, ascending, with their keys.
    pub fn above(&self, version: u64) -> impl Iterator<Item = (u32, &DomainKey)> {
        (1..)
            .zip(&self.keys)
            .skip(usize::try_from(version).unwrap_or(usize::MAX))
    }

    /// A key's certificate and the issuers of it, up to the domain CA.
    pub fn certificates<'a>(&'a self, key: &'a DomainKey) -> impl Iterator<Item = &'a [u8]> {
        let chain = self.chains.get(key.chain as usize).into_iter().flatten();
        std::iter::once(&key.certificate)
            .chain(chain)
            .map(|der| der.as_slice())
    }

    /// How many of the domain's departures the newest key covers, and of those the ones that were an
    /// operator's wish.
    pub fn covers(&self) -> [u64; 2] {
        [
            self.departures_covered,
            self.departures_by_operators_covered,
        ]
    }

    /// How many of the domain's departures the newest key covers.
    pub fn departures_covered(&self) -> u64 {
        self.departures_covered
    }

    /// From when on a certificate should be renewed, in seconds since 1970; `None` if none ever
    /// will be under this CA.
    pub fn renewable_from_s(&self, issuer: &impl Issuer) -> Option<i64> {
        let renewable = self
            .keys
            .iter()
            .filter_map(|key| key.renewable_from_s(issuer));
        renewable.min()
    }

    /// Whether Key Rollover Required is set.
    pub fn rollover_required(&self, info: &DomainServerInfo) -> bool {
        info.rollover_required(self.departures_covered)
    }

    /// Whether a registration that sees the domain like this must have a new key.
    pub fn key_required(&self, info: &DomainServerInfo) -> bool {
        self.keys.is_empty() || self.departures_covered < info.departures
    }

    /// Checks that the next key, which is required, may be made today: there may be
    /// `max_per_day` in any 24 hours, those aside that an operator's wish makes necessary.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub fn check_rate(
        &self,
        info: &DomainServerInfo,
        max_per_day: u32,
        now_s: i64,
    ) -> Result<(), Error> {
        if self.is_by_operator(info.departures_by_operators) {
            return Ok(());
        }
        let counts = |key: &&DomainKey| !key.by_operator && now_s - key.created_at_s < DAY_S;
        let mut recent: Vec<i64> = self
            .keys
            .iter()
            .filter(counts)
            .map(|key| key.created_at_s)
            .collect();
        let most = max_per_day as usize;
        if recent.len() < most {
            return Ok(());
        }
        // When so many of them are a day old that there is room for one.
        recent.sort_unstable();
        let first_s = recent.get(recent.len() - most).copied().unwrap_or(now_s);
        let wait_s = (first_s + DAY_S - now_s).clamp(1, DAY_S);
        Err(Error::RateLimited(RateLimit {
            name: "key-versions",
            quota: u64::from(max_per_day),
            window_s: Some(DAY_S as u32),
            retry_after_s: wait_s as u32,
        }))
    }

    pub(super) fn is_by_operator(&self, departures_by_operators: u64) -> bool {
        self.departures_by_operators_covered < departures_by_operators
    }

    /// The key of a version.
    pub(super) fn key(&self, version: u32) -> Option<&DomainKey> {
        self.keys.get((version as usize).checked_sub(1)?)
    }

    /// Replaces the certificate of a version that exists.
    pub(super) fn set_certificate(&mut self, version: u32, certificate: &NewCertificate) {
        let chain = self.chain_index(certificate.chain.clone());
        let key = &mut self.keys[version as usize - 1];
        key.certificate = certificate.der.clone().into();
        key.not_before_s = certificate.not_before_s;
        key.not_after_s = certificate.not_after_s;
        key.chain = chain;
    }

    /// Forgets the issuers that have issued no certificate that is left.
    pub(super) fn forget_unused_chains(&mut self) {
        let chains = std::mem::take(&mut self.chains);
        for at in 0..self.keys.len() {
            let chain = chains.get(self.keys[at].chain as usize);
            let chain = chain.cloned().unwrap_or_default();
            self.keys[at].chain = self.chain_number(chain);
        }
    }

    fn chain_index(&mut self, chain: Vec<Vec<u8>>) -> u32 {
        self.chain_number(chain.into_iter().map(ByteBuf::from).collect())
    }

    fn chain_number(&mut self, chain: Vec<ByteBuf>) -> u32 {
        let known = self.chains.iter().position(|known| *known == chain);
        known.unwrap_or_else(|| {
            self.chains.push(chain);
            self.chains.len() - 1
        }) as u32
    }

    /// Whether a version is this key.
    pub(super) fn has(&self, version: u32, made: &NewKey) -> bool {
        let key = self.keys.get(version as usize - 1);
        key.is_some_and(|key| key.certificate.as_slice() == made.certificate.der)
    }

    /// Appends a key, whose version is the next one then.
    pub fn push(
        &mut self,
        sealed: Vec<u8>,
        certificate: NewCertificate,
        created_at_s: i64,
        by_operator: bool,
    ) {
        let chain = self.chain_index(certificate.chain);
        self.keys.push(DomainKey {
            created_at_s,
            sealed: sealed.into(),
            certificate: certificate.der.into(),
            not_before_s: certificate.not_before_s,
            not_after_s: certificate.not_after_s,
            by_operator,
            chain,
        });
    }
}
