//! The row of a domain in `DomainKeys`, and what it says by itself.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{
    error::{Error, RateLimit},
    issuer::{Issuer, NewKey},
    tables::domain_server_info::DomainServerInfo,
};

const DAY_S: i64 = 24 * 60 * 60;

/// A domain's row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DomainKeys {
    /// The keys; the first is version 1.
    pub(super) keys: Vec<DomainKey>,
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
    by_operator: bool,
    pub(super) chain: u32,
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

    pub(super) fn chain_index(&mut self, chain: Vec<Vec<u8>>) -> u32 {
        let chain: Vec<ByteBuf> = chain.into_iter().map(ByteBuf::from).collect();
        let known = self.chains.iter().position(|known| *known == chain);
        known.unwrap_or_else(|| {
            self.chains.push(chain);
            self.chains.len() - 1
        }) as u32
    }

    /// Whether a version is this key.
    pub(super) fn has(&self, version: u32, made: &NewKey) -> bool {
        let key = self.keys.get(version as usize - 1);
        key.is_some_and(|key| key.sealed.as_slice() == made.sealed)
    }

    pub(super) fn push(&mut self, made: NewKey, created_at_s: i64, by_operator: bool) {
        let chain = self.chain_index(made.certificate.chain);
        self.keys.push(DomainKey {
            created_at_s,
            sealed: made.sealed.into(),
            certificate: made.certificate.der.into(),
            not_before_s: made.certificate.not_before_s,
            not_after_s: made.certificate.not_after_s,
            by_operator,
            chain,
        });
    }
}
