//! Splitting a row that is full, and finishing the splits of others.

use super::{
    Tree,
    node::{Content, Header, Node, Part, State, halves},
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
    /// Splits a row that is full.
    pub(super) async fn split(&self, id: RowId, parent: Option<RowId>) -> Result<(), Error> {
        let frozen = State::Frozen(self.rows.env.random_u64());
        let freeze = |node: &mut Node<K, V, H>| {
            if node.state != State::Open || !node.content.is_full(&self.rows.limits) {
                return Ok(Change::Keep(()));
            }
            node.state = frozen;
            Ok(Change::Write(()))
        };
        self.rows.update(self.table, id, freeze).await?;
        self.finish_split(id, parent).await
    }

    /// Takes a frozen row's content to two new rows. Whoever else does the same at the same time,
    /// one pair is named in the end.
    pub(super) async fn finish_split(&self, id: RowId, parent: Option<RowId>) -> Result<(), Error> {
        let node: Node<K, V, H> = self.rows.read(self.table, id).await?;
        let frozen @ State::Frozen(_) = node.state else {
            return Ok(());
        };
        let (headers, halves) = match node.content {
            Content::Leaf(entries) => (node.header.halves(), halves(entries, Content::Leaf)),
            Content::Branch(children) => (
                [H::default(), H::default()],
                halves(children, Content::Branch),
            ),
        };
        let mut pair = Vec::with_capacity(2);
        for (header, (least, content)) in headers.into_iter().zip(halves) {
            let part = Node::<K, V, H>::part(header, content);
            pair.push((least, self.rows.create(self.table, part).await?));
        }
        let named = match parent {
            None => self.replace_root(frozen, &pair).await?,
            Some(parent) => self.replace_child(parent, id, &pair).await?,
        };
        // The pair of a loser stays behind as orphans: one that was named and forgotten about, by a
        // writer overtaken very often, must not be removed.
        if named && parent.is_some() {
            let _ = self.empty(id).await;
        }
        Ok(())
    }

    async fn replace_root(&self, frozen: State, pair: &[(K, RowId)]) -> Result<bool, Error> {
        self.rows
            .update(self.table, self.root, |root: &mut Node<K, V, H>| {
                if root.state != frozen {
                    return Ok(Change::Keep(false));
                }
                root.state = State::Open;
                root.content = Content::Branch(pair.to_vec());
                Ok(Change::Write(true))
            })
            .await
    }

    async fn replace_child(
        &self,
        parent: RowId,
        child: RowId,
        pair: &[(K, RowId)],
    ) -> Result<bool, Error> {
        self.rows
            .update(self.table, parent, |parent: &mut Node<K, V, H>| {
                let (State::Open, Content::Branch(children)) = (parent.state, &mut parent.content)
                else {
                    return Ok(Change::Keep(false));
                };
                let Some(at) = children.iter().position(|(_, id)| *id == child) else {
                    return Ok(Change::Keep(false));
                };
                // The lower half keeps the child's own bound.
                let least = children[at].0.clone();
                let lower = (least, pair[0].1);
                children.splice(at..=at, [lower, pair[1].clone()]);
                Ok(Change::Write(true))
            })
            .await
    }
}
