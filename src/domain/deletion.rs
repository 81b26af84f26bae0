//! Deleting a domain.

use anonymous_domains_protocol::problem::ErrorName;

use crate::{
    environment::Environment,
    error::Error,
    store::{Store, rows::Change},
    tables::{
        Tables, blocked_machines, directory, domain_keys, domain_membership,
        domain_server_info::{self, Deletion, Domain, DomainServerInfo},
    },
};

/// Deletes a domain: first it exists no more, then its rows are erased. What a crash leaves is
/// erased when the domain is deleted or inserted again.
pub async fn delete<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    let begin = |info: &mut DomainServerInfo| {
        info.deletion = Deletion::Begun;
        info.intents = Vec::new();
        Ok(Change::Write(()))
    };
    let deleted = match domain.info.deletion {
        Deletion::No => match domain_server_info::update(tables, domain, begin).await {
            Ok(((), deleted)) => deleted,
            // Another request has begun it, or this one without being told.
            Err(error) if error.refusal() == Some(ErrorName::UnknownDomain) => {
                let now = domain_server_info::read(tables, domain.id).await?;
                let is_same = now.generation() == domain.generation();
                if !is_same || now.info.deletion != Deletion::Begun {
                    return Err(error);
                }
                now
            }
            Err(error) => return Err(error),
        },
        Deletion::Begun | Deletion::Done => domain.clone(),
    };
    finish(tables, &deleted).await
}

/// Erases the other rows of a deleted domain.
pub(super) async fn finish<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    if domain.info.deletion != Deletion::Begun {
        return Ok(());
    }
    domain_keys::erase(tables, domain).await?;
    domain_membership::erase(tables, domain).await?;
    blocked_machines::erase(tables, domain).await?;
    directory::set_deleted(tables, &domain.info.domain, true).await?;
    let exists = tables
        .update(
            domain_server_info::TABLE,
            domain.id,
            |info: &mut DomainServerInfo| {
                if info.deletion != Deletion::Begun || info.generation() != domain.generation() {
                    return Ok(Change::Keep(info.deletion == Deletion::No));
                }
                info.deletion = Deletion::Done;
                Ok(Change::Write(false))
            },
        )
        .await?;
    if exists {
        // Another request has finished the deletion, and one has inserted the domain again.
        directory::set_deleted(tables, &domain.info.domain, false).await?;
    }
    Ok(())
}
