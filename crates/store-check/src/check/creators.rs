//! Rows that are missing: who creates them, and with what.
//!
//! The server has one row that several may create at the same time, the root cell. It tries out
//! whether the last creator's value is kept, as [`creators`] does, and then creates the cell in one of
//! two ways (`src/store/root.rs`).

use super::{ATTEMPTS, Bench, attempts, found, shown};
use crate::{
    finding::Finding,
    report::Seen,
    store::{Store, StoreError, Swapped},
};

/// What the root cell may be replaced by: eight bytes, as the server writes.
const POINTERS: [&[u8; 8]; 2] = [b"pointer1", b"pointer2"];

/// Two swaps that both found no row.
pub fn creators<S: Store>(bench: &Bench<S>) -> Result<Seen, StoreError> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let key = bench.key("creators");
        let (first, _) = bench.store.begin(&key)?;
        let (second, _) = bench.store.begin(&key)?;
        let said = [
            bench.store.swap(first, b"first"),
            bench.store.swap(second, b"second"),
        ];
        let row = bench.store.get(&key)?;
        let what = format!(
            "the swaps said {} and {}, and the row is {}",
            said[0].said(),
            said[1].said(),
            shown(row.as_deref())
        );
        let [first_won, second_won] = [said[0].won(), said[1].won()];
        // The server tells no more than an error, and tries again with the next request.
        if said.iter().any(|said| matches!(said, Swapped::Unknown(_))) {
            last = Some(Err(StoreError(what)));
            continue;
        }
        let finding = match row.as_deref() {
            Some(b"first") if second_won => Finding::CreatorsFirstAll,
            Some(b"first") => return Ok(Finding::CreatorsFirst.into()),
            Some(b"second") if first_won && second_won => Finding::CreatorsLast,
            Some(b"second") => Finding::CreatorsLastUntold,
            _ => Finding::CreatorsNone,
        };
        let seen = Seen::new(finding, what);
        // A passing error of the first swap leaves the row to the second one on any store.
        let is_certain = matches!(finding, Finding::CreatorsFirstAll | Finding::CreatorsLast);
        if is_certain {
            return Ok(seen);
        }
        last = Some(Ok(seen));
    }
    last.unwrap_or_else(|| Err(StoreError("no attempt was made".into())))
}

/// The root cell where the last creator's value is kept, made as the server does.
pub fn root_cell<S: Store>(bench: &Bench<S>) -> Result<Seen, StoreError> {
    let breaks = |what: String| Ok(Some(Seen::new(Finding::RootCellBreaks, what)));
    found(attempts(|| {
        let key = bench.key("root-cell");
        bench.store.increment(&key, 0)?;
        let (first, cell) = bench.store.begin(&key)?;
        // The server takes eight bytes that are not all zero for a pointer.
        let is_empty = |cell: &[u8]| cell.len() != 8 || cell == [0; 8];
        if !cell.as_deref().is_some_and(is_empty) {
            let cell = shown(cell.as_deref());
            return breaks(format!("after an increment by 0 the row is {cell}"));
        }
        let (second, _) = bench.store.begin(&key)?;
        bench.store.swap(first, POINTERS[0]);
        if !bench.is(&key, POINTERS[0])? {
            return Ok(None);
        }
        // A creator that read before the swap may increment after it. That may fail, but not write.
        let incremented = bench.store.increment(&key, 0);
        bench.store.swap(second, POINTERS[1]);
        let cell = bench.store.get(&key)?;
        if cell.as_deref() == Some(POINTERS[0]) {
            return Ok(Some(Finding::RootCellHolds.into()));
        }
        let said = incremented.map_or_else(|error| error.0, |sum| sum.to_string());
        let cell = shown(cell.as_deref());
        breaks(format!(
            "the first swap wrote \"pointer1\", the increment said {said}, and the row is {cell}"
        ))
    })?)
}

/// Sums from a missing key, through two handles on the bucket in turns.
pub fn increment<S: Store>(bench: &Bench<S>) -> Result<Seen, StoreError> {
    let key = bench.key("increment");
    let mut expected = 0;
    let handles = [&bench.store, &bench.other].into_iter().cycle();
    for (delta, handle) in [1, 1, -4, 1_000_000_007].into_iter().zip(handles) {
        expected += delta;
        match handle.increment(&key, delta) {
            Ok(sum) if sum == expected => {}
            Ok(sum) => {
                let what = format!("{sum} instead of {expected}");
                return Ok(Seen::new(Finding::IncrementWrong, what));
            }
            Err(error) => return Ok(Seen::new(Finding::IncrementFails, error.0)),
        }
    }
    Ok(Finding::IncrementAdds.into())
}
