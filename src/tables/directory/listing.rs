//! What the directory has, read in the order of names.

use anonymous_domains_protocol::ids::DomainName;

use super::{check_owner, open, tree};
use crate::{
    environment::Environment,
    error::Error,
    store::{
        Store, root,
        rows::{Change, RowId},
    },
    tables::Tables,
};

/// The leaf of the directory where a name is or belongs (`None`: the first), as it is: each domain's
/// name, and where its row is. `None` where the store was never used.
///
/// # Errors
/// `Unavailable` where the store does not answer; a fault when it needs a key-encryption key that is
/// not configured.
pub async fn inspect<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    name: Option<&String>,
) -> Result<Option<Inspected>, Error> {
    let unreadable = |error| Inspected {
        domains: Err(error),
        upper: None,
    };
    let root = match root::find(&tables.store).await {
        Ok(Some(root)) => root,
        Ok(None) => return Ok(None),
        Err(error @ Error::Unavailable(_)) => return Err(error),
        Err(error) => return Ok(Some(unreadable(error))),
    };
    if let Err(error) = check_owner(tables, root).await {
        // The owner is another one, or the row cannot be read that names it.
        let Err(unread) = tree(tables, root).root_header().await else {
            return Err(error);
        };
        root::check_store(&tables.store).await?;
        return Ok(Some(unreadable(unread)));
    }
    let leaf = tree(tables, root).inspect(name).await?;
    Ok(Some(Inspected {
        domains: leaf.entries.map(|entries| {
            let places = entries.into_iter();
            places.map(|(name, place)| (name, place.id)).collect()
        }),
        upper: leaf.upper,
    }))
}

/// A leaf of the directory, as it was found.
#[derive(Debug)]
pub struct Inspected {
    /// The names of domains, and where their rows are; or why the leaf cannot be read.
    pub domains: Result<Vec<(String, RowId)>, Error>,
    /// The least name above all that it may have.
    pub upper: Option<String>,
}

/// The rows of domains with names above `after`, ascending by name, at most `limit` of them. Deleted
/// domains are left out where that is noted.
pub async fn scan<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(DomainName, RowId)>, Error> {
    let Some(root) = open(tables).await? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let mut from = after.map(str::to_owned);
    while found.len() < limit {
        let leaf = tree(tables, root).leaf(from.as_ref()).await?;
        let is_after = |name: &str| after.is_none_or(|after| name > after);
        for (name, place) in leaf.entries {
            if !is_after(&name) || place.turn.is_deleted() {
                continue;
            }
            let name = DomainName::parse(&name);
            let name = name.map_err(|error| Error::fault(format!("in the directory: {error}")))?;
            found.push((name, place.id));
        }
        match leaf.upper {
            Some(upper) => from = Some(upper),
            None => break,
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// The rows of domains with names above `after` as [`scan`] gives them, but deleted ones among them and
/// by reads that are never stale, and whether these are the last; as many as come with one row or a few, and `limit` at
/// most.
pub async fn walk<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<(String, RowId)>, bool), Error> {
    let Some(root) = open(tables).await? else {
        return Ok((Vec::new(), true));
    };
    let mut from = after.map(str::to_owned);
    let mut found = Vec::new();
    loop {
        let (entries, upper) = tree(tables, root)
            .update_leaf(from.as_ref(), |leaf| Change::Keep(leaf.entries.clone()))
            .await?;
        let entries = entries.into_iter().map(|(name, place)| (name, place.id));
        found.extend(entries.filter(|(name, _)| after.is_none_or(|after| name.as_str() > after)));
        if found.len() > limit {
            found.truncate(limit);
            return Ok((found, false));
        }
        match upper {
            Some(upper) => from = Some(upper),
            None => return Ok((found, true)),
        }
    }
}

/// How many domains there are with names above `after`, deleted ones among them. Looks at every row
/// of the directory after that.
pub async fn count_after<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    after: Option<&str>,
) -> Result<u64, Error> {
    let Some(root) = open(tables).await? else {
        return Ok(0);
    };
    let mut from = after.map(str::to_owned);
    let mut domains = 0;
    loop {
        let leaf = tree(tables, root).leaf(from.as_ref()).await?;
        let is_after = |name: &str| after.is_none_or(|after| name > after);
        let entries = leaf.entries.iter();
        domains += entries.filter(|(name, _)| is_after(name)).count() as u64;
        match leaf.upper {
            Some(upper) => from = Some(upper),
            None => return Ok(domains),
        }
    }
}
