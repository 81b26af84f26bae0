//! The tables, as every operation on them is given them.

use std::{cell::Cell, ops::Deref};

use super::places::PlaceCache;
use crate::{
    issuer::KeyDigest,
    store::rows::{Limits, RowId, Rows},
};

/// The tables in a host's store, and what an instance remembers of them.
///
/// It dereferences to the [`Rows`] that the tables are made of.
#[derive(Debug)]
pub struct Tables<S, E> {
    rows: Rows<S, E>,
    /// Where the directory said that domains are.
    pub(super) places: PlaceCache,
    /// The configured key-encryption keys, the newest first: the store must be theirs. None where
    /// the settings cannot be used.
    pub(super) keys: Vec<KeyDigest>,
    /// Whether the store was found to be theirs.
    pub(super) is_owned: Cell<bool>,
}

impl<S, E> Tables<S, E> {
    /// The tables in a store, for the owner of key-encryption keys with these digests, the newest
    /// first.
    pub fn new(store: S, env: E, keys: Vec<KeyDigest>, limits: Limits) -> Self {
        Self {
            rows: Rows::new(store, env, limits),
            places: PlaceCache::default(),
            keys,
            is_owned: Cell::new(false),
        }
    }

    /// Forgets what is remembered of a row that could not be read: the store may have been
    /// replaced by another one.
    pub(super) fn forget(&self, id: RowId) {
        self.places.remove(id);
        self.is_owned.set(false);
    }
}

impl<S, E> Deref for Tables<S, E> {
    type Target = Rows<S, E>;

    fn deref(&self) -> &Self::Target {
        &self.rows
    }
}
