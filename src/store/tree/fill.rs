//! Putting many entries in at a time.

use super::{
    RESTARTS, Tree, contention,
    node::{Content, Header, Leaf, Node, Part, State, leaf_of},
};
use crate::{
    environment::Environment,
    error::Error,
    store::{Store, rows::Change},
};

/// What came of the entries that belong to one leaf.
enum Filled {
    /// So many of them are in.
    In(usize),
    /// The leaf may not be changed.
    Refused,
    /// It is no open leaf any more.
    Gone,
    /// It must be split first.
    Full,
}

impl<S, E, K, V, H> Tree<'_, S, E, K, V, H>
where
    S: Store,
    E: Environment,
    K: Part + Ord,
    V: Part,
    H: Header,
{
    /// Puts entries in, which must ascend by key: by one swap as many as a leaf has room for. An
    /// entry that is there is replaced, unless `is_same` says that it need not be. `false` when
    /// `may` refused the header of a leaf that would have changed: then the entries before are in,
    /// and the others are not.
    ///
    /// May run again.
    pub async fn fill(
        &self,
        entries: &[(K, V)],
        may: impl Fn(&H) -> bool,
        is_same: impl Fn(&V, &V) -> bool,
    ) -> Result<bool, Error> {
        let mut rest = entries;
        let mut tries = 0;
        while let Some((first, _)) = rest.first() {
            let found = self.search(Some(first), true).await?;
            // An open leaf has the bounds that it was born with.
            let ours = match &found.upper {
                Some(upper) => rest.partition_point(|(key, _)| key < upper),
                None => rest.len(),
            };
            let fill = |node: &mut Node<K, V, H>| {
                if node.state != State::Open || !matches!(node.content, Content::Leaf(_)) {
                    return Ok(Change::Keep(Filled::Gone));
                }
                let may = may(&node.header);
                let room = self.rows.limits.leaf_entries;
                let (header, entries) = (&mut node.header, leaf_of(&mut node.content)?);
                let mut leaf = Leaf { header, entries };
                let (mut filled, mut changed) = (0, false);
                for (key, value) in &rest[..ours] {
                    match leaf.get(key) {
                        Some(there) if is_same(there, value) => {}
                        _ if !may && filled == 0 => return Ok(Change::Keep(Filled::Refused)),
                        _ if !may => break,
                        None if leaf.entries.len() >= room => break,
                        Some(_) | None => {
                            leaf.insert(key.clone(), value.clone());
                            changed = true;
                        }
                    }
                    filled += 1;
                }
                Ok(match (filled, changed) {
                    (0, _) => Change::Keep(Filled::Full),
                    (_, false) => Change::Keep(Filled::In(filled)),
                    (_, true) => Change::Write(Filled::In(filled)),
                })
            };
            tries += 1;
            match self.rows.update(self.table, found.id, fill).await? {
                Filled::In(filled) => {
                    rest = &rest[filled..];
                    tries = 0;
                }
                Filled::Refused => return Ok(false),
                Filled::Full => self.split(found.id, found.parent).await?,
                Filled::Gone => {}
            }
            if tries == RESTARTS {
                return Err(contention());
            }
        }
        Ok(true)
    }
}
