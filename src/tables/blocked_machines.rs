//! The list of a domain's blocked machines, for operators to read ([`crate::membership::blocking`]).

use anonymous_domains_protocol::ids::MachineGuid;
use serde::{Deserialize, Serialize};

use super::{
    Tables,
    domain_membership::TABLE,
    domain_server_info::{self, Domain},
};
use crate::{
    environment::Environment,
    error::Error,
    store::{
        Store,
        rows::{Change, RowId},
        tree::{Node, Tree},
    },
};

/// A machine on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// When it was blocked, in seconds since 1970.
    blocked_at_s: i64,
    /// A random number, which is another one whenever the machine is confirmed on the list.
    confirmation: u64,
}

impl Listed {
    /// When it was blocked, in seconds since 1970.
    pub fn blocked_at_s(&self) -> i64 {
        self.blocked_at_s
    }
}

/// The list, by GUID.
type BlockedTree<'a, S, E> = Tree<'a, S, E, [u8; 16], Listed, ()>;

fn tree<S: Store, E: Environment>(tables: &Tables<S, E>, root: RowId) -> BlockedTree<'_, S, E> {
    Tree::new(tables, TABLE, root)
}

/// What the list says of a machine.
pub async fn get<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    root: RowId,
    guid: MachineGuid,
) -> Result<Option<Listed>, Error> {
    tree(tables, root).get(guid.as_bytes()).await
}

/// Puts a machine on the list, if it is not on it.
pub async fn put_on<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    root: RowId,
    guid: MachineGuid,
) -> Result<(), Error> {
    put_on_as_of(tables, root, guid, tables.env.now_s()).await
}

/// Puts a machine on the list, if it is not on it, as of this time, in seconds since 1970.
pub async fn put_on_as_of<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    root: RowId,
    guid: MachineGuid,
    blocked_at_s: i64,
) -> Result<(), Error> {
    change(tables, root, guid, |listed| {
        Some(listed.unwrap_or_else(|| new(tables, blocked_at_s)))
    })
    .await
}

/// Puts a machine on the list as of now, or confirms that it is on it: a request that has seen it there
/// before cannot take it off any more.
pub async fn confirm<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    root: RowId,
    guid: MachineGuid,
) -> Result<(), Error> {
    // What is listed may be from an earlier block.
    let now_s = tables.env.now_s();
    change(tables, root, guid, |_| Some(new(tables, now_s))).await
}

/// Takes a machine off the list, if the list still says of it what it did.
pub async fn take_off<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    root: RowId,
    guid: MachineGuid,
    seen: Listed,
) -> Result<(), Error> {
    change(tables, root, guid, |listed| {
        listed.filter(|listed| *listed != seen)
    })
    .await
}

fn new<S, E: Environment>(tables: &Tables<S, E>, blocked_at_s: i64) -> Listed {
    Listed {
        blocked_at_s,
        confirmation: tables.env.random_u64(),
    }
}

/// Replaces what the list says of a machine by what `decide` makes of it; `None` is a machine that is
/// not on the list.
async fn change<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    root: RowId,
    guid: MachineGuid,
    decide: impl Fn(Option<Listed>) -> Option<Listed>,
) -> Result<(), Error> {
    let key = *guid.as_bytes();
    tree(tables, root)
        .update(&key, |leaf| {
            let before = leaf.get(&key).copied();
            let after = decide(before);
            if after == before {
                return Ok(Change::Keep(()));
            }
            match after {
                Some(listed) => leaf.insert(key, listed),
                None => leaf.remove(&key),
            }
            Ok(Change::Write(()))
        })
        .await
}

/// Machines on the list with GUIDs above `after`, ascending, at most `limit` of them, and when each
/// was put on it, in seconds since 1970.
pub async fn list<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    after: Option<MachineGuid>,
    limit: usize,
) -> Result<Vec<(MachineGuid, i64)>, Error> {
    let Some(root) = domain.info.blocked else {
        return Ok(Vec::new());
    };
    let after = after.map(|guid| *guid.as_bytes());
    let entries = tree(tables, root).scan(after.as_ref(), limit).await?;
    Ok(entries
        .into_iter()
        .map(|(guid, listed)| (MachineGuid::from_bytes(guid), listed.blocked_at_s))
        .collect())
}

/// Erases a deleted domain's list for ever. May run again.
pub async fn erase<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    match domain.info.blocked {
        Some(root) => tree(tables, root).erase().await,
        None => Ok(()),
    }
}

/// An empty list, which nothing names yet.
pub async fn create<S: Store, E: Environment>(tables: &Tables<S, E>) -> Result<RowId, Error> {
    let first = Node::<[u8; 16], Listed, ()>::root(());
    tables.create(TABLE, first).await
}

/// The root of the list, which is made if there is none.
pub async fn find_or_insert<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<RowId, Error> {
    if let Some(root) = domain.info.blocked {
        return Ok(root);
    }
    let mine = create(tables).await?;
    let (root, _) = domain_server_info::update(tables, domain, |info| {
        Ok(match info.blocked {
            Some(theirs) => Change::Keep(theirs),
            None => {
                info.blocked = Some(mine);
                Change::Write(mine)
            }
        })
    })
    .await?;
    Ok(root)
}
