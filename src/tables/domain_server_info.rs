//! `DomainServerInfo`: a domain's settings.

use anonymous_domains_protocol::{ids::DomainName, problem::ErrorName};
use serde::{Deserialize, Serialize};

use super::{
    blocked, directory,
    domain_keys::{self, DomainKeys},
    domain_membership::{self, MembershipRoot},
};
use crate::{
    error::Error,
    knobs::{Mutation, broken},
    ports::Environment,
    store::{
        Store,
        rows::{Change, RowId, Rows, Table},
    },
};

/// A domain's row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DomainServerInfo {
    /// The domain's name.
    pub domain: String,
    /// When the domain was inserted, in seconds since 1970.
    pub created_at_s: i64,
    /// Whether devices must bring an authentication token.
    pub authentication_required: bool,
    /// Auth Namespace: what the token's namespace must be, where this is set.
    pub auth_namespace: Option<String>,
    /// Max Membership: how many machines may belong to the domain, where this is set. The roster
    /// holds the copy that counts ([`super::domain_membership`]).
    pub max_membership: Option<u64>,
    /// How often an operator has set these settings.
    pub settings_revision: u64,
    /// How many departures and rollovers asked for there have been. A key must cover them all: the
    /// reference implementation's Key Rollover Required is `departures` above what the newest key
    /// covers.
    pub departures: u64,
    /// The root of the domain's tree in `DomainMembership`.
    pub membership: RowId,
    /// The domain's row in `DomainKeys`.
    pub keys: RowId,
    /// The root of the list of the domain's blocked machines, once there is one.
    pub blocked: Option<RowId>,
    /// Whether an operator has deleted the domain.
    pub deletion: Deletion,
}

/// How far a domain's deletion is. A deleted domain's row stays, because its name is given once;
/// a domain that is inserted under the name again gets other rows everywhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deletion {
    /// The domain exists.
    No,
    /// It does not, but its other rows are still to be erased.
    Begun,
    /// Nothing of it is left.
    Done,
}

impl DomainServerInfo {
    /// What a domain is inserted with at the first registration.
    pub(super) fn with_defaults(
        domain: &str,
        created_at_s: i64,
        membership: RowId,
        keys: RowId,
    ) -> Self {
        Self {
            domain: domain.to_owned(),
            created_at_s,
            authentication_required: false,
            auth_namespace: None,
            max_membership: None,
            settings_revision: 0,
            departures: 0,
            membership,
            keys,
            blocked: None,
            deletion: Deletion::No,
        }
    }
}

/// A domain as one request sees it.
#[derive(Debug, Clone)]
pub struct Domain {
    /// Its row's name.
    pub id: RowId,
    /// Its row, as it was when the request read it.
    pub info: DomainServerInfo,
}

impl Domain {
    fn exists(&self) -> bool {
        self.info.deletion == Deletion::No
    }
}

/// Looks a domain up.
pub async fn find<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    name: &DomainName,
) -> Result<Option<Domain>, Error> {
    Ok(find_undeleted(rows, name).await?.filter(Domain::exists))
}

/// Looks up a domain that exists, or of which something is left.
pub async fn find_undeleted<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    name: &DomainName,
) -> Result<Option<Domain>, Error> {
    match directory::find(rows, name).await? {
        Some(id) => {
            let domain = read(rows, id).await?;
            Ok((domain.info.deletion != Deletion::Done).then_some(domain))
        }
        None => Ok(None),
    }
}

/// Reads a row that the directory names; `None` for a domain that was deleted.
pub async fn read_existing<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    id: RowId,
) -> Result<Option<Domain>, Error> {
    Ok(Some(read(rows, id).await?).filter(Domain::exists))
}

/// Looks a domain up, and inserts it with the defaults if there is none.
pub async fn find_or_insert<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    name: &DomainName,
) -> Result<Domain, Error> {
    let (domain, _) = find_or_insert_with(rows, name, |_| {}).await?;
    Ok(domain)
}

