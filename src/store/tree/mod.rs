//! An ordered map of any size, in rows of bounded size, for many writers at once.
//!
//! The directory of domains and each domain's machines are such trees. A small one is a single
//! row, the root, whose name never changes. A leaf that has grown is split:
//!
//! 1. the leaf is *frozen* by a swap, so that a writer who still knows it starts over;
//! 2. two new leaves are made, each with half of the entries, under names nobody else knows;
//! 3. the branch above names the two instead of the one (a frozen root becomes that branch).
//!
//! Each step is one swap, anyone who meets a frozen row takes the remaining ones, and whoever comes
//! second changes nothing. So an *open leaf is the one place for its keys as long as it is open*,
//! and a swap on it is all that an entry needs.
//!
//! A tree is erased from the bottom up ([`Tree::erase`]): the root is *sealed*, then every row below
//! it, from the top down, so that none can change or be split any more; then each is removed once
//! all below it is. Whoever repeats an erasure that broke off goes on where it stopped.

mod erase;
mod fill;
mod inspect;
mod node;
mod split;

use std::{cell::RefCell, marker::PhantomData};

use self::node::{Content, State, leaf_of};
pub use self::{
    inspect::Look as InspectedLeaf,
    node::{Header, Leaf, Node, Part},
};
use super::{
    Store,
    rows::{Change, RowId, Rows, Table},
};
use crate::{environment::Environment, error::Error};

/// How often a search starts over because of splits before the request gives up.
const RESTARTS: usize = 100;

/// Decides about a leaf, and says whether it is to be written.
type DecideLeaf<'a, K, V, H> = dyn FnMut(&mut Leaf<'_, K, V, H>) -> Result<bool, Error> + 'a;

/// A tree in the rows of one table.
#[derive(Debug)]
pub struct Tree<'a, S, E, K, V, H> {
    rows: &'a Rows<S, E>,
    table: Table,
    root: RowId,
    /// Where [`get`](Tree::get) last ended: an update of the same key needs no search.
    seen: RefCell<Option<(K, RowId)>>,
    parts: PhantomData<(V, H)>,
}

/// Where a search ended.
struct Found<K, V, H> {
    id: RowId,
    node: Node<K, V, H>,
    parent: Option<RowId>,
    /// The least key above all that this leaf may hold.
    upper: Option<K>,
}

/// A leaf as it was read.
#[derive(Debug)]
pub struct LeafView<K, V, H> {
    /// Its header.
    pub header: H,
    /// Its entries, ascending by key.
    pub entries: Vec<(K, V)>,
    /// The least key above all that it may hold; `None` for the last leaf.
    pub upper: Option<K>,
}

/// What a look at a leaf came to.
enum Look {
    Decided,
    /// It is no open leaf any more.
    Gone,
    /// It must be split first.
    Full,
}

