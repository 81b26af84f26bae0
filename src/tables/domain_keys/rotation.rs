//! Sealing a domain's keys under another key-encryption key, and having their certificates signed
//! by another domain CA. A key stays the same key.

use serde_bytes::ByteArray;

use super::{
    TABLE, read,
    row::{DomainKey, DomainKeys},
};
use crate::{
    environment::Environment,
    error::Error,
    issuer::{CertificateOrder, Issuer, KeyDigest, NewCertificate},
    store::{Store, rows::Change},
    tables::{
        Tables,
        domain_server_info::{Domain, deleted_meanwhile},
    },
};

/// Seals all of a domain's keys under the key-encryption key with this digest, and says how many
/// were under another. One that is being made meanwhile will be under it when it is saved.
///
/// # Errors
/// The issuer's, when a key does not open; then nothing of this domain has changed.
pub async fn reseal<S: Store, E: Environment, I: Issuer>(
    tables: &Tables<S, E>,
    domain: &Domain,
    issuer: &I,
    under: &KeyDigest,
) -> Result<u64, Error> {
    let name = &domain.info.domain;
    let sealed_under = Some(ByteArray::new(*under));
    let resealed = tables
        .update_unless_removed(TABLE, domain.info.keys, |keys: &mut DomainKeys| {
            if keys.erased {
                return Ok(Change::Keep(0));
            }
            let mut resealed = 0;
            for (version, key) in (1..).zip(&mut keys.keys) {
                if let Some(sealed) = issuer.reseal(name, version, &key.sealed, under)? {
                    key.sealed = sealed.into();
                    resealed += 1;
                }
            }
            if resealed == 0 && keys.sealed_under == sealed_under {
                return Ok(Change::Keep(0));
            }
            keys.sealed_under = sealed_under;
            Ok(Change::Write(resealed))
        })
        .await?;
    // None where the domain was deleted since.
    Ok(resealed.unwrap_or(0))
}

/// Renews the certificates among `keys` that run out, and keeps them.
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
                if keys.key(*version).is_some_and(runs_out) {
                    keys.set_certificate(*version, certificate);
                }
            }
            Ok(Change::Write(()))
        })
        .await?;
    read(tables, domain).await
}

/// Has all certificates of a domain signed again, by the current domain CA, and says how many. One
/// that another request renews at the same time stays as that has it.
///
/// # Errors
/// The issuer's, with nothing changed.
pub async fn reissue<S: Store, E: Environment, I: Issuer>(
    tables: &Tables<S, E>,
    domain: &Domain,
    issuer: &I,
) -> Result<u64, Error> {
    let keys = read(tables, domain).await?;
    let now_s = tables.env.now_s();
    let mut reissued: Vec<(u32, &[u8], NewCertificate)> = Vec::new();
    for (version, key) in keys.above(0) {
        let order = CertificateOrder {
            domain: &domain.info.domain,
            server_url: "",
            version,
            now_s,
        };
        let certificate = issuer.reissue(&order, &key.certificate)?;
        reissued.push((version, &key.certificate, certificate));
    }
    if reissued.is_empty() {
        return Ok(0);
    }
    tables
        .update(TABLE, domain.info.keys, |keys: &mut DomainKeys| {
            if keys.erased {
                return Err(deleted_meanwhile());
            }
            let mut replaced = 0;
            for (version, former, certificate) in &reissued {
                let is_as_read = |key: &DomainKey| key.certificate == *former;
                if keys.key(*version).is_some_and(is_as_read) {
                    keys.set_certificate(*version, certificate);
                    replaced += 1;
                }
            }
            keys.forget_unused_chains();
            Ok(match replaced {
                0 => Change::Keep(0),
                _ => Change::Write(replaced),
            })
        })
        .await
}
