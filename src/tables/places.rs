//! What an instance remembers of the directory.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use anonymous_domains_protocol::ids::DomainName;

use crate::store::rows::RowId;

/// How many domains' places an instance remembers; then it forgets them all.
const CAPACITY: usize = 4096;

/// The places of domains that the directory has named. A name is given once and for ever, so a
/// place stays right as long as the store is the same one.
#[derive(Debug, Default)]
pub(super) struct PlaceCache {
    places: RefCell<BTreeMap<DomainName, RowId>>,
    /// Until when there is no room for another domain, in milliseconds since 1970.
    pub(super) full_until_ms: Cell<i64>,
}

impl PlaceCache {
    pub(super) fn get(&self, name: &DomainName) -> Option<RowId> {
        self.places.borrow().get(name).copied()
    }

    pub(super) fn insert(&self, name: &DomainName, id: RowId) {
        let mut places = self.places.borrow_mut();
        if places.len() >= CAPACITY {
            places.clear();
        }
        places.insert(name.clone(), id);
    }

    /// Forgets a place, because its row cannot be read: the store may have been replaced.
    pub(super) fn remove(&self, id: RowId) {
        self.places.borrow_mut().retain(|_, known| *known != id);
    }
}
