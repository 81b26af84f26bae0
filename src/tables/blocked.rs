//! The list of a domain's blocked machines, for operators to read.
//!
//! What blocks a machine is its entry in [`super::domain_membership`]. This list is only how the
//! blocked ones are found again without a look at all members: a machine is put on it before it is
//! blocked and taken off after it is let in again, so it has every blocked machine; one that a
//! crash left on it is recognized by its entry.

use anonymous_domains_protocol::ids::MachineGuid;

use super::{
    domain_membership::{self, Removal},
    domain_server_info::{self, Domain},
};
use crate::{
    error::Error,
    ports::Environment,
    store::{
        Store,
        rows::{Change, RowId, Rows, Table},
        tree::{Node, Tree},
    },
};

/// By GUID, when each was blocked, in seconds since 1970.
type BlockedTree<'a, S, E> = Tree<'a, S, E, [u8; 16], i64, ()>;

fn tree<S: Store, E: Environment>(rows: &Rows<S, E>, root: RowId) -> BlockedTree<'_, S, E> {
    Tree::new(rows, Table::DomainMembership, root)
}

/// Blocks a machine, and removes it if it is a member.
pub async fn block<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
    guid: MachineGuid,
) -> Result<(), Error> {
    let root = find_or_insert(rows, domain).await?;
    put_on(rows, root, guid).await?;
    domain_membership::expel(rows, domain, guid, Removal::Block).await?;
    // Another operator may have let it in meanwhile and taken it off the list only now.
    put_on(rows, root, guid).await
}

/// Lets a machine join again. One that is not blocked stays as it is.
pub async fn unblock<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
    guid: MachineGuid,
) -> Result<(), Error> {
    domain_membership::unblock(rows, domain, guid).await?;
    let Some(root) = domain.info.blocked else {
        return Ok(());
    };
    take_off(rows, root, guid).await?;
    // Another operator may have blocked it again meanwhile.
    if domain_membership::is_blocked(rows, domain, guid).await? {
        put_on(rows, root, guid).await?;
    }
    Ok(())
}

async fn put_on<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    root: RowId,
    guid: MachineGuid,
) -> Result<(), Error> {
    let key = *guid.as_bytes();
    tree(rows, root)
        .update(&key, |leaf| {
            if leaf.get(&key).is_some() {
                return Ok(Change::Keep(()));
            }
            leaf.insert(key, rows.env.now_s());
            Ok(Change::Write(()))
        })
        .await
}

async fn take_off<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    root: RowId,
    guid: MachineGuid,
) -> Result<(), Error> {
    let key = *guid.as_bytes();
    tree(rows, root)
        .update(&key, |leaf| {
            if leaf.get(&key).is_none() {
                return Ok(Change::Keep(()));
            }
            leaf.remove(&key);
            Ok(Change::Write(()))
        })
        .await
}

/// Blocked machines with GUIDs above `after`, ascending, at most `limit` of them, and when each was
/// blocked, in seconds since 1970.
pub async fn list<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
    mut after: Option<MachineGuid>,
    limit: usize,
) -> Result<Vec<(MachineGuid, i64)>, Error> {
    let mut listed = Vec::new();
    let Some(root) = domain.info.blocked else {
        return Ok(listed);
    };
    while listed.len() < limit {
        let from = after.map(|guid| *guid.as_bytes());
        let entries = tree(rows, root).scan(from.as_ref(), limit).await?;
        let Some((last, _)) = entries.last() else {
            break;
        };
        after = Some(MachineGuid::from_bytes(*last));
        for (guid, blocked_at_s) in entries {
            let guid = MachineGuid::from_bytes(guid);
            if domain_membership::is_blocked(rows, domain, guid).await? {
                listed.push((guid, blocked_at_s));
            }
        }
    }
    listed.truncate(limit);
    Ok(listed)
}

/// Erases a deleted domain's list for ever. May run again.
pub(super) async fn erase<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    match domain.info.blocked {
        Some(root) => tree(rows, root).erase().await,
        None => Ok(()),
    }
}

async fn find_or_insert<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
) -> Result<RowId, Error> {
    if let Some(root) = domain.info.blocked {
        return Ok(root);
    }
    let first = Node::<[u8; 16], i64, ()>::root(());
    let mine = rows.create(Table::DomainMembership, first).await?;
    let domain = domain_server_info::update(rows, domain, |info| {
        info.blocked.get_or_insert(mine);
        Ok(())
    })
    .await?;
    Ok(domain.info.blocked.unwrap_or(mine))
}
