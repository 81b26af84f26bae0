//! Keys that come from another store.

use anonymous_domains_protocol::problem::ErrorName;
use serde_bytes::ByteArray;

use super::{TABLE, row::DomainKeys};
use crate::{
    environment::Environment,
    error::Error,
    issuer::{Issuer, NewCertificate},
    store::{Store, rows::Change},
    tables::{
        Tables, directory,
        domain_server_info::{self, Domain},
    },
};

/// A key that was made for another store.
#[derive(Debug, Clone)]
pub struct MovedKey {
    /// Its version.
    pub version: u32,
    /// The private key, sealed under any key-encryption key that the issuer has.
    pub sealed: Vec<u8>,
    /// The certificate over the public key.
    pub certificate: NewCertificate,
    /// When it was made, in seconds since 1970.
    pub created_at_s: i64,
    /// Whether an operator's wish made it necessary.
    pub by_operator: bool,
}

/// Says how many departures the newest key covers of a domain that is being imported, before it has
/// a key. May run again.
pub async fn import_covers<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    [departures, by_operators]: [u64; 2],
) -> Result<(), Error> {
    tables
        .update(TABLE, domain.info.keys, |keys: &mut DomainKeys| {
            if keys.erased {
                return Err(domain_server_info::deleted_meanwhile());
            }
            if !keys.keys.is_empty() || keys.covers() == [departures, by_operators] {
                return Ok(Change::Keep(()));
            }
            keys.departures_covered = departures;
            keys.departures_by_operators_covered = by_operators;
            Ok(Change::Write(()))
        })
        .await
}

/// Appends keys to those of a domain that is being imported; a version that is there stays as it is.
/// May run again, also when the domain is in use.
///
/// # Errors
/// `INVALID_REQUEST` when a version is left out.
pub async fn import<S: Store, E: Environment, I: Issuer>(
    tables: &Tables<S, E>,
    domain: &Domain,
    issuer: &I,
    moved: &[MovedKey],
) -> Result<(), Error> {
    let seal_under = directory::sealing_key(tables).await?;
    directory::check_key(tables, &seal_under)?;
    let name = &domain.info.domain;
    tables
        .update(TABLE, domain.info.keys, |keys: &mut DomainKeys| {
            if keys.erased {
                return Err(domain_server_info::deleted_meanwhile());
            }
            let before = keys.newest_version();
            for moved in moved.iter().filter(|moved| moved.version > before) {
                if moved.version != keys.newest_version() + 1 {
                    let version = moved.version;
                    return Err(Error::refused(
                        ErrorName::InvalidRequest,
                        format!("the versions before {version} of the domain's key are missing"),
                    ));
                }
                let under = *keys.sealed_under.get_or_insert(ByteArray::new(seal_under));
                let resealed = issuer.reseal(name, moved.version, &moved.sealed, &under)?;
                keys.push(
                    resealed.unwrap_or_else(|| moved.sealed.clone()),
                    moved.certificate.clone(),
                    moved.created_at_s,
                    moved.by_operator,
                );
            }
            Ok(match keys.newest_version() == before {
                true => Change::Keep(()),
                false => Change::Write(()),
            })
        })
        .await
}
