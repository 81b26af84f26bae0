//! The one row without a parent: a cell that is written once in a store's life.
//!
//! Every other row is born under a random name and then named by a swap on a row that exists. The
//! root of the directory of domains has no row above it, so its name is kept in a cell under a
//! well-known key, and whoever uses a store first writes it: eight bytes, never all zero.
//!
//! Creating that cell is the one race for a missing row that there is. Most hosts let one creator
//! win. Spin's SQLite store lets all of them win, the last one for good; there the cell is made by
//! `increment` by 0, which leaves eight zero bytes however often and by however many it is done,
//! and is *replaced* by a swap, which that store does right. Nothing tells which kind of store this
//! is, so the first user tries it out on a key that nobody else knows (`creators_can_overwrite`).
//!
//! On neither kind can a late, slow or crashed creator undo what another one did: from eight zero
//! bytes or nothing, one pointer wins; a pointer never changes.

use serde::Serialize;

use super::{
    Store, StoreError, Swapped,
    rows::{PREFIX, RowId, Rows, Table},
};
use crate::{environment::Environment, error::Error};

/// How often the cell is tried before the request gives up.
const ATTEMPTS: usize = 20;

fn key() -> String {
    format!("{PREFIX}:root")
}

/// What the cell says: the name of the root, or `None` where no pointer was written yet.
fn pointer(cell: Option<Vec<u8>>) -> Result<Option<RowId>, Error> {
    let Some(cell) = cell else {
        return Ok(None);
    };
    match <[u8; 8]>::try_from(cell) {
        Ok(bytes) => Ok((bytes != [0; 8]).then(|| RowId::of_root(bytes))),
        // Not an empty store: a new root would hide all that is in it.
        Err(_) => Err(Error::fault(format!("row {} is damaged", key()))),
    }
}

/// The directory's root, `None` where the store was never used. May run again.
///
/// # Errors
/// `Unavailable` where the store does not answer; a fault where the cell is damaged.
pub async fn find<S: Store>(store: &S) -> Result<Option<RowId>, Error> {
    pointer(store.get(&key()).await?)
}

/// Whether the store answers: what could not be read besides is a row's fault.
///
/// # Errors
/// `Unavailable`.
pub async fn check_store<S: Store>(store: &S) -> Result<(), StoreError> {
    store.get(&key()).await?;
    Ok(())
}

/// The directory's root; where there is none, a new row of `table` that holds `first`.
pub async fn find_or_create<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    table: Table,
    first: impl Serialize,
) -> Result<RowId, Error> {
    if let Some(root) = find(&rows.store).await? {
        return Ok(root);
    }
    let mut mine = [0; 8];
    while mine == [0; 8] {
        rows.env.fill_random(&mut mine);
    }
    rows.put(table, RowId::of_root(mine), first).await?;
    let overwriting = creators_can_overwrite(rows).await?;
    let key = key();
    for attempt in 0..ATTEMPTS {
        let (cas, cell) = rows.store.begin(&key).await?;
        let missing = cell.is_none();
        if let Some(root) = pointer(cell)? {
            return Ok(root);
        }
        if missing && overwriting {
            rows.store.increment(&key, 0).await?;
        } else {
            // Won, failed or unknown: what the cell says afterwards is true.
            let _ = rows.store.swap(cas, &mine).await;
        }
        if attempt > 2 {
            rows.back_off(attempt).await;
        }
    }
    Err(Error::Unavailable("the root cell cannot be written".into()))
}

/// Whether a swap that saw no row writes over one that came in the meantime.
async fn creators_can_overwrite<S: Store, E: Environment>(
    rows: &Rows<S, E>,
) -> Result<bool, Error> {
    let probe = format!("{PREFIX}:probe:{}", RowId::random(&rows.env));
    let (first, _) = rows.store.begin(&probe).await?;
    let (second, _) = rows.store.begin(&probe).await?;
    let outcomes = [
        rows.store.swap(first, b"first").await,
        rows.store.swap(second, b"second").await,
    ];
    let found = rows.store.get(&probe).await?;
    let _ = rows.store.delete(&probe).await;
    // A first swap that was not done leaves the row to the second one on any store, so a store
    // overwrites only if it says that it did both. Some hosts call every error "failed".
    let both_won = matches!(outcomes, [Swapped::Won, Swapped::Won]);
    for outcome in outcomes {
        if let Swapped::Unknown(error) = outcome {
            return Err(error.into());
        }
    }
    match found.as_deref() {
        Some(b"first") => Ok(false),
        Some(b"second") if both_won => Ok(true),
        _ => Err(Error::Unavailable(
            "a probe of the store was not written".into(),
        )),
    }
}
