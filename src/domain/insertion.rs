//! Finding a domain, and inserting it.
//!
//! A domain's rows are made first and named last, so there is never half a domain. A name is given
//! once: a domain that is inserted under the name of a deleted one gets the row of that in
//! `DomainServerInfo`, and other rows everywhere else.

use anonymous_domains_protocol::ids::DomainName;

use super::deletion;
use crate::{
    environment::Environment,
    error::Error,
    store::{
        Store,
        rows::{Change, RowId},
    },
    tables::{
        Tables,
        directory::{self, Turn},
        domain_keys::{self, DomainKeys},
        domain_membership::{self, MembershipRoot},
        domain_server_info::{
            self, Domain, DomainServerInfo, Life, being_imported, deleted_meanwhile,
        },
    },
};

/// Looks a domain up.
///
/// # Errors
/// `Unavailable` while it is being imported: nobody is to be told that it is not there.
pub async fn find<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    name: &DomainName,
) -> Result<Option<Domain>, Error> {
    match find_undeleted(tables, name).await? {
        Some(domain) if domain.is_importing() => Err(being_imported()),
        found => Ok(found.filter(Domain::exists)),
    }
}

/// Looks up a domain that exists, or of which something is there already or left.
pub async fn find_undeleted<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    name: &DomainName,
) -> Result<Option<Domain>, Error> {
    match directory::find(tables, name).await? {
        Some(id) => {
            let domain = domain_server_info::read(tables, id).await?;
            Ok((domain.info.life != Life::Deleted).then_some(domain))
        }
        None => Ok(None),
    }
}

/// Looks a domain up, and inserts it with the defaults if there is none, unless there are
/// `max_domains` already; also says whether this call inserted it.
///
/// # Errors
/// `RATE_LIMITED`.
pub async fn find_or_insert<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    name: &DomainName,
    max_domains: Option<u64>,
) -> Result<(Domain, bool), Error> {
    find_or_insert_with(tables, name, max_domains, |_| {}).await
}

/// Looks a domain up, and inserts it with the defaults as `adjust` changes them if there is none,
/// unless there are `max_domains` already; also says whether this call inserted it.
///
/// # Errors
/// `RATE_LIMITED`; `Unavailable` while the domain is being imported.
pub async fn find_or_insert_with<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    name: &DomainName,
    max_domains: Option<u64>,
    adjust: impl Fn(&mut DomainServerInfo),
) -> Result<(Domain, bool), Error> {
    let (domain, inserted) = find_any_or_insert_with(tables, name, max_domains, &adjust).await?;
    if domain.is_importing() {
        return Err(being_imported());
    }
    Ok((domain, inserted))
}

/// [`find_or_insert_with`] for an import, which may insert a domain that nobody else sees: also gives
/// one that is being imported.
///
/// # Errors
/// `RATE_LIMITED`.
pub async fn find_any_or_insert_with<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    name: &DomainName,
    max_domains: Option<u64>,
    adjust: &dyn Fn(&mut DomainServerInfo),
) -> Result<(Domain, bool), Error> {
    let is_there =
        |info: &DomainServerInfo| info.exists() || matches!(info.life, Life::Importing(_));
    let (id, inserted) = find_or_name(tables, name, max_domains, adjust).await?;
    let domain = domain_server_info::read(tables, id).await?;
    if inserted || is_there(&domain.info) {
        return Ok((domain, inserted));
    }
    deletion::finish(tables, &domain).await?;
    // An insertion that broke off has counted for the name already.
    if max_domains.is_some()
        && directory::turn(tables, name)
            .await?
            .is_none_or(Turn::is_deleted)
    {
        directory::check_room(tables, max_domains).await?;
    }
    directory::note_insertion(tables, name).await?;
    let mut fresh = create_rows(tables, name).await?;
    adjust(&mut fresh);
    let (info, inserted) = tables
        .update(
            domain_server_info::TABLE,
            id,
            |info: &mut DomainServerInfo| {
                // Only in place of the one whose rows were erased just now.
                if info.generation() != domain.generation() {
                    return Ok(Change::Keep((
                        info.clone(),
                        info.generation() == fresh.generation(),
                    )));
                }
                *info = fresh.clone();
                Ok(Change::Write((fresh.clone(), true)))
            },
        )
        .await?;
    if !is_there(&info) {
        return Err(deleted_meanwhile());
    }
    if info.generation() != fresh.generation() {
        tables
            .discard(domain_membership::TABLE, fresh.membership)
            .await;
        tables.discard(domain_keys::TABLE, fresh.keys).await;
    }
    Ok((Domain { id, info }, inserted))
}

/// Where a domain's row in `DomainServerInfo` is, and whether this call inserted it.
///
/// # Errors
/// `RATE_LIMITED` when there are `max_domains` already: see [`directory::check_room`].
async fn find_or_name<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    name: &DomainName,
    max_domains: Option<u64>,
    adjust: &dyn Fn(&mut DomainServerInfo),
) -> Result<(RowId, bool), Error> {
    if let Some(id) = directory::remembered(tables, name) {
        return Ok((id, false));
    }
    let directory = directory::open_or_create(tables).await?;
    if let Some(id) = directory.find(name).await? {
        return Ok((id, false));
    }
    directory::check_room(tables, max_domains).await?;
    let mut info = create_rows(tables, name).await?;
    adjust(&mut info);
    let (membership, keys) = (info.membership, info.keys);
    let mine = tables.create(domain_server_info::TABLE, info).await?;
    let named = directory.insert(name, mine).await?;
    if named != mine {
        // A name is given once, so nothing will ever lead to these.
        tables.discard(domain_server_info::TABLE, mine).await;
        tables.discard(domain_membership::TABLE, membership).await;
        tables.discard(domain_keys::TABLE, keys).await;
    }
    Ok((named, named == mine))
}

/// Makes a domain's other rows, and its own, which is not in the table yet.
async fn create_rows<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    name: &DomainName,
) -> Result<DomainServerInfo, Error> {
    let keys = tables
        .create(domain_keys::TABLE, DomainKeys::default())
        .await?;
    let membership = tables
        .create(domain_membership::TABLE, MembershipRoot::default())
        .await?;
    Ok(DomainServerInfo::with_defaults(
        name.clone(),
        tables.env.now_s(),
        membership,
        keys,
    ))
}
