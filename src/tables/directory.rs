//! The directory: which domains there are, ordered by name, and whose store it is.
//!
//! The row that the directory begins with names the owner of the store: a digest of the
//! key-encryption key that domain keys are sealed under. It is written before the root cell names
//! that row, so the first to use a store claims it by the same swap. An instance with another key
//! is refused before it reads or writes anything: a key that it sealed would open for nobody else.

use anonymous_domains_protocol::ids::DomainName;
use serde::{Deserialize, Serialize};

use super::domain_server_info::{self, DomainServerInfo};
use crate::{
    error::{Error, RateLimit},
    ports::Environment,
    store::{
        Store, root,
        rows::{Change, Digest, RowId, Rows, Table},
        tree::{Header, Node, Tree},
    },
};

/// When a client may try again that found no room for its domain, in seconds: room comes when an
/// operator makes it.
const ROOM_RETRY_AFTER_S: u32 = 3600;

/// So long an instance remembers that there is no room for another domain, in milliseconds.
const FULL_FOR_MS: i64 = 5_000;

/// What the directory's first row says of the store.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Ownership {
    /// The digest of the owner's key-encryption key. Only the root has it.
    #[serde(with = "serde_bytes")]
    owner: Option<Digest>,
}

impl Header for Ownership {
    fn halves(&self) -> [Self; 2] {
        [Self::default(), Self::default()]
    }
}

/// Where a domain's row is, and whether the domain was deleted since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    id: RowId,
    is_deleted: bool,
}

type DirectoryTree<'a, S, E> = Tree<'a, S, E, String, Place, Ownership>;

fn tree<S: Store, E: Environment>(rows: &Rows<S, E>, root: RowId) -> DirectoryTree<'_, S, E> {
    Tree::new(rows, Table::Directory, root)
}

/// The directory; `None` where the store was never used.
///
/// # Errors
/// A fault when the store belongs to another key-encryption key: then nothing of it may be read,
/// and nothing written.
pub async fn open<S: Store, E: Environment>(rows: &Rows<S, E>) -> Result<Option<RowId>, Error> {
    match root::find(&rows.store).await? {
        Some(root) => check_owner(rows, root).await.map(|()| Some(root)),
        None => Ok(None),
    }
}

/// The directory; where the store was never used, a new one of this owner.
async fn open_or_create<S: Store, E: Environment>(rows: &Rows<S, E>) -> Result<RowId, Error> {
    if rows.owner.is_none() {
        return Err(Error::fault("there is no key_encryption_key"));
    }
    let first = Node::<String, Place, Ownership>::root(Ownership { owner: rows.owner });
    let root = root::find_or_create(rows, first).await?;
    check_owner(rows, root).await?;
    Ok(root)
}

/// Checks, once in an instance's life, that the store is the owner's. An instance without usable
/// settings can seal nothing, and may describe domains.
async fn check_owner<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    root: RowId,
) -> Result<(), Error> {
    if rows.is_owned.get() || rows.owner.is_none() {
        return Ok(());
    }
    let found = tree(rows, root).root_header().await?.owner;
    if found != rows.owner {
        return Err(Error::fault(
            "the store belongs to another key_encryption_key: what it holds was sealed under that \
             one, and nothing may be added under this one",
        ));
    }
    rows.is_owned.set(true);
    Ok(())
}

/// Where a domain's row in `DomainServerInfo` is; `None` for a domain that never was.
pub async fn find<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    name: &DomainName,
) -> Result<Option<RowId>, Error> {
    if let Some(id) = rows.known_domains.get(name) {
        return Ok(Some(id));
    }
    let Some(root) = open(rows).await? else {
        return Ok(None);
    };
    let found = tree(rows, root).get(&name.as_str().to_owned()).await?;
    if let Some(Place { id, .. }) = found {
        rows.known_domains.learn(name, id);
    }
    Ok(found.map(|place| place.id))
}

