//! The directory: which domains there are, ordered by name, and whose store it is ([`ownership`]).
//!
//! [`ownership`]: super::ownership

mod listing;

use anonymous_domains_protocol::ids::DomainName;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

pub use self::listing::{Inspected, count_after, inspect, scan, walk};
use super::{
    Tables,
    ownership::{Ownership, Resealed},
};
use crate::{
    environment::Environment,
    error::{Error, RateLimit},
    issuer::KeyDigest,
    store::{
        Store, root,
        rows::{Change, RowId, Table},
        tree::{Node, Tree},
    },
};

/// The table.
pub const TABLE: Table = Table::named("Directory");

/// When a client may try again that found no room for its domain, in seconds: room comes when an
/// operator makes it.
const ROOM_RETRY_AFTER_S: u32 = 3600;

/// So long an instance remembers that there is no room for another domain, in milliseconds.
const FULL_FOR_MS: i64 = 5_000;

/// For an operator whose server has another key-encryption key.
const NOT_OURS: &str = "the store belongs to another key_encryption_key: what it holds was sealed \
                        under that one, and nothing may be added under this one";

/// Where a domain's row is, and whether the domain was deleted since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    id: RowId,
    turn: Turn,
}

/// How the domains of a name come and go: odd where the last of them was deleted and nobody has begun
/// to insert another. It only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn(u32);

impl Turn {
    /// Whether there is certainly no domain of the name: it does not count for `max_domains`.
    pub fn is_deleted(self) -> bool {
        self.0 % 2 == 1
    }
}

/// A domain's key in the directory. What a list goes on after may be any text.
fn key(name: &DomainName) -> String {
    name.as_str().to_owned()
}

type DirectoryTree<'a, S, E> = Tree<'a, S, E, String, Place, Ownership>;

fn tree<S: Store, E: Environment>(tables: &Tables<S, E>, root: RowId) -> DirectoryTree<'_, S, E> {
    Tree::new(tables, TABLE, root)
}

fn directory<S: Store, E: Environment>(tables: &Tables<S, E>, root: RowId) -> Directory<'_, S, E> {
    Directory {
        tables,
        tree: tree(tables, root),
    }
}

/// The root of the directory; `None` where the store was never used.
///
/// # Errors
/// A fault when the store needs a key-encryption key that is not configured: then nothing of it may
/// be read, and nothing written.
pub async fn open<S: Store, E: Environment>(tables: &Tables<S, E>) -> Result<Option<RowId>, Error> {
    match root::find(&tables.store).await? {
        Some(root) => check_owner(tables, root).await.map(|()| Some(root)),
        None => Ok(None),
    }
}

/// The directory; where the store was never used, a new one of this owner.
///
/// # Errors
/// Those of [`open`].
pub async fn open_or_create<S: Store, E: Environment>(
    tables: &Tables<S, E>,
) -> Result<Directory<'_, S, E>, Error> {
    let first = Ownership::One(ByteArray::new(newest_key(tables)?));
    let first = Node::<String, Place, Ownership>::root(first);
    let root = root::find_or_create(tables, TABLE, first).await?;
    check_owner(tables, root).await?;
    Ok(directory(tables, root))
}

/// Checks, once in an instance's life, that the store is the owner's. An instance without usable
/// settings can seal nothing, and may describe domains.
async fn check_owner<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    root: RowId,
) -> Result<(), Error> {
    if tables.is_owned.get() || tables.keys.is_empty() {
        return Ok(());
    }
    check_keys(tables, &tree(tables, root).root_header().await?)?;
    tables.is_owned.set(true);
    Ok(())
}

/// Checks that all keys are configured that the store needs.
fn check_keys<S, E>(tables: &Tables<S, E>, ownership: &Ownership) -> Result<(), Error> {
    let needed = ownership.keys();
    if !needed.is_empty() && needed.iter().all(|key| tables.keys.contains(key)) {
        return Ok(());
    }
    Err(Error::fault(
        match needed.iter().any(|key| tables.keys.contains(key)) {
            false => NOT_OURS,
            true => {
                "the store belongs to another key_encryption_key as well: not everything that was \
                 sealed under that one is resealed"
            }
        },
    ))
}

