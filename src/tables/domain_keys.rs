//! `DomainKeys`: a domain's key pairs, one a version.
//!
//! All versions live in one row, so that a version is given once and for ever by the swap that
//! saves its key. The life of a version:
//!
//! ```text
//!  rollover required ──claim──▶ being made ──save──▶ current ──departure, next save──▶ earlier
//!         ▲                         │
//!         └──────── maker died ─────┘  (a waiter claims it anew)
//! ```
//!
//! There is no way out of "earlier": devices get every version for ever, so that what was bound to
//! an old one stays playable.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::domain_server_info::Domain;
use crate::{
    credential::{Issuer, Order},
    error::Error,
    knobs::{Mutation, broken},
    ports::Environment,
    store::{
        Store,
        rows::{Change, Rows, Table},
    },
};

/// How often a request that waits for a key looks for it, in milliseconds.
const LOOK_EVERY_MS: u64 = 50;

/// After this many claims that came to nothing a request gives up.
const CLAIMS: usize = 20;

/// A domain's row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DomainKeys {
    /// The keys; the first is version 1.
    keys: Vec<DomainKey>,
    /// The issuers of the certificates, each list from the issuer up to the domain CA, as DER.
    chains: Vec<Vec<ByteBuf>>,
    /// How many of the domain's departures were counted when the newest key began to be made.
    departures_covered: u64,
    /// Who is making the next key: a random number of that request.
    maker: Option<u64>,
    /// Whether the domain was deleted: then there will never be a key any more.
    erased: bool,
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
    chain: u32,
}

impl DomainKey {
    fn lifetime_s(&self) -> i64 {
        self.not_after_s - self.not_before_s
    }

    /// A certificate is signed anew in the last third of its life.
    fn fresh_until_s(&self) -> i64 {
        self.not_after_s - self.lifetime_s() / 3
    }
}

/// A key pair that was just made, with its certificate.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The private key, sealed.
    pub sealed: Vec<u8>,
    /// The certificate over the public key.
    pub certificate: NewCertificate,
}

/// A certificate that was just signed.
#[derive(Debug, Clone)]
pub struct NewCertificate {
    /// As DER.
    pub der: Vec<u8>,
    /// Its issuers up to the domain CA, as DER.
    pub chain: Vec<Vec<u8>>,
    /// From when it is good, in seconds since 1970.
    pub not_before_s: i64,
    /// Until when it is good, in seconds since 1970.
    pub not_after_s: i64,
}

impl DomainKeys {
    /// A domain without a key.
    pub(super) fn new() -> Self {
        Self {
            keys: Vec::new(),
            chains: Vec::new(),
            departures_covered: 0,
            maker: None,
            erased: false,
        }
    }

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

    /// Until when no certificate need be signed anew, in seconds since 1970.
    pub fn fresh_until_s(&self) -> i64 {
        let until = self.keys.iter().map(DomainKey::fresh_until_s).min();
        until.unwrap_or(i64::MIN)
    }

    /// Whether Key Rollover Required is set.
    pub fn rollover_required(&self, departures: u64) -> bool {
        self.departures_covered < departures
    }

    fn key_required(&self, departures: u64) -> bool {
        self.keys.is_empty() || self.rollover_required(departures)
    }

    fn chain_index(&mut self, chain: Vec<Vec<u8>>) -> u32 {
        let chain: Vec<ByteBuf> = chain.into_iter().map(ByteBuf::from).collect();
        let known = self.chains.iter().position(|known| *known == chain);
        known.unwrap_or_else(|| {
            self.chains.push(chain);
            self.chains.len() - 1
        }) as u32
    }

    fn push(&mut self, made: NewKey, created_at_s: i64) {
        let chain = self.chain_index(made.certificate.chain);
        self.keys.push(DomainKey {
            created_at_s,
            sealed: made.sealed.into(),
            certificate: made.certificate.der.into(),
            not_before_s: made.certificate.not_before_s,
            not_after_s: made.certificate.not_after_s,
            chain,
        });
    }
}

/// Reads a domain's keys. May run again.
pub async fn read<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
) -> Result<DomainKeys, Error> {
    let keys: DomainKeys = rows.read(Table::DomainKeys, domain.info.keys).await?;
    if keys.erased {
        return Err(Error::Unavailable(
            "the domain was deleted in the meantime".into(),
        ));
    }
    Ok(keys)
}

/// Erases a deleted domain's keys for ever. May run again.
pub(super) async fn erase<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    rows.update(
        Table::DomainKeys,
        domain.info.keys,
        |keys: &mut DomainKeys| {
            if keys.erased {
                return Ok(Change::Keep(()));
            }
            *keys = DomainKeys::new();
            keys.erased = true;
            Ok(Change::Write(()))
        },
    )
    .await
}

