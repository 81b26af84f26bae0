//! Whose store it is: under which key-encryption keys domain keys are sealed.
//!
//! The row that the directory begins with says so, by the keys' digests, and before any key is
//! sealed: the first to use a store writes it by the same swap that makes it the directory, and a
//! rotation begins with it. An instance that lacks one of the keys is refused before it reads or
//! writes anything: it would find keys that do not open, and seal keys that open for nobody else.
//!
//! A rotation seals everything under another key while the server works:
//!
//! ```text
//! One(old) ──begin──▶ Rotation { to: new, from: [old], until } ──end──▶ One(new)
//! ```
//!
//! 1. It begins by naming the new key. From then on the first key of a domain is sealed under that:
//!    its maker reads this row, by a read that is never stale, when the domain is in the directory.
//! 2. Then the domains are walked, ascending by name, by reads that are never stale. One write to a
//!    domain's row in [`super::domain_keys`] seals all its keys under the new key, and says so
//!    there: whoever saves another one, however late, seals it under what the row says by then, or
//!    is refused. `until` says how far the walk has come, so anyone may go on with it.
//! 3. When it has passed the last domain the old key is no longer named.
//!
//! So the keys that this row names are at every moment enough to open every domain key.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use crate::{issuer::KeyDigest, store::tree::Header};

/// What the directory's first row says of the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ownership {
    /// Nothing: this is another row.
    #[default]
    Elsewhere,
    /// All domain keys are sealed under the key with this digest.
    One(ByteArray<32>),
    /// Domain keys are being sealed under another key.
    Rotation {
        /// The digest of the key that they are to be under, and under which new ones are sealed.
        to: ByteArray<32>,
        /// The digests of the keys that they may be under besides.
        from: Vec<ByteArray<32>>,
        /// Up to this domain's they all are under the key that they are to be; `None` at the
        /// beginning.
        until: Option<String>,
    },
}

impl Header for Ownership {
    fn halves(&self) -> [Self; 2] {
        [Self::default(), Self::default()]
    }
}

/// How far the sealing of all domain keys under one key has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resealed {
    /// All are, and nothing is known of another key.
    Whole,
    /// Those of the domains up to this one are; `None` at the beginning.
    Until(Option<String>),
}

impl Ownership {
    /// The digest of the key under which new domain keys are sealed.
    pub fn sealing_key(&self) -> Option<KeyDigest> {
        match self {
            Self::Elsewhere => None,
            Self::One(key) | Self::Rotation { to: key, .. } => Some(key.into_array()),
        }
    }

    /// The digests of all keys that are needed.
    pub fn keys(&self) -> Vec<KeyDigest> {
        let others = match self {
            Self::Rotation { from, .. } => from.as_slice(),
            Self::Elsewhere | Self::One(_) => &[],
        };
        let others = others.iter().map(|key| key.into_array());
        self.sealing_key().into_iter().chain(others).collect()
    }

    /// How far the rotation to a key has come; `None` where there is no rotation to it.
    pub fn progress_to(&self, key: &KeyDigest) -> Option<Resealed> {
        match self {
            Self::One(one) if **one == *key => Some(Resealed::Whole),
            Self::Rotation { to, until, .. } if **to == *key => {
                Some(Resealed::Until(until.clone()))
            }
            _ => None,
        }
    }

    /// Begins a rotation to a key; one to another key begins anew, with all keys that it knew.
    pub fn begin(&mut self, key: &KeyDigest) {
        let from = self.keys().into_iter().filter(|other| other != key);
        *self = Self::Rotation {
            to: ByteArray::new(*key),
            from: from.map(ByteArray::new).collect(),
            until: None,
        };
    }

    /// Notes that the walk of a rotation to `key` has come from `after` to `reached`, where
    /// `Whole` is the end. Says whether that changes anything: what begins behind a gap does not.
    pub fn advance(&mut self, key: &KeyDigest, after: Option<&str>, reached: &Resealed) -> bool {
        let Self::Rotation { to, until, .. } = self else {
            return false;
        };
        if **to != *key || after > until.as_deref() {
            return false;
        }
        match reached {
            Resealed::Whole => *self = Self::One(*to),
            Resealed::Until(name) if name > until => until.clone_from(name),
            Resealed::Until(_) => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: KeyDigest = [1; 32];
    const NEW: KeyDigest = [2; 32];
    const NEWER: KeyDigest = [3; 32];

    fn until(name: &str) -> Resealed {
        Resealed::Until(Some(name.to_owned()))
    }

    #[test]
    fn both_keys_are_needed_from_the_beginning_of_a_rotation_to_its_end() {
        let mut ownership = Ownership::One(ByteArray::new(OLD));
        assert_eq!(ownership.keys(), [OLD]);
        ownership.begin(&NEW);
        assert_eq!(ownership.sealing_key(), Some(NEW));
        assert_eq!(ownership.keys(), [NEW, OLD]);
        assert!(ownership.advance(&NEW, None, &until("b")));
        assert_eq!(ownership.progress_to(&NEW), Some(until("b")));
        assert_eq!(ownership.keys(), [NEW, OLD]);
        assert!(ownership.advance(&NEW, Some("b"), &Resealed::Whole));
        assert_eq!(ownership.keys(), [NEW]);
        assert_eq!(ownership.progress_to(&NEW), Some(Resealed::Whole));
    }

    #[test]
    fn a_rotation_ends_only_without_a_gap() {
        let mut ownership = Ownership::One(ByteArray::new(OLD));
        ownership.begin(&NEW);
        assert!(!ownership.advance(&NEW, Some("a"), &Resealed::Whole));
        assert!(ownership.advance(&NEW, None, &until("b")));
        assert!(!ownership.advance(&NEW, Some("c"), &until("d")));
        // Another request was slower, and one goes over the same domains again.
        assert!(!ownership.advance(&NEW, None, &until("a")));
        assert!(ownership.advance(&NEW, Some("a"), &until("c")));
        // For a key that it does not go to.
        assert!(!ownership.advance(&OLD, None, &Resealed::Whole));
    }

    #[test]
    fn a_rotation_that_is_overtaken_forgets_no_key() {
        let mut ownership = Ownership::One(ByteArray::new(OLD));
        ownership.begin(&NEW);
        ownership.advance(&NEW, None, &until("b"));
        ownership.begin(&NEWER);
        assert_eq!(ownership.keys(), [NEWER, NEW, OLD]);
        assert_eq!(ownership.progress_to(&NEWER), Some(Resealed::Until(None)));
        assert!(!ownership.advance(&NEW, Some("b"), &Resealed::Whole));
        // And back.
        ownership.begin(&OLD);
        assert_eq!(ownership.keys(), [OLD, NEWER, NEW]);
    }
}
