//! A row of a tree: its state, its header and its entries or children.

use std::fmt::Debug;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    error::Error,
    store::rows::{Limits, RowId},
};

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
    pub(super) state: State,
    pub(super) header: H,
    pub(super) content: Content<K, V>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
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
pub(super) enum Content<K, V> {
    /// Entries, ascending.
    Leaf(Vec<(K, V)>),
    /// Children, ascending by the least key that each may hold; the first also has all below.
    Branch(Vec<(K, RowId)>),
}

impl<K, V> Content<K, V> {
    /// Whether a leaf must be split before it takes another entry, or a branch before a search goes
    /// below it.
    pub(super) fn is_full(&self, limits: &Limits) -> bool {
        match self {
            Self::Leaf(entries) => entries.len() >= limits.leaf_entries,
            Self::Branch(children) => children.len() >= limits.branch_children,
        }
    }

    /// The rows below.
    pub(super) fn children(self) -> Vec<RowId> {
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

    pub(super) fn part(header: H, content: Content<K, V>) -> Self {
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

/// The two halves of a row, each with its least key.
pub(super) fn halves<K: Clone, T, C>(
    mut all: Vec<(K, T)>,
    content: fn(Vec<(K, T)>) -> C,
) -> [(K, C); 2] {
    let upper = all.split_off(all.len() / 2);
    [all, upper].map(|half| (half[0].0.clone(), content(half)))
}

pub(super) fn leaf_of<K, V>(content: &mut Content<K, V>) -> Result<&mut Vec<(K, V)>, Error> {
    match content {
        Content::Leaf(entries) => Ok(entries),
        Content::Branch(_) => Err(Error::fault("a branch where a leaf belongs")),
    }
}