/// Checks that a key-encryption key is configured.
///
/// # Errors
/// A fault, where it is not.
pub fn check_key<S, E>(tables: &Tables<S, E>, key: &KeyDigest) -> Result<(), Error> {
    match tables.keys.contains(key) {
        true => Ok(()),
        false => Err(Error::fault(NOT_OURS)),
    }
}

fn newest_key<S, E>(tables: &Tables<S, E>) -> Result<KeyDigest, Error> {
    let newest = tables.keys.first().copied();
    newest.ok_or_else(|| Error::fault("there is no key_encryption_key"))
}

/// The digest of the key-encryption key under which a domain key must be sealed that is made now.
/// The read is never stale.
///
/// # Errors
/// Those of [`open`], whatever was found before.
pub async fn sealing_key<S: Store, E: Environment>(
    tables: &Tables<S, E>,
) -> Result<KeyDigest, Error> {
    let ownership = change_ownership(tables, |_| false).await?;
    let ownership = ownership.ok_or_else(|| Error::Unavailable("the root is not there".into()))?;
    check_keys(tables, &ownership)?;
    let key = ownership.sealing_key();
    key.ok_or_else(|| Error::fault("the store belongs to no key_encryption_key"))
}

/// Begins to seal all domain keys under the newest key-encryption key, unless that has begun or is
/// done; says how far it has come. `None` where the store was never used.
///
/// # Errors
/// Those of [`open`].
pub async fn begin_reseal<S: Store, E: Environment>(
    tables: &Tables<S, E>,
) -> Result<Option<(KeyDigest, Resealed)>, Error> {
    let newest = newest_key(tables)?;
    let ownership = change_ownership(tables, |ownership| {
        let begins =
            check_keys(tables, ownership).is_ok() && ownership.progress_to(&newest).is_none();
        if begins {
            ownership.begin(&newest);
        }
        begins
    })
    .await?;
    let Some(ownership) = ownership else {
        return Ok(None);
    };
    check_keys(tables, &ownership)?;
    let progress = ownership.progress_to(&newest);
    Ok(progress.map(|progress| (newest, progress)))
}

/// Notes that the domain keys of all domains after `after` up to `reached`, where `Whole` is the
/// end, are sealed under a key; says how far that has come in all, `None` where another key is to
/// be used by now.
pub async fn note_resealed<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    key: &KeyDigest,
    after: Option<&str>,
    reached: &Resealed,
) -> Result<Option<Resealed>, Error> {
    let ownership =
        change_ownership(tables, |ownership| ownership.advance(key, after, reached)).await?;
    Ok(ownership.and_then(|ownership| ownership.progress_to(key)))
}

/// Lets `decide` change what the directory's first row says of the store, and say whether it did;
/// gives what it says then.
async fn change_ownership<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    mut decide: impl FnMut(&mut Ownership) -> bool,
) -> Result<Option<Ownership>, Error> {
    let Some(root) = root::find(&tables.store).await? else {
        return Ok(None);
    };
    let tree = tree(tables, root);
    let changed = tree.update_root_header(|ownership| {
        let writes = decide(ownership);
        match writes {
            true => Change::Write(ownership.clone()),
            false => Change::Keep(ownership.clone()),
        }
    });
    changed.await.map(Some)
}

/// Where a domain's row in `DomainServerInfo` is; `None` for a domain that never was.
pub async fn find<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    name: &DomainName,
) -> Result<Option<RowId>, Error> {
    if let Some(id) = tables.places.get(name) {
        return Ok(Some(id));
    }
    match open(tables).await? {
        Some(root) => directory(tables, root).find(name).await,
        None => Ok(None),
    }
}

/// What an instance remembers of where a domain's row is; `None` where it does not.
pub fn remembered<S, E>(tables: &Tables<S, E>, name: &DomainName) -> Option<RowId> {
    tables.places.get(name)
}

