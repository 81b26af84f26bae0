//! Erasing a tree, from the bottom up.

use super::{
    RESTARTS, Tree, contention,
    node::{Content, Header, Node, Part, State},
};
use crate::{
    environment::Environment,
    error::Error,
    store::{
        Store,
        rows::{Change, RowId},
    },
};

impl<S, E, K, V, H> Tree<'_, S, E, K, V, H>
where
    S: Store,
    E: Environment,
    K: Part + Ord,
    V: Part,
    H: Header,
{
    /// Erases the whole tree for ever, and removes its rows: whoever still looks for it is told that it
    /// is gone, or finds a row missing. May run again, and must if it fails.
    pub async fn erase(&self) -> Result<(), Error> {
        for _ in 0..RESTARTS {
            let Some(content) = self.seal_root().await? else {
                return self.rows.remove(self.table, self.root).await;
            };
            // A root that was being split is split first, then sealed.
            let Some(content) = content else {
                self.finish_split(self.root, None).await?;
                continue;
            };
            self.erase_below(content).await?;
            return self.rows.remove(self.table, self.root).await;
        }
        Err(contention())
    }

    /// Seals the root and gives its content: `None` if it is erased, `Some(None)` if it must be
    /// split first.
    async fn seal_root(&self) -> Result<Option<Option<Content<K, V>>>, Error> {
        let sealed = self
            .rows
            .update_unless_removed(self.table, self.root, |root: &mut Node<K, V, H>| {
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
            .await?;
        Ok(sealed.flatten())
    }

    /// Seals and removes all rows below a sealed one, each only when all below it is gone, so that
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
                    Some(Content::Leaf(_)) => self.rows.remove(self.table, child).await?,
                    None => {}
                },
                None => {
                    if let Some(branch) = *branch {
                        self.rows.remove(self.table, branch).await?;
                    }
                    path.pop();
                }
            }
        }
        Ok(())
    }

    /// Seals a row below a sealed one and gives its content, which never changes any more; `None`
    /// if it is gone.
    async fn seal(&self, id: RowId) -> Result<Option<Content<K, V>>, Error> {
        let sealed = self
            .rows
            .update_unless_removed(self.table, id, |node: &mut Node<K, V, H>| {
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
            .await?;
        Ok(sealed.flatten())
    }

    /// Frees the space of a row that was split, to which nothing leads any more: a failure only wastes
    /// it. It is not removed, so that whoever is on the way to it starts over.
    pub(super) async fn empty(&self, id: RowId) -> Result<(), Error> {
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
}