/// Where a domain's row in `DomainServerInfo` is, and whether this call inserted it; where there is
/// none, inserts the domain with the defaults as `adjust` changes them.
///
/// The domain's rows are made first and named last, so there is never half a domain.
///
/// # Errors
/// `RATE_LIMITED` when there are `max_domains` already: see [`check_room`].
pub(super) async fn find_or_insert<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    name: &DomainName,
    max_domains: Option<u64>,
    adjust: impl Fn(&mut DomainServerInfo),
) -> Result<(RowId, bool), Error> {
    if let Some(id) = rows.known_domains.get(name) {
        return Ok((id, false));
    }
    let root = open_or_create(rows).await?;
    let directory = tree(rows, root);
    let key = name.as_str().to_owned();
    if let Some(Place { id, .. }) = directory.get(&key).await? {
        rows.known_domains.learn(name, id);
        return Ok((id, false));
    }
    check_room(rows, max_domains).await?;
    let mut info = domain_server_info::insert_rows(rows, name).await?;
    adjust(&mut info);
    let (membership, keys) = (info.membership, info.keys);
    let mine = rows.create(Table::DomainServerInfo, info).await?;
    let named = directory
        .update(&key, |leaf| {
            if let Some(theirs) = leaf.get(&key) {
                return Ok(Change::Keep(theirs.id));
            }
            let place = Place {
                id: mine,
                is_deleted: false,
            };
            leaf.insert(key.clone(), place);
            Ok(Change::Write(mine))
        })
        .await?;
    if named != mine {
        // A name is given once, so nothing will ever lead to these.
        rows.discard(Table::DomainServerInfo, mine).await;
        rows.discard(Table::DomainMembership, membership).await;
        rows.discard(Table::DomainKeys, keys).await;
    }
    rows.known_domains.learn(name, named);
    Ok((named, named == mine))
}

/// Refuses another domain where there are `max_domains` already. Domains that are inserted at the
/// same time may each find room for the last one.
///
/// # Errors
/// `RATE_LIMITED`.
pub(super) async fn check_room<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    max_domains: Option<u64>,
) -> Result<(), Error> {
    let (Some(most), Some(root)) = (max_domains, open(rows).await?) else {
        return Ok(());
    };
    let full = || {
        Err(Error::RateLimited(RateLimit {
            name: "domains",
            quota: most,
            window_s: None,
            retry_after_s: ROOM_RETRY_AFTER_S,
        }))
    };
    // Whoever asks for one domain after the other is not to have the directory read each time.
    let now_ms = rows.env.now_ms();
    let full_until_ms = &rows.known_domains.full_until_ms;
    if now_ms < full_until_ms.get() {
        return full();
    }
    let mut from = None;
    let mut domains = 0;
    loop {
        let leaf = tree(rows, root).leaf(from.as_ref()).await?;
        let existing = leaf.entries.iter().filter(|(_, place)| !place.is_deleted);
        domains += existing.count() as u64;
        if domains >= most {
            full_until_ms.set(now_ms + FULL_FOR_MS);
            return full();
        }
        match leaf.upper {
            Some(upper) => from = Some(upper),
            None => return Ok(()),
        }
    }
}

/// Notes that a domain was deleted or inserted again, for [`check_room`].
pub(super) async fn set_deleted<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &str,
    is_deleted: bool,
) -> Result<(), Error> {
    let Some(root) = open(rows).await? else {
        return Ok(());
    };
    let key = domain.to_owned();
    tree(rows, root)
        .update(&key, |leaf| {
            let Some(place) = leaf.get(&key).copied() else {
                return Ok(Change::Keep(()));
            };
            if place.is_deleted == is_deleted {
                return Ok(Change::Keep(()));
            }
            leaf.insert(
                key.clone(),
                Place {
                    is_deleted,
                    ..place
                },
            );
            Ok(Change::Write(()))
        })
        .await
}

/// The rows of domains with names above `after`, ascending by name, at most `limit` of them;
/// deleted domains among them.
pub async fn scan<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(String, RowId)>, Error> {
    let after = after.map(str::to_owned);
    let Some(root) = open(rows).await? else {
        return Ok(Vec::new());
    };
    let found = tree(rows, root).scan(after.as_ref(), limit).await?;
    Ok(found
        .into_iter()
        .map(|(name, place)| (name, place.id))
        .collect())
}
