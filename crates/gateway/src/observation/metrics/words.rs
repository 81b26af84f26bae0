//! Counters by words that the component chooses: its errors, key types and limits.

use std::{
    collections::BTreeSet,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::metrics::{counter::Counter, family::Family};

/// How many values a label may have that the component names: its errors, key types and limits.
pub(super) const MAX_WORDS: usize = 64;

/// Counts by words that the component chose. More words than it can have, and what is no word, are
/// `other`: a label must not become what a client wrote.
pub(super) struct Words<L> {
    pub counters: Family<L, Counter>,
    known: Arc<Mutex<BTreeSet<String>>>,
}

// Not derived: that would need a label that is `Default`.
impl<L: Clone + Eq + Hash> Default for Words<L> {
    fn default() -> Self {
        Self {
            counters: Family::default(),
            known: Arc::default(),
        }
    }
}

impl<L> Clone for Words<L> {
    fn clone(&self) -> Self {
        Self {
            counters: self.counters.clone(),
            known: Arc::clone(&self.known),
        }
    }
}

impl<L: Clone + Eq + Hash> Words<L> {
    pub(super) fn count(&self, word: &str, label: impl FnOnce(String) -> L) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = known.contains(word);
        let is_new = !is_known && known.len() < MAX_WORDS && is_word(word);
        if is_new {
            known.insert(word.to_owned());
        }
        drop(known);
        let word = if is_known || is_new { word } else { "other" };
        self.counters.get_or_create(&label(word.to_owned())).inc();
    }
}

fn is_word(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=40).contains(&text.len()) && text.bytes().all(is_part)
}