impl<'a, S, E, K, V, H> Tree<'a, S, E, K, V, H>
where
    S: Store,
    E: Environment,
    K: Part + Ord,
    V: Part,
    H: Header,
{
    /// The tree with this root.
    pub fn new(rows: &'a Rows<S, E>, table: Table, root: RowId) -> Self {
        Self {
            rows,
            table,
            root,
            seen: RefCell::default(),
            parts: PhantomData,
        }
    }

    /// The value of a key. May run again.
    pub async fn get(&self, key: &K) -> Result<Option<V>, Error> {
        Ok(self.get_with_header(key).await?.0)
    }

    /// The value of a key, and the header of the leaf where it is or belongs. May run again.
    pub async fn get_with_header(&self, key: &K) -> Result<(Option<V>, H), Error> {
        let mut found = self.search(Some(key), false).await?;
        self.seen.replace(Some((key.clone(), found.id)));
        let (header, entries) = (&mut found.node.header, leaf_of(&mut found.node.content)?);
        let value = Leaf { header, entries }.get(key).cloned();
        Ok((value, found.node.header))
    }

    /// The leaf where a key is or belongs (`None`: the first). May run again.
    pub async fn leaf(&self, key: Option<&K>) -> Result<LeafView<K, V, H>, Error> {
        let mut found = self.search(key, false).await?;
        Ok(LeafView {
            entries: std::mem::take(leaf_of(&mut found.node.content)?),
            header: found.node.header,
            upper: found.upper,
        })
    }

    /// The root's header. May run again.
    pub async fn root_header(&self) -> Result<H, Error> {
        let root: Node<K, V, H> = self.rows.read(self.table, self.root).await?;
        Ok(root.header)
    }

    /// Lets `decide` change the root's header, whether the root is a leaf or a branch; it runs on a
    /// read that is never stale.
    pub async fn update_root_header<R>(
        &self,
        mut decide: impl FnMut(&mut H) -> Change<R>,
    ) -> Result<R, Error> {
        self.rows
            .update(self.table, self.root, |root: &mut Node<K, V, H>| {
                Ok(decide(&mut root.header))
            })
            .await
    }

    /// Entries with keys above `after`, ascending, at most `limit` of them. May run again.
    ///
    /// The cost follows what is listed. Every entry that is there all the while is listed once.
    pub async fn scan(&self, after: Option<&K>, limit: usize) -> Result<Vec<(K, V)>, Error> {
        let mut listed = Vec::new();
        let mut from = after.cloned();
        while listed.len() < limit {
            let leaf = self.leaf(from.as_ref()).await?;
            let is_listed = |key: &K| after.is_some_and(|after| key <= after);
            listed.extend(leaf.entries.into_iter().filter(|(key, _)| !is_listed(key)));
            match leaf.upper {
                Some(upper) => from = Some(upper),
                None => break,
            }
        }
        listed.truncate(limit);
        Ok(listed)
    }

    /// Lets `decide` look at the leaf where a key is or belongs, and change that key in it. The
    /// promises are those of [`Rows::update`].
    pub async fn update<R>(
        &self,
        key: &K,
        mut decide: impl FnMut(&mut Leaf<'_, K, V, H>) -> Result<Change<R>, Error>,
    ) -> Result<R, Error> {
        let mut answer = None;
        self.update_leaf_of(key, &mut |leaf| {
            let change = decide(leaf)?;
            let writes = matches!(change, Change::Write(_));
            let (Change::Keep(decided) | Change::Write(decided)) = change;
            answer = Some(decided);
            Ok(writes)
        })
        .await?;
        answer.ok_or_else(|| Error::fault("a leaf was decided about, and there is no decision"))
    }

    /// [`update`](Self::update) whatever it gives. `decide` says whether the leaf is to be written.
    async fn update_leaf_of(
        &self,
        key: &K,
        decide: &mut DecideLeaf<'_, K, V, H>,
    ) -> Result<(), Error> {
        let seen = self.seen.take().filter(|(seen, _)| seen == key);
        // A leaf where the key belonged is its place as long as it is open.
        let mut seen = seen.map(|(_, id)| id);
        for _ in 0..RESTARTS {
            let (id, parent) = match seen {
                Some(id) => (id, None),
                None => {
                    let found = self.search(Some(key), true).await?;
                    (found.id, found.parent)
                }
            };
            let look = self
                .rows
                .update(self.table, id, |node: &mut Node<K, V, H>| {
                    let Node {
                        state,
                        header,
                        content: content @ Content::Leaf(_),
                    } = node
                    else {
                        return Ok(Change::Keep(Look::Gone));
                    };
                    if *state != State::Open {
                        return Ok(Change::Keep(Look::Gone));
                    }
                    if content.is_full(&self.rows.limits) {
                        return Ok(Change::Keep(Look::Full));
                    }
                    let entries = leaf_of(content)?;
                    Ok(match decide(&mut Leaf { header, entries })? {
                        false => Change::Keep(Look::Decided),
                        true => Change::Write(Look::Decided),
                    })
                })
                .await?;
            match look {
                Look::Decided => return Ok(()),
                Look::Gone => {}
                // A search for writing makes room above first.
                Look::Full if seen.is_some() => {}
                Look::Full => self.split(id, parent).await?,
            }
            seen = None;
        }
        Err(contention())
    }

    /// Lets `decide` look at the leaf where a key is or belongs (`None`: the first), and change what
    /// is in it, but put nothing in. Also gives the least key above all that the leaf may hold.
    pub async fn update_leaf<R>(
        &self,
        key: Option<&K>,
        mut decide: impl FnMut(&mut Leaf<'_, K, V, H>) -> Change<R>,
    ) -> Result<(R, Option<K>), Error> {
        for _ in 0..RESTARTS {
            let Found { id, upper, .. } = self.search(key, false).await?;
            let decided = self
                .rows
                .update(self.table, id, |node: &mut Node<K, V, H>| {
                    // An open leaf has the bounds that it was born with.
                    let (State::Open, Content::Leaf(entries)) = (node.state, &mut node.content)
                    else {
                        return Ok(Change::Keep(None));
                    };
                    let header = &mut node.header;
                    Ok(match decide(&mut Leaf { header, entries }) {
                        Change::Keep(answer) => Change::Keep(Some(answer)),
                        Change::Write(answer) => Change::Write(Some(answer)),
                    })
                })
                .await?;
            if let Some(answer) = decided {
                return Ok((answer, upper));
            }
        }
        Err(contention())
    }

    /// Goes down to the open leaf where a key is or belongs (`None`: the first), finishing the
    /// splits it meets; with `to_write`, also splits the branches on its way that are full.
    async fn search(&self, key: Option<&K>, to_write: bool) -> Result<Found<K, V, H>, Error> {
        'restart: for restart in 0..RESTARTS {
            if restart > 2 {
                self.rows.back_off(restart).await;
            }
            let mut found = Found {
                id: self.root,
                node: self.rows.read(self.table, self.root).await?,
                parent: None,
                upper: None,
            };
            loop {
                match found.node.state {
                    State::Open => {}
                    State::Frozen(_) => {
                        self.finish_split(found.id, found.parent).await?;
                        continue 'restart;
                    }
                    State::Sealed | State::Replaced if found.id == self.root => {
                        return Err(erased());
                    }
                    State::Sealed | State::Replaced => continue 'restart,
                }
                let Content::Branch(children) = &found.node.content else {
                    return Ok(found);
                };
                if to_write && found.node.content.is_full(&self.rows.limits) {
                    self.split(found.id, found.parent).await?;
                    continue 'restart;
                }
                let next = match key {
                    Some(key) => children.partition_point(|(least, _)| least <= key),
                    None => 1,
                };
                let (_, id) = children[next.saturating_sub(1)];
                let upper = children.get(next.max(1)).map(|(least, _)| least.clone());
                found = Found {
                    id,
                    node: self.rows.read(self.table, id).await?,
                    parent: Some(found.id),
                    upper: upper.or(found.upper),
                };
            }
        }
        Err(contention())
    }
}

fn erased() -> Error {
    Error::Unavailable("the domain was deleted in the meantime".into())
}

fn contention() -> Error {
    Error::Unavailable(format!(
        "a tree was changed by others {RESTARTS} times in a row"
    ))
}
