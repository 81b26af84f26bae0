//! The directory: which domains there are, ordered by name.

use anonymous_domains_protocol::ids::DomainName;

use super::domain_server_info::{self, DomainServerInfo};
use crate::{
    error::Error,
    knobs::{Mutation, broken},
    ports::Environment,
    store::{
        Store, root,
        rows::{Change, RowId, Rows, Table},
        tree::{Node, Tree},
    },
};

type DirectoryTree<'a, S, E> = Tree<'a, S, E, String, RowId, ()>;

fn tree<S: Store, E: Environment>(rows: &Rows<S, E>, root: RowId) -> DirectoryTree<'_, S, E> {
    Tree::new(rows, Table::Directory, root)
}

/// Where a domain's row in `DomainServerInfo` is; `None` for a domain that never was.
pub async fn find<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    name: &DomainName,
) -> Result<Option<RowId>, Error> {
    if let Some(id) = rows.known_domains.get(name) {
        return Ok(Some(id));
    }
    let Some(root) = root::find(&rows.store).await? else {
        return Ok(None);
    };
    let found = tree(rows, root).get(&name.as_str().to_owned()).await?;
    if let Some(id) = found {
        rows.known_domains.learn(name, id);
    }
    Ok(found)
}

/// Where a domain's row in `DomainServerInfo` is, and whether this call inserted it; where there is
/// none, inserts the domain with the defaults as `adjust` changes them.
///
/// The domain's rows are made first and named last, so there is never half a domain.
pub(super) async fn find_or_insert<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    name: &DomainName,
    adjust: impl Fn(&mut DomainServerInfo),
) -> Result<(RowId, bool), Error> {
    if let Some(id) = rows.known_domains.get(name) {
        return Ok((id, false));
    }
    let empty = Node::<String, RowId, ()>::root(());
    let root = root::find_or_create(rows, empty).await?;
    let directory = tree(rows, root);
    let key = name.as_str().to_owned();
    if let Some(found) = directory.get(&key).await? {
        rows.known_domains.learn(name, found);
        return Ok((found, false));
    }
    let mut info = domain_server_info::insert_rows(rows, name).await?;
    adjust(&mut info);
    let (membership, keys) = (info.membership, info.keys);
    let mine = rows.create(Table::DomainServerInfo, info).await?;
    let named = directory
        .update(&key, |leaf| {
            if let Some(theirs) = leaf.get(&key).filter(|_| !broken(Mutation::NameTwice)) {
                return Ok(Change::Keep(*theirs));
            }
            leaf.insert(key.clone(), mine);
            Ok(Change::Write(mine))
        })
        .await?;
    if named != mine || broken(Mutation::DiscardNamedRows) {
        // A name is given once, so nothing will ever lead to these.
        rows.discard(Table::DomainServerInfo, mine).await;
        rows.discard(Table::DomainMembership, membership).await;
        rows.discard(Table::DomainKeys, keys).await;
    }
    rows.known_domains.learn(name, named);
    Ok((named, named == mine))
}

/// The rows of domains with names above `after`, ascending by name, at most `limit` of them;
/// deleted domains among them.
pub async fn scan<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(String, RowId)>, Error> {
    let after = after.map(str::to_owned);
    match root::find(&rows.store).await? {
        Some(root) => tree(rows, root).scan(after.as_ref(), limit).await,
        None => Ok(Vec::new()),
    }
}
