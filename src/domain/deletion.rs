//! Deleting a domain.

use anonymous_domains_protocol::problem::ErrorName;

use crate::{
    environment::Environment,
    error::Error,
    store::{Store, rows::Change},
    tables::{
        Tables, blocked_machines, directory, domain_keys, domain_membership,
        domain_server_info::{self, Domain, DomainServerInfo, Life},
    },
};

/// Deletes a domain: first it no longer exists, then its rows are erased. What a crash leaves is
/// erased when the domain is deleted or inserted again.
pub async fn delete<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    let deleted = begin(tables, domain).await?;
    finish(tables, &deleted).await
}

/// Deletes a domain, so that it no longer exists; its other rows are for [`finish`].
///
/// # Errors
/// `UNKNOWN_DOMAIN` when it was deleted in the meantime, and erased.
pub async fn begin<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<Domain, Error> {
    if let Life::DeletionBegun | Life::Deleted = domain.info.life {
        return Ok(domain.clone());
    }
    let info = tables
        .update(
            domain_server_info::TABLE,
            domain.id,
            |info: &mut DomainServerInfo| {
                let is_same = info.generation() == domain.generation();
                if !is_same || info.life == Life::Deleted {
                    return Err(Error::refused(
                        ErrorName::UnknownDomain,
                        "the domain was deleted in the meantime",
                    ));
                }
                if info.life == Life::DeletionBegun {
                    // Another request has begun it, or this one without being told.
                    return Ok(Change::Keep(info.clone()));
                }
                info.life = Life::DeletionBegun;
                info.intents = Vec::new();
                Ok(Change::Write(info.clone()))
            },
        )
        .await?;
    Ok(Domain {
        id: domain.id,
        info,
    })
}

/// Erases the other rows of a deleted domain.
pub async fn finish<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    if domain.info.life != Life::DeletionBegun {
        return Ok(());
    }
    // Read in this order: if the deletion is still under way in this turn, nobody has inserted another
    // domain, and nobody will without beginning another turn.
    let name = &domain.info.domain;
    let turn = directory::turn(tables, name).await?;
    let now = domain_server_info::read_now(tables, domain.id).await?;
    if now.info.life != Life::DeletionBegun || now.generation() != domain.generation() {
        return Ok(());
    }
    domain_keys::erase(tables, domain).await?;
    domain_membership::erase(tables, domain).await?;
    blocked_machines::erase(tables, domain).await?;
    if let Some(turn) = turn {
        directory::note_deletion(tables, name, turn).await?;
    }
    tables
        .update(
            domain_server_info::TABLE,
            domain.id,
            |info: &mut DomainServerInfo| {
                if info.life != Life::DeletionBegun || info.generation() != domain.generation() {
                    return Ok(Change::Keep(()));
                }
                info.life = Life::Deleted;
                Ok(Change::Write(()))
            },
        )
        .await
}
