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
//! The row also says under which key-encryption key its keys are sealed. The maker of the first one
//! asks the directory, after its claim ([`super::ownership`]). A key that is saved under another one
//! than the row says is resealed by the same write.
//!
//! There is no way out of "earlier": devices get every version for ever, so that what was bound to
//! an old one stays playable.

mod import;
mod rotation;
mod row;

use serde_bytes::ByteArray;

use self::row::Claim;
pub use self::{
    import::{MovedKey, import, import_covers},
    rotation::{reissue, renew_certificates, reseal},
    row::{DomainKey, DomainKeys},
};
use super::{
    Tables, directory,
    domain_server_info::{self, Domain},
};
use crate::{
    environment::Environment,
    error::Error,
    issuer::{CertificateOrder, Issuer, KeyDigest, NewKey},
    journal::{Event, Journal, Kind},
    store::{
        Store,
        rows::{Change, Table},
    },
};

/// How often a request that waits for a key looks for it, in milliseconds.
const LOOK_EVERY_MS: u64 = 50;

/// After this many claims that came to nothing a request gives up.
const CLAIMS: usize = 20;

/// The table.
pub const TABLE: Table = Table::named("DomainKeys");

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

/// Erases a deleted domain's keys for ever, and removes their row. May run again.
pub async fn erase<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    tables
        .update_unless_removed(TABLE, domain.info.keys, |keys: &mut DomainKeys| {
            if keys.erased {
                return Ok(Change::Keep(()));
            }
            *keys = DomainKeys::default();
            keys.erased = true;
            Ok(Change::Write(()))
        })
        .await?;
    tables.remove(TABLE, domain.info.keys).await
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
    journal: Journal<'_, E>,
) -> Result<DomainKeys, Error> {
    for _ in 0..CLAIMS {
        let keys = wait(tables, domain, issuer.takeover_ms()).await?;
        if !keys.key_required(&domain.info) {
            return Ok(keys);
        }
        issuer.check(tables.env.now_s())?;
        let Some((claim, next)) = claim(tables, domain, keys.claim).await? else {
            continue;
        };
        if let Err(error) = make(tables, domain, server_url, issuer, next, journal).await {
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

/// What the next key is to be.
#[derive(Debug, Clone, Copy)]
struct Next {
    version: u32,
    /// Under which key-encryption key it is to be sealed, where the row says so.
    seal_under: Option<KeyDigest>,
}

/// Makes the next key, and saves it.
async fn make<S: Store, E: Environment, I: Issuer>(
    tables: &Tables<S, E>,
    domain: &Domain,
    server_url: &str,
    issuer: &I,
    next: Next,
    journal: Journal<'_, E>,
) -> Result<(), Error> {
    let seal_under = match next.seal_under {
        Some(key) => key,
        None => directory::sealing_key(tables).await?,
    };
    directory::check_key(tables, &seal_under)?;
    let order = CertificateOrder {
        domain: &domain.info.domain,
        server_url,
        version: next.version,
        now_s: tables.env.now_s(),
    };
    let began_ms = tables.env.now_ms();
    let made = issuer.make(&order, &seal_under)?;
    let key_type = made.key_type;
    let duration_ms = tables.env.now_ms() - began_ms;
    if save(tables, domain, issuer, next.version, made, seal_under).await? {
        journal.record(&Event {
            domain: Some(&domain.info.domain),
            key_version: Some(u64::from(next.version)),
            key_type: Some(key_type.as_str()),
            duration_seconds: Some(duration_ms as f64 / 1000.0),
            ..Event::new(Kind::KeyGenerated)
        });
    }
    Ok(())
}

/// Claims the next key from `former`, which is nobody or a maker whose key did not come; also gives
/// what it is to be.
async fn claim<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    former: Option<Claim>,
) -> Result<Option<(Claim, Next)>, Error> {
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
            let next = Next {
                version: keys.newest_version() + 1,
                seal_under: keys.sealed_under.map(ByteArray::into_array),
            };
            Ok(Change::Write(Some((claim, next))))
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
/// that of whoever took over, and nobody waits in vain. Also says whether this key is kept.
///
/// # Errors
/// The issuer's, where the others are sealed under a key-encryption key by now that it does not
/// have.
async fn save<S: Store, E: Environment, I: Issuer>(
    tables: &Tables<S, E>,
    domain: &Domain,
    issuer: &I,
    version: u32,
    made: NewKey,
    sealed_under: KeyDigest,
) -> Result<bool, Error> {
    let now_s = tables.env.now_s();
    let info = &domain.info;
    tables
        .update(TABLE, domain.info.keys, |keys: &mut DomainKeys| {
            let is_wanted =
                keys.newest_version() + 1 == version && !keys.erased && keys.key_required(info);
            if !is_wanted {
                // Nobody may have been told that this very key was saved.
                return Ok(Change::Keep(keys.has(version, &made)));
            }
            let mut made = made.clone();
            let under = *keys
                .sealed_under
                .get_or_insert(ByteArray::new(sealed_under));
            if let Some(sealed) = issuer.reseal(&info.domain, version, &made.sealed, &under)? {
                made.sealed = sealed;
            }
            let by_operator = keys.is_by_operator(info.departures_by_operators);
            keys.push(made.sealed, made.certificate, now_s, by_operator);
            keys.departures_covered = info.departures;
            keys.departures_by_operators_covered = info.departures_by_operators;
            keys.claim = None;
            Ok(Change::Write(true))
        })
        .await
}
