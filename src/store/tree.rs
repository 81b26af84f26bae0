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
//! it, from the top down, so that none can change or be split any more; then each is emptied once
//! all below it is. Whoever repeats an erasure that broke off goes on where it stopped.

use std::{cell::RefCell, fmt::Debug, marker::PhantomData};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Store,
    rows::{Change, Limits, RowId, Rows, Table},
};
use crate::{environment::Environment, error::Error};

/// How often a search starts over because of splits before the request gives up.
const RESTARTS: usize = 100;

/// What a tree can be made of.
pub trait Part: Clone + Debug + Serialize + DeserializeOwned {}
impl<T: Clone + Debug + Serialize + DeserializeOwned> Part for T {}

/// What a row says besides its entries. A root keeps its header when it becomes a branch.
pub trait Header: Part + Default {
    /// The headers of the two leaves that take the place of one with this header.
    fn halves(&self) -> [Self; 2];
}

impl Header for () {
    fn halves(&self) -> [Self; 2] {
        [(), ()]
    }
}

/// A row of a tree.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Node<K, V, H> {
    state: State,
    header: H,
    content: Content<K, V>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// Changes.
    Open,
    /// Never changes again, except to be replaced: its content is being moved to two new rows. The
    /// number is the split's own: a root may be split again, and whoever is late from a former
    /// split must not mistake this one for it.
    Frozen(u64),
    /// Never changes again, except to be emptied: the tree is being erased.
    Sealed,
    /// Its content is elsewhere, or was erased.
    Replaced,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Content<K, V> {
    /// Entries, ascending.
    Leaf(Vec<(K, V)>),
    /// Children, ascending by the least key that each may hold; the first also has all below.
    Branch(Vec<(K, RowId)>),
}

impl<K, V> Content<K, V> {
    /// Whether a leaf must be split before it takes another entry, or a branch before a search goes
    /// below it.
    fn is_full(&self, limits: &Limits) -> bool {
        match self {
            Self::Leaf(entries) => entries.len() >= limits.leaf_entries,
            Self::Branch(children) => children.len() >= limits.branch_children,
        }
    }

    /// The rows below.
    fn children(self) -> Vec<RowId> {
        match self {
            Self::Leaf(_) => Vec::new(),
            Self::Branch(children) => children.into_iter().map(|(_, id)| id).collect(),
        }
    }
}

impl<K, V, H: Default> Node<K, V, H> {
    /// A tree's first row.
    pub fn root(header: H) -> Self {
        Self {
            state: State::Open,
            header,
            content: Content::Leaf(Vec::new()),
        }
    }

    fn part(header: H, content: Content<K, V>) -> Self {
        Self {
            state: State::Open,
            header,
            content,
        }
    }
}

/// An open leaf, in the hands of a decision.
#[derive(Debug)]
pub struct Leaf<'a, K, V, H> {
    /// The leaf's header.
    pub header: &'a mut H,
    /// The entries, ascending by key.
    pub entries: &'a mut Vec<(K, V)>,
}

