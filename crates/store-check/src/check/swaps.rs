//! Compare-and-swaps of rows that exist.
//!
//! Rows are changed by swaps only, as the server does: on some hosts a plain write hides what a swap
//! compares.

use super::{Bench, attempts, found, shown};
use crate::{
    finding::Finding,
    report::Seen,
    store::{Store, StoreError, Swapped},
};

/// A swap that has the row for itself.
pub fn swap<S: Store>(bench: &Bench<S>) -> Result<Seen, StoreError> {
    let mut said = String::new();
    let seen = attempts(|| {
        let key = bench.row("swap", b"before")?;
        let (cas, _) = bench.store.begin(&key)?;
        let swapped = bench.store.swap(cas, b"after");
        said = format!("the swap said {}", swapped.said());
        Ok(match (swapped.won(), bench.is(&key, b"after")?) {
            (true, true) => Some(Finding::SwapTrue.into()),
            (true, false) => Some(Finding::SwapSaysWon.into()),
            (false, true) => Some(Seen::new(Finding::SwapSaysFailed, &said)),
            (false, false) => None,
        })
    })?;
    Ok(seen.unwrap_or_else(|| Seen::new(Finding::SwapWritesNothing, said)))
}

/// Two swaps that have read the same row, the second one through the same handle on the bucket, then
/// through another.
pub fn lost_swap<S: Store>(bench: &Bench<S>) -> Result<Seen, StoreError> {
    for other in [&bench.store, &bench.other] {
        let seen = found(attempts(|| {
            let key = bench.row("lost-swap", b"before")?;
            let (first, _) = bench.store.begin(&key)?;
            let (second, _) = other.begin(&key)?;
            bench.store.swap(first, b"first");
            if !bench.is(&key, b"first")? {
                return Ok(None);
            }
            let second = other.swap(second, b"second");
            let row = bench.store.get(&key)?;
            let finding = match row.as_deref() {
                Some(b"first") if second.won() => Finding::LostSwapSaysWon,
                Some(b"first") => return Ok(Some(Finding::LostSwapFails.into())),
                _ => Finding::LostSwapWrites,
            };
            let what = format!(
                "the second swap said {}, and the row is {}",
                second.said(),
                shown(row.as_deref())
            );
            Ok(Some(Seen::new(finding, what)))
        })?)?;
        if seen.finding != Finding::LostSwapFails {
            return Ok(seen);
        }
    }
    Ok(Finding::LostSwapFails.into())
}

/// The handle that a failed swap returns.
pub fn retry<S: Store>(bench: &Bench<S>) -> Result<Seen, StoreError> {
    found(attempts(|| {
        let key = bench.row("retry", b"before")?;
        let (first, _) = bench.store.begin(&key)?;
        let (second, _) = bench.store.begin(&key)?;
        bench.store.swap(first, b"first");
        if !bench.is(&key, b"first")? {
            return Ok(None);
        }
        let (next, read) = match bench.store.swap(second, b"second") {
            Swapped::Failed(next, read) => (next, read),
            said => {
                let what = format!("the second swap said {}", said.said());
                return Ok(Some(Seen::new(Finding::RetryNone, what)));
            }
        };
        // `lost_swap` says so if the second swap wrote.
        let row = bench.store.get(&key)?;
        if read != row {
            let what = format!(
                "the row is {}, and the handle read {}",
                shown(row.as_deref()),
                shown(read.as_deref())
            );
            return Ok(Some(Seen::new(Finding::RetryStale, what)));
        }
        if !bench.change(&key, b"third")? {
            return Ok(None);
        }
        let fourth = bench.store.swap(next, b"fourth");
        if bench.is(&key, b"third")? {
            return Ok(Some(Finding::RetryTrue.into()));
        }
        let what = format!("its swap said {}", fourth.said());
        Ok(Some(Seen::new(Finding::RetryWrites, what)))
    })?)
}

/// A row that was changed and changed back.
pub fn equal_bytes<S: Store>(bench: &Bench<S>) -> Result<Seen, StoreError> {
    found(attempts(|| {
        let key = bench.row("equal-bytes", b"before")?;
        let (old, _) = bench.store.begin(&key)?;
        if !(bench.change(&key, b"between")? && bench.change(&key, b"before")?) {
            return Ok(None);
        }
        bench.store.swap(old, b"after");
        Ok(Some(if bench.is(&key, b"before")? {
            Finding::EqualBytesFail.into()
        } else {
            Finding::EqualBytesPass.into()
        }))
    })?)
}
