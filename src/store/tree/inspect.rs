//! Looking at a tree that may be damaged.

use super::{
    RESTARTS, Tree, contention, erased,
    node::{Content, Header, Node, Part, State},
};
use crate::{
    environment::Environment,
    error::Error,
    store::{Store, root},
};

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
    /// run again.
    ///
    /// # Errors
    /// `Unavailable` where the store does not answer, or the tree was erased.
    pub async fn inspect(&self, key: Option<&K>) -> Result<Look<K, V>, Error> {
        'restart: for restart in 0..RESTARTS {
            if restart > 2 {
                self.rows.back_off(restart).await;
            }
            let (mut id, mut upper) = (self.root, None);
            loop {
                let node: Node<K, V, H> = match self.rows.read(self.table, id).await {
                    Ok(node) => node,
                    Err(error) => {
                        // Is it the row, or the store?
                        root::find(&self.rows.store).await?;
                        let entries = Err(error);
                        return Ok(Look { entries, upper });
                    }
                };
                match node.state {
                    // What is frozen has all that belongs there until it is replaced.
                    State::Open | State::Frozen(_) => {}
                    State::Sealed | State::Replaced if id == self.root => return Err(erased()),
                    State::Sealed | State::Replaced => continue 'restart,
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
                let Some((_, child)) = children.get(next.saturating_sub(1)) else {
                    let entries = Err(Error::fault("a branch of a tree is empty"));
                    return Ok(Look { entries, upper });
                };
                id = *child;
                let bound = children.get(next.max(1)).map(|(least, _)| least.clone());
                upper = bound.or(upper);
            }
        }
        let entries = Err(contention());
        Ok(Look {
            entries,
            upper: None,
        })
    }
}