/// A domain's keys, the newest of them made after every departure that the request saw.
///
/// One request makes the key that many need; the others wait for it, and if it does not come within
/// [`Issuer::patience_ms`] the first of them to notice makes it.
pub async fn read_or_roll_over<S: Store, E: Environment, I: Issuer>(
    rows: &Rows<S, E>,
    domain: &Domain,
    server_url: &str,
    issuer: &I,
) -> Result<DomainKeys, Error> {
    let departures = domain.info.departures;
    for _ in 0..CLAIMS {
        let keys = wait(rows, domain, issuer.patience_ms()).await?;
        if !keys.key_required(departures) {
            return Ok(keys);
        }
        let Some(mut claim) = claim(rows, domain, keys.maker).await? else {
            continue;
        };
        if broken(Mutation::StaleVersion) {
            claim.version = keys.newest_version() + 1;
        }
        let made = issuer.make(&Order {
            domain: &domain.info.domain,
            server_url,
            version: claim.version,
            now_s: rows.env.now_s(),
        })?;
        if broken(Mutation::AnswerBeforeSave) {
            let mut unsaved = keys;
            unsaved.push(made.clone(), rows.env.now_s());
            let _ = save(rows, domain, &claim, made).await;
            return Ok(unsaved);
        }
        save(rows, domain, &claim, made).await?;
    }
    Err(Error::Unavailable(format!(
        "the key of domain {} was claimed by others {CLAIMS} times in a row",
        domain.info.domain
    )))
}

/// Reads the keys, and waits as long as the same other request is making the next one.
async fn wait<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
    patience_ms: u64,
) -> Result<DomainKeys, Error> {
    let mut keys = read(rows, domain).await?;
    let mut waited_ms = 0;
    while keys.key_required(domain.info.departures)
        && keys.maker.is_some()
        && !broken(Mutation::IgnoreClaims)
    {
        if waited_ms >= patience_ms && !broken(Mutation::NoTakeover) {
            return Ok(keys);
        }
        rows.env.sleep_ms(LOOK_EVERY_MS).await;
        waited_ms += LOOK_EVERY_MS;
        let maker = keys.maker;
        keys = read(rows, domain).await?;
        if keys.maker != maker {
            waited_ms = 0;
        }
    }
    Ok(keys)
}

/// The right to make the next key, while the row still says so.
struct Claim {
    maker: u64,
    departures: u64,
    /// The version to make it for.
    version: u32,
}

/// Claims the next key from `former`, which is nobody or a maker whose key did not come.
async fn claim<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
    former: Option<u64>,
) -> Result<Option<Claim>, Error> {
    let maker = rows.env.random_u64();
    let departures = domain.info.departures;
    rows.update(
        Table::DomainKeys,
        domain.info.keys,
        |keys: &mut DomainKeys| {
            if keys.erased || !keys.key_required(departures) || keys.maker != former {
                return Ok(Change::Keep(None));
            }
            keys.maker = Some(maker);
            if broken(Mutation::ClearFlagFirst) {
                keys.departures_covered = departures;
            }
            Ok(Change::Write(Some(Claim {
                maker,
                departures,
                // Not what was read before: another key may have been saved since.
                version: keys.newest_version() + 1,
            })))
        },
    )
    .await
}

/// Saves a key under the version it was made for, unless another request was faster.
async fn save<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
    claim: &Claim,
    made: NewKey,
) -> Result<(), Error> {
    let now_s = rows.env.now_s();
    let departures = if broken(Mutation::CoverLate) {
        let late: super::domain_server_info::DomainServerInfo =
            rows.read(Table::DomainServerInfo, domain.id).await?;
        late.departures
    } else {
        claim.departures
    };
    rows.update(
        Table::DomainKeys,
        domain.info.keys,
        |keys: &mut DomainKeys| {
            let next = keys.newest_version() + 1;
            let overtaken = keys.maker != Some(claim.maker) || next != claim.version;
            if overtaken && !broken(Mutation::SaveAlways) {
                return Ok(Change::Keep(()));
            }
            keys.push(made.clone(), now_s);
            keys.departures_covered = departures;
            keys.maker = None;
            Ok(Change::Write(()))
        },
    )
    .await
}

/// Signs anew the certificates among `keys` that run out, and keeps them. A key stays the same key.
///
/// Devices that ask at the same time may each sign; one signature is kept.
pub async fn renew_certificates<S: Store, E: Environment, I: Issuer>(
    rows: &Rows<S, E>,
    domain: &Domain,
    server_url: &str,
    issuer: &I,
    keys: DomainKeys,
) -> Result<DomainKeys, Error> {
    let now_s = rows.env.now_s();
    let runs_out = |key: &DomainKey| {
        now_s > key.fresh_until_s()
            && issuer.not_after_s(now_s) - key.not_after_s >= key.lifetime_s() / 3
    };
    let mut renewed = Vec::new();
    for (version, key) in keys.above(0).filter(|(_, key)| runs_out(key)) {
        let order = Order {
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
    rows.update(
        Table::DomainKeys,
        domain.info.keys,
        |keys: &mut DomainKeys| {
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
        },
    )
    .await?;
    read(rows, domain).await
}
