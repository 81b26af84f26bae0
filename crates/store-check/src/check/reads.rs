//! Reads right after writes, through another handle.

use super::Bench;
use crate::{
    finding::Finding,
    report::Seen,
    store::{Store, StoreError},
};

/// How many writes of each kind are read.
const WRITES: usize = 10;

/// Writes through one handle on the bucket, and reads through another.
pub fn reads<S: Store>(bench: &Bench<S>) -> Result<Seen, StoreError> {
    let stale = |how: &str| {
        let what = format!("after a {how}, a read gave an earlier value or none");
        Ok(Seen::new(Finding::ReadsStale, what))
    };
    for nth in 0..WRITES {
        let value = format!("set {nth}").into_bytes();
        let key = bench.row("reads", &value)?;
        // A plain read first: that of a swap may be stronger.
        let plain = bench.other.get(&key)?;
        let (_, read) = bench.other.begin(&key)?;
        if [plain, read] != [Some(value.clone()), Some(value)] {
            return stale("write");
        }
    }
    let key = bench.row("reads", b"first")?;
    for nth in 0..WRITES {
        let value = Some(format!("swap {nth}").into_bytes());
        let (cas, _) = bench.store.begin(&key)?;
        let swapped = bench.store.swap(cas, value.as_deref().unwrap_or_default());
        let plain = bench.other.get(&key)?;
        let (_, read) = bench.other.begin(&key)?;
        // A swap that did not write is not a stale read.
        let was_written = swapped.won() || read == value;
        if was_written && plain != value {
            return stale("swap");
        }
    }
    Ok(Finding::ReadsFresh.into())
}