impl<K: Ord, V, H> Leaf<'_, K, V, H> {
    /// Where a key is, or where it belongs.
    pub fn position(&self, key: &K) -> Result<usize, usize> {
        self.entries.binary_search_by(|(entry, _)| entry.cmp(key))
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.position(key).ok().map(|at| &self.entries[at].1)
    }

    /// Puts a value in, in place of the one that was there.
    pub fn insert(&mut self, key: K, value: V) {
        match self.position(&key) {
            Ok(at) => self.entries[at].1 = value,
            Err(at) => self.entries.insert(at, (key, value)),
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &K) {
        if let Ok(at) = self.position(key) {
            self.entries.remove(at);
        }
    }
}

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

    /// Erases the whole tree for ever: whoever looks for it afterwards is told that it is gone.
    /// May run again, and must if it fails.
    pub async fn erase(&self) -> Result<(), Error> {
        for _ in 0..RESTARTS {
            let Some(content) = self.seal_root().await? else {
                return Ok(());
            };
            // A root that was being split is split first, then sealed.
            let Some(content) = content else {
                self.finish_split(self.root, None).await?;
                continue;
            };
            self.erase_below(content).await?;
            return self.empty(self.root).await;
        }
        Err(contention())
    }

    /// Seals the root and gives its content: `None` if it is erased, `Some(None)` if it must be
    /// split first.
    async fn seal_root(&self) -> Result<Option<Option<Content<K, V>>>, Error> {
        self.rows
            .update(self.table, self.root, |root: &mut Node<K, V, H>| {
                let content = || Some(Some(root.content.clone()));
                Ok(match root.state {
                    State::Open => {
                        let content = content();
                        root.state = State::Sealed;
                        Change::Write(content)
                    }
                    State::Sealed => Change::Keep(content()),
                    State::Frozen(_) => Change::Keep(Some(None)),
                    State::Replaced => Change::Keep(None),
                })
            })
            .await
    }

    /// Seals and empties all rows below a sealed one, each only when all below it is empty, so that
    /// an erasure that breaks off leaves nothing that the next one does not find.
    async fn erase_below(&self, content: Content<K, V>) -> Result<(), Error> {
        // The branches on the way down, each with the children that are still to be done.
        let mut path: Vec<(Option<RowId>, Vec<RowId>)> = vec![(None, content.children())];
        while let Some((branch, todo)) = path.last_mut() {
            match todo.pop() {
                Some(child) => match self.seal(child).await? {
                    Some(content @ Content::Branch(_)) => {
                        path.push((Some(child), content.children()));
                    }
                    Some(Content::Leaf(_)) => self.empty(child).await?,
                    None => {}
                },
                None => {
                    if let Some(branch) = *branch {
                        self.empty(branch).await?;
                    }
                    path.pop();
                }
            }
        }
        Ok(())
    }

    /// Seals a row below a sealed one and gives its content, which never changes any more; `None`
    /// if it was emptied.
    async fn seal(&self, id: RowId) -> Result<Option<Content<K, V>>, Error> {
        self.rows
            .update(self.table, id, |node: &mut Node<K, V, H>| {
                let content = Some(node.content.clone());
                match node.state {
                    State::Open => {
                        node.state = State::Sealed;
                        Ok(Change::Write(content))
                    }
                    // A split that has begun cannot end, because the row above is sealed.
                    State::Frozen(_) | State::Sealed => Ok(Change::Keep(content)),
                    State::Replaced => Ok(Change::Keep(None)),
                }
            })
            .await
    }

    /// Frees the space of a row. Where nothing leads to it any more, a failure only wastes it.
    async fn empty(&self, id: RowId) -> Result<(), Error> {
        let empty = |node: &mut Node<K, V, H>| {
            if node.state == State::Replaced {
                return Ok(Change::Keep(()));
            }
            node.state = State::Replaced;
            node.content = Content::Leaf(Vec::new());
            Ok(Change::Write(()))
        };
        self.rows.update(self.table, id, empty).await
    }

    /// Splits a row that is full.
    async fn split(&self, id: RowId, parent: Option<RowId>) -> Result<(), Error> {
        let frozen = State::Frozen(self.rows.env.random_u64());
        let freeze = |node: &mut Node<K, V, H>| {
            if node.state != State::Open || !node.content.is_full(&self.rows.limits) {
                return Ok(Change::Keep(()));
            }
            node.state = frozen;
            Ok(Change::Write(()))
        };
        self.rows.update(self.table, id, freeze).await?;
        self.finish_split(id, parent).await
    }

    /// Takes a frozen row's content to two new rows. Whoever else does the same at the same time,
    /// one pair is named in the end.
    async fn finish_split(&self, id: RowId, parent: Option<RowId>) -> Result<(), Error> {
        let node: Node<K, V, H> = self.rows.read(self.table, id).await?;
        let frozen @ State::Frozen(_) = node.state else {
            return Ok(());
        };
        let (headers, halves) = match node.content {
            Content::Leaf(entries) => (node.header.halves(), halves(entries, Content::Leaf)),
            Content::Branch(children) => (
                [H::default(), H::default()],
                halves(children, Content::Branch),
            ),
        };
        let mut pair = Vec::with_capacity(2);
        for (header, (least, content)) in headers.into_iter().zip(halves) {
            let part = Node::<K, V, H>::part(header, content);
            pair.push((least, self.rows.create(self.table, part).await?));
        }
        let named = match parent {
            None => self.replace_root(frozen, &pair).await?,
            Some(parent) => self.replace_child(parent, id, &pair).await?,
        };
        // The pair of a loser stays behind as orphans: one that was named and forgotten about, by a
        // writer overtaken very often, must not be removed.
        if named && parent.is_some() {
            let _ = self.empty(id).await;
        }
        Ok(())
    }

    async fn replace_root(&self, frozen: State, pair: &[(K, RowId)]) -> Result<bool, Error> {
        self.rows
            .update(self.table, self.root, |root: &mut Node<K, V, H>| {
                if root.state != frozen {
                    return Ok(Change::Keep(false));
                }
                root.state = State::Open;
                root.content = Content::Branch(pair.to_vec());
                Ok(Change::Write(true))
            })
            .await
    }

    async fn replace_child(
        &self,
        parent: RowId,
        child: RowId,
        pair: &[(K, RowId)],
    ) -> Result<bool, Error> {
        self.rows
            .update(self.table, parent, |parent: &mut Node<K, V, H>| {
                let (State::Open, Content::Branch(children)) = (parent.state, &mut parent.content)
                else {
                    return Ok(Change::Keep(false));
                };
                let Some(at) = children.iter().position(|(_, id)| *id == child) else {
                    return Ok(Change::Keep(false));
                };
                // The lower half keeps the child's own bound.
                let least = children[at].0.clone();
                let lower = (least, pair[0].1);
                children.splice(at..=at, [lower, pair[1].clone()]);
                Ok(Change::Write(true))
            })
            .await
    }
}

/// The two halves of a row, each with its least key.
fn halves<K: Clone, T, C>(mut all: Vec<(K, T)>, content: fn(Vec<(K, T)>) -> C) -> [(K, C); 2] {
    let upper = all.split_off(all.len() / 2);
    [all, upper].map(|half| (half[0].0.clone(), content(half)))
}

fn leaf_of<K, V>(content: &mut Content<K, V>) -> Result<&mut Vec<(K, V)>, Error> {
    match content {
        Content::Leaf(entries) => Ok(entries),
        Content::Branch(_) => Err(Error::fault("a branch where a leaf belongs")),
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
