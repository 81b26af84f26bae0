//! Whether the store can be read and written.

use super::{Store, StoreError, rows::PREFIX};

/// A write that is not older than this shows that the store takes writes, in milliseconds.
const FRESH_MS: i64 = 5_000;

/// Reads a key of its own, and writes the time to it unless that was done a moment ago: so however
/// often somebody asks, the store is written once in five seconds.
///
/// # Errors
/// The store's.
pub async fn check(store: &impl Store, now_ms: i64) -> Result<(), StoreError> {
    let key = format!("{PREFIX}:health");
    let written = store.get(&key).await?;
    let written_ms = written.and_then(|bytes| bytes.try_into().ok().map(i64::from_be_bytes));
    // A clock that was set back makes a write come from the future.
    if written_ms.is_some_and(|ms| now_ms.abs_diff(ms) < FRESH_MS.unsigned_abs()) {
        return Ok(());
    }
    // Whoever else writes it does so for the same reason.
    store.set(&key, &now_ms.to_be_bytes()).await
}
