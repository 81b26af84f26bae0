//! `DomainKeys`: a domain's key pairs, one a version.
//!
//! All versions live in one row, so that a version is given once and for ever by the swap that
//! saves its key. The life of a version:
//!
//! ```text
//!  rollover required ──claim──▶ being made ──save──▶ current ──departure, next save──▶ earlier
//!         ▲                         │
//!         └─ failed, or overdue ────┘  (another request claims it)
//! ```
//!
//! A claim has its time in the row. So every request sees alike when it is overdue, also one that
//! comes long after the maker died, and none has to wait for that time again.
//!
//! There is no way out of "earlier": devices get every version for ever, so that what was bound to
//! an old one stays playable.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{
    Tables,
    domain_server_info::{self, Domain, DomainServerInfo},
};
use crate::{
    environment::Environment,
    error::{Error, RateLimit},
    issuer::{CertificateOrder, Issuer, NewKey},
    store::{
        Store,
        rows::{Change, Table},
    },
};

/// How often a request that waits for a key looks for it, in milliseconds.
const LOOK_EVERY_MS: u64 = 50;

const DAY_S: i64 = 24 * 60 * 60;

/// After this many claims that came to nothing a request gives up.
const CLAIMS: usize = 20;

/// The table.
pub const TABLE: Table = Table::named("DomainKeys");

/// A domain's row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DomainKeys {
    /// The keys; the first is version 1.
    keys: Vec<DomainKey>,
    /// The issuers of the certificates, each list from the issuer up to the domain CA, as DER.
    chains: Vec<Vec<ByteBuf>>,
    /// How many of the domain's departures were counted when the newest key began to be made.
    departures_covered: u64,
    /// How many of those were an operator's wish.
    departures_by_operators_covered: u64,
    /// The request that is making the next key.
    claim: Option<Claim>,
    /// Whether the domain was deleted: then there will never be a key any more.
    erased: bool,
}

/// That a request is making the next key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    /// A random number of the request's own.
    maker: u64,
    /// When it began, in milliseconds since 1970.
    since_ms: i64,
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
    chain: u32,
}

impl DomainKey {
    fn lifetime_s(&self) -> i64 {
        self.not_after_s - self.not_before_s
    }

    /// A certificate is renewed in the last third of its life, if that makes it good for a third
    /// of its life longer: in the last years of the CA it may not.
    fn renewable_from_s(&self, issuer: &impl Issuer) -> Option<i64> {
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

    fn is_by_operator(&self, departures_by_operators: u64) -> bool {
        self.departures_by_operators_covered < departures_by_operators
    }

    fn chain_index(&mut self, chain: Vec<Vec<u8>>) -> u32 {
        let chain: Vec<ByteBuf> = chain.into_iter().map(ByteBuf::from).collect();
        let known = self.chains.iter().position(|known| *known == chain);
        known.unwrap_or_else(|| {
            self.chains.push(chain);
            self.chains.len() - 1
        }) as u32
    }

    fn push(&mut self, made: NewKey, created_at_s: i64, by_operator: bool) {
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

/// Reads a domain's keys. May run again.
pub async fn read<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<DomainKeys, Error> {
    let keys: DomainKeys = tables.read(TABLE, domain.info.keys).await?;
    if keys.erased {
        return Err(domain_server_info::deleted_meanwhile());
    }
    Ok(keys)
}

/// Erases a deleted domain's keys for ever. May run again.
pub async fn erase<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    tables
        .update(TABLE, domain.info.keys, |keys: &mut DomainKeys| {
            if keys.erased {
                return Ok(Change::Keep(()));
            }
            *keys = DomainKeys::default();
            keys.erased = true;
            Ok(Change::Write(()))
        })
        .await
}

/// A domain's keys, the newest of them made after every departure that the request saw.
///
/// One request makes the key that many need; the others wait for it. If it does not come within
/// [`Issuer::takeover_ms`] of its claim, the first to notice makes it. A maker that fails gives its
/// claim back at once.
///
/// # Errors
/// The issuer's, with nothing claimed.
pub async fn read_or_roll_over<S: Store, E: Environment, I: Issuer>(
    tables: &Tables<S, E>,
    domain: &Domain,
    server_url: &str,
    issuer: &I,
) -> Result<DomainKeys, Error> {
    for _ in 0..CLAIMS {
        let keys = wait(tables, domain, issuer.takeover_ms()).await?;
        if !keys.key_required(&domain.info) {
            return Ok(keys);
        }
        issuer.check(tables.env.now_s())?;
        let Some((claim, version)) = claim(tables, domain, keys.claim).await? else {
            continue;
        };
        let made = issuer.make(&CertificateOrder {
            domain: &domain.info.domain,
            server_url,
            version,
            now_s: tables.env.now_s(),
        });
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                let _ = release(tables, domain, claim).await;
                return Err(error);
            }
        };
        if let Err(error) = save(tables, domain, version, made).await {
            // It may be saved yet; if not, another request need not wait for it.
            let _ = release(tables, domain, claim).await;
            return Err(error);
        }
    }
    Err(Error::Unavailable(format!(
        "the key of domain {} was claimed by others {CLAIMS} times in a row",
        domain.info.domain
    )))
}

