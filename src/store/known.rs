//! What an instance remembers of the directory.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use anonymous_domains_protocol::ids::DomainName;

use super::rows::RowId;

/// How many domains' places an instance remembers; then it forgets them all.
const MOST_KNOWN: usize = 4096;

/// The places of domains that the directory has named. A name is given once and for ever, so what
/// is known stays true as long as the store is the same one.
#[derive(Debug, Default)]
pub(crate) struct KnownDomains {
    places: RefCell<BTreeMap<DomainName, RowId>>,
    /// Until when there is no room for another domain, in milliseconds since 1970.
    pub(crate) full_until_ms: Cell<i64>,
}

impl KnownDomains {
    pub(crate) fn get(&self, name: &DomainName) -> Option<RowId> {
        self.places.borrow().get(name).copied()
    }

    pub(crate) fn learn(&self, name: &DomainName, id: RowId) {
        let mut known = self.places.borrow_mut();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(name.clone(), id);
    }

    /// Forgets a place, because its row cannot be read: the store may have been replaced.
    pub(crate) fn forget(&self, id: RowId) {
        self.places.borrow_mut().retain(|_, known| *known != id);
    }
}