/// The directory of a store that is in use, to look for a domain and to name it.
pub struct Directory<'a, S, E> {
    tables: &'a Tables<S, E>,
    /// It remembers where it found the leaf that it looked at last.
    tree: DirectoryTree<'a, S, E>,
}

impl<S: Store, E: Environment> Directory<'_, S, E> {
    /// Where a domain's row in `DomainServerInfo` is; `None` for a domain that never was.
    pub async fn find(&self, name: &DomainName) -> Result<Option<RowId>, Error> {
        let found = self.tree.get(&key(name)).await?;
        if let Some(Place { id, .. }) = found {
            self.tables.places.insert(name, id);
        }
        Ok(found.map(|place| place.id))
    }

    /// Names the row of a new domain, and gives the row that has the name then: another request may
    /// have been faster.
    pub async fn insert(&self, name: &DomainName, mine: RowId) -> Result<RowId, Error> {
        let key = key(name);
        let named = self
            .tree
            .update(&key, |leaf| {
                if let Some(theirs) = leaf.get(&key) {
                    return Ok(Change::Keep(theirs.id));
                }
                let place = Place {
                    id: mine,
                    turn: Turn(0),
                };
                leaf.insert(key.clone(), place);
                Ok(Change::Write(mine))
            })
            .await?;
        self.tables.places.insert(name, named);
        Ok(named)
    }
}

/// Refuses another domain where there are `max_domains` already. Domains that are inserted at the
/// same time may each find room for the last one.
///
/// # Errors
/// `RATE_LIMITED`.
pub async fn check_room<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    max_domains: Option<u64>,
) -> Result<(), Error> {
    let (Some(most), Some(root)) = (max_domains, open(tables).await?) else {
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
    let now_ms = tables.env.now_ms();
    let full_until_ms = &tables.places.full_until_ms;
    if now_ms < full_until_ms.get() {
        return full();
    }
    let mut from = None;
    let mut domains = 0;
    loop {
        let leaf = tree(tables, root).leaf(from.as_ref()).await?;
        let existing = leaf
            .entries
            .iter()
            .filter(|(_, place)| !place.turn.is_deleted());
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

/// Which turn it is for a name that was given.
///
/// # Errors
/// Those of [`open`].
pub async fn turn<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    name: &DomainName,
) -> Result<Option<Turn>, Error> {
    let Some(root) = open(tables).await? else {
        return Ok(None);
    };
    let place = tree(tables, root).get(&key(name)).await?;
    Ok(place.map(|place| place.turn))
}

/// Notes that the last domain of a name was deleted, where it was found so in this `turn`, after that
/// was read: nobody has begun to insert another since.
///
/// # Errors
/// Those of [`open`].
pub async fn note_deletion<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    name: &DomainName,
    turn: Turn,
) -> Result<(), Error> {
    change_turn(tables, name, |now| match now {
        Turn(number) if now == turn && number % 2 == 0 => Turn(number + 1),
        _ => now,
    })
    .await
}

/// Notes that a domain is about to be inserted under a name that was given before. From now on no
/// earlier deletion is noted any more.
///
/// # Errors
/// Those of [`open`].
pub async fn note_insertion<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    name: &DomainName,
) -> Result<(), Error> {
    // The next even number.
    change_turn(tables, name, |Turn(number)| Turn((number | 1) + 1)).await
}

async fn change_turn<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    name: &DomainName,
    next: impl Fn(Turn) -> Turn,
) -> Result<(), Error> {
    let Some(root) = open(tables).await? else {
        return Ok(());
    };
    let key = key(name);
    tree(tables, root)
        .update(&key, |leaf| {
            let Some(place) = leaf.get(&key).copied() else {
                return Ok(Change::Keep(()));
            };
            let turn = next(place.turn);
            if turn == place.turn {
                return Ok(Change::Keep(()));
            }
            leaf.insert(key.clone(), Place { turn, ..place });
            Ok(Change::Write(()))
        })
        .await
}