/// Looks a domain up, and inserts it with the defaults as `adjust` changes them if there is none;
/// also says whether this call inserted it.
pub async fn find_or_insert_with<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    name: &DomainName,
    adjust: impl Fn(&mut DomainServerInfo),
) -> Result<(Domain, bool), Error> {
    let (id, inserted) = directory::find_or_insert(rows, name, &adjust).await?;
    let domain = read(rows, id).await?;
    if inserted || domain.exists() {
        return Ok((domain, inserted));
    }
    finish_deletion(rows, &domain).await?;
    let mut fresh = insert_rows(rows, name).await?;
    adjust(&mut fresh);
    let (info, inserted) = rows
        .update(
            Table::DomainServerInfo,
            id,
            |info: &mut DomainServerInfo| {
                if info.deletion == Deletion::No {
                    return Ok(Change::Keep((info.clone(), false)));
                }
                *info = fresh.clone();
                Ok(Change::Write((fresh.clone(), true)))
            },
        )
        .await?;
    if info.keys != fresh.keys {
        rows.discard(Table::DomainMembership, fresh.membership)
            .await;
        rows.discard(Table::DomainKeys, fresh.keys).await;
    }
    Ok((Domain { id, info }, inserted))
}

/// Makes a domain's other rows, and its own, which is not in the table yet.
pub(super) async fn insert_rows<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    name: &DomainName,
) -> Result<DomainServerInfo, Error> {
    let keys = rows.create(Table::DomainKeys, DomainKeys::new()).await?;
    let membership = rows
        .create(Table::DomainMembership, MembershipRoot::default())
        .await?;
    Ok(DomainServerInfo::with_defaults(
        name.as_str(),
        rows.env.now_s(),
        membership,
        keys,
    ))
}

async fn read<S: Store, E: Environment>(rows: &Rows<S, E>, id: RowId) -> Result<Domain, Error> {
    match rows.read(Table::DomainServerInfo, id).await {
        Ok(info) => Ok(Domain { id, info }),
        Err(error) => {
            rows.known_domains.forget(id);
            Err(error)
        }
    }
}

/// Changes the row of a domain that exists and is still the one that was looked up, and gives the
/// domain as it was written.
///
/// # Errors
/// Those of `change`, with nothing written; `UNKNOWN_DOMAIN` when it was deleted since.
pub async fn update<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
    mut change: impl FnMut(&mut DomainServerInfo) -> Result<(), Error>,
) -> Result<Domain, Error> {
    let decide = |info: &mut DomainServerInfo| {
        if info.deletion != Deletion::No || info.keys != domain.info.keys {
            return Err(Error::refused(
                ErrorName::UnknownDomain,
                "the domain was deleted in the meantime",
            ));
        }
        change(info)?;
        Ok(Change::Write(info.clone()))
    };
    let info = rows
        .update(Table::DomainServerInfo, domain.id, decide)
        .await?;
    Ok(Domain {
        id: domain.id,
        info,
    })
}

/// Sets Key Rollover Required. To be done before the machine that leaves is removed.
///
/// # Errors
/// `UNKNOWN_DOMAIN` when the domain was deleted since.
pub async fn require_rollover<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    let raise = |info: &mut DomainServerInfo| {
        info.departures += 1;
        Ok(())
    };
    update(rows, domain, raise).await?;
    Ok(())
}

/// Sets Key Rollover Required once more, when the machine is gone: a key that was made in between
/// covers the departure, and the machine may have been given it. A deleted domain needs no key.
pub async fn require_rollover_again<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    if broken(Mutation::RaiseOnce) {
        return Ok(());
    }
    match require_rollover(rows, domain).await {
        Err(error) if error.refusal() == Some(ErrorName::UnknownDomain) => Ok(()),
        result => result,
    }
}

/// Deletes a domain: first it exists no more, then its rows are erased. What a crash leaves is
/// erased when the domain is deleted or inserted again.
pub async fn delete<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    let begin = |info: &mut DomainServerInfo| {
        info.deletion = Deletion::Begun;
        Ok(())
    };
    let deleted = match domain.info.deletion {
        Deletion::No => update(rows, domain, begin).await?,
        Deletion::Begun | Deletion::Done => domain.clone(),
    };
    finish_deletion(rows, &deleted).await
}

/// Erases the other rows of a deleted domain.
async fn finish_deletion<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    if domain.info.deletion != Deletion::Begun {
        return Ok(());
    }
    domain_keys::erase(rows, domain).await?;
    domain_membership::erase(rows, domain).await?;
    blocked::erase(rows, domain).await?;
    rows.update(
        Table::DomainServerInfo,
        domain.id,
        |info: &mut DomainServerInfo| {
            if info.deletion != Deletion::Begun || info.keys != domain.info.keys {
                return Ok(Change::Keep(()));
            }
            info.deletion = Deletion::Done;
            Ok(Change::Write(()))
        },
    )
    .await
}