/// Reads the keys, and waits as long as another request is making the next one.
async fn wait<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    takeover_ms: u64,
) -> Result<DomainKeys, Error> {
    let mut keys = read(tables, domain).await?;
    let mut waited_ms = 0;
    while let Some(claim) = keys.claim
        && keys.key_required(&domain.info)
    {
        // By the claim's own time; where clocks differ, by the time that was spent here.
        let age_ms = tables.env.now_ms().saturating_sub(claim.since_ms);
        let is_overdue = age_ms >= takeover_ms.cast_signed();
        if is_overdue || waited_ms >= takeover_ms {
            return Ok(keys);
        }
        tables.env.sleep_ms(LOOK_EVERY_MS).await;
        waited_ms += LOOK_EVERY_MS;
        keys = read(tables, domain).await?;
        if keys.claim != Some(claim) {
            waited_ms = 0;
        }
    }
    Ok(keys)
}

/// Claims the next key from `former`, which is nobody or a maker whose key did not come; also gives
/// the version to make it for.
async fn claim<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    former: Option<Claim>,
) -> Result<Option<(Claim, u32)>, Error> {
    let claim = Claim {
        maker: tables.env.random_u64(),
        since_ms: tables.env.now_ms(),
    };
    tables
        .update(TABLE, domain.info.keys, |keys: &mut DomainKeys| {
            if keys.erased || !keys.key_required(&domain.info) || keys.claim != former {
                return Ok(Change::Keep(None));
            }
            keys.claim = Some(claim);
            // Not what was read before: another key may have been saved since.
            Ok(Change::Write(Some((claim, keys.newest_version() + 1))))
        })
        .await
}

/// Gives a claim back, if it still stands.
async fn release<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    claim: Claim,
) -> Result<(), Error> {
    tables
        .update(TABLE, domain.info.keys, |keys: &mut DomainKeys| {
            if keys.claim != Some(claim) {
                return Ok(Change::Keep(()));
            }
            keys.claim = None;
            Ok(Change::Write(()))
        })
        .await
}

/// Saves a key under the version it was made for, unless that has one or the key is not required
/// any more. A maker that was overdue may still save it, if it is the first: its key is as good as
/// that of whoever took over, and nobody waits in vain.
async fn save<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    version: u32,
    made: NewKey,
) -> Result<(), Error> {
    let now_s = tables.env.now_s();
    let info = &domain.info;
    tables
        .update(TABLE, domain.info.keys, |keys: &mut DomainKeys| {
            let is_wanted =
                keys.newest_version() + 1 == version && !keys.erased && keys.key_required(info);
            if !is_wanted {
                return Ok(Change::Keep(()));
            }
            let by_operator = keys.is_by_operator(info.departures_by_operators);
            keys.push(made.clone(), now_s, by_operator);
            keys.departures_covered = info.departures;
            keys.departures_by_operators_covered = info.departures_by_operators;
            keys.claim = None;
            Ok(Change::Write(()))
        })
        .await
}

/// Renews the certificates among `keys` that run out, and keeps them. A key stays the same key.
///
/// Devices that ask at the same time may each sign; one signature is kept.
pub async fn renew_certificates<S: Store, E: Environment, I: Issuer>(
    tables: &Tables<S, E>,
    domain: &Domain,
    server_url: &str,
    issuer: &I,
    keys: DomainKeys,
) -> Result<DomainKeys, Error> {
    let now_s = tables.env.now_s();
    let runs_out = |key: &DomainKey| key.renewable_from_s(issuer).is_some_and(|s| s <= now_s);
    let mut renewed = Vec::new();
    for (version, key) in keys.above(0).filter(|(_, key)| runs_out(key)) {
        let order = CertificateOrder {
            domain: &domain.info.domain,
            server_url,
            version,
            now_s,
        };
        renewed.push((version, issuer.renew(&order, &key.certificate)?));
    }
    if renewed.is_empty() {
        return Ok(keys);
    }
    tables
        .update(TABLE, domain.info.keys, |keys: &mut DomainKeys| {
            if keys.erased {
                return Ok(Change::Keep(()));
            }
            for (version, certificate) in &renewed {
                let chain = keys.chain_index(certificate.chain.clone());
                let key = &mut keys.keys[*version as usize - 1];
                if runs_out(key) {
                    key.certificate = certificate.der.clone().into();
                    key.not_before_s = certificate.not_before_s;
                    key.not_after_s = certificate.not_after_s;
                    key.chain = chain;
                }
            }
            Ok(Change::Write(()))
        })
        .await?;
    read(tables, domain).await
}
