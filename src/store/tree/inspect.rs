//! Looking at a tree that may be damaged.

use super::{
    Tree,
    node::{Content, Header, Node, Part, State},
};
use crate::{
    environment::Environment,
    error::Error,
    store::{Store, root},
};

/// How often a look starts over because a row was replaced while it was on its way there, before it
/// takes the row for damaged: that takes about half a second.
const LOOKS: usize = 20;

/// No tree has so many rows above one another: it leads back to itself.
const TOO_DEEP: usize = 64;

/// A leaf as it was found.
#[derive(Debug)]
pub struct Look<K, V> {
    /// Its entries, or why it or a row above it cannot be read.
    pub entries: Result<Vec<(K, V)>, Error>,
    /// The least key above all that it may hold; `None` for the last leaf, and where it is not known.
    pub upper: Option<K>,
}

impl<S, E, K, V, H> Tree<'_, S, E, K, V, H>
where
    S: Store,
    E: Environment,
    K: Part + Ord,
    V: Part,
    H: Header,
{
    /// The leaf where a key is or belongs (`None`: the first), as it is: splits stay unfinished. May
    /// run again. The root of a tree that was erased counts as damaged.
    ///
    /// # Errors
    /// `Unavailable` where the store does not answer.
    pub async fn inspect(&self, key: Option<&K>) -> Result<Look<K, V>, Error> {
        let mut looks = 0;
        'restart: loop {
            looks += 1;
            if looks > 3 {
                self.rows.back_off(looks).await;
            }
            let (mut id, mut upper) = (self.root, None);
            for _ in 0..TOO_DEEP {
                let damaged = |what: &str| {
                    let key = id.key(self.table);
                    Err(Error::fault(format!("row {key} {what}")))
                };
                let node: Node<K, V, H> = match self.rows.read(self.table, id).await {
                    Ok(node) => node,
                    Err(error) => {
                        root::check_store(&self.rows.store).await?;
                        let entries = Err(error);
                        return Ok(Look { entries, upper });
                    }
                };
                match node.state {
                    // What is frozen has all that belongs there until it is replaced.
                    State::Open | State::Frozen(_) => {}
                    State::Sealed | State::Replaced if id != self.root && looks < LOOKS => {
                        continue 'restart;
                    }
                    State::Sealed | State::Replaced => {
                        let entries = damaged("was erased or replaced, and is still in use");
                        return Ok(Look { entries, upper });
                    }
                }
                let children = match node.content {
                    Content::Leaf(entries) => {
                        let entries = Ok(entries);
                        return Ok(Look { entries, upper });
                    }
                    Content::Branch(children) => children,
                };
                let next = match key {
                    Some(key) => children.partition_point(|(least, _)| least <= key),
                    None => 1,
                };
                // What the first child has is all below the second.
                let is_ascending = children.iter().skip(1).is_sorted_by(|a, b| a.0 < b.0);
                let Some((_, child)) = children
                    .get(next.saturating_sub(1))
                    .filter(|_| is_ascending)
                else {
                    let entries = damaged("is a branch without order");
                    return Ok(Look { entries, upper });
                };
                let bound = children.get(next.max(1)).map(|(least, _)| least.clone());
                upper = bound.or(upper);
                id = *child;
            }
            let key = self.root.key(self.table);
            let entries = Err(Error::fault(format!("row {key} leads back to itself")));
            return Ok(Look {
                entries,
                upper: None,
            });
        }
    }
}
