//! Values and keys.

use super::{Bench, PREFIX, attempts, shown};
use crate::{
    finding::Finding,
    report::Seen,
    store::{Store, StoreError},
};

/// The length of the server's longest key, in characters.
const LONGEST_KEY: usize = "anonymous-domains:DomainMembership:".len() + 32;

/// The sizes that are tried, in bytes, and what each one that is kept comes to.
const SIZES: [(usize, Finding); 3] = [
    (64 * 1024, Finding::SizesSmall),
    (256 * 1024, Finding::SizesMiddle),
    (1024 * 1024, Finding::SizesLarge),
];

/// Values as they are written and read.
pub fn values<S: Store>(bench: &Bench<S>) -> Result<Seen, StoreError> {
    let key = bench.key("values");
    let found = bench.store.get(&key)?;
    if found.is_some() {
        let what = format!(
            "a row that was never written is {}",
            shown(found.as_deref())
        );
        return Ok(Seen::new(Finding::ValuesChanged, what));
    }
    // Once more in reverse: the second write replaces the first.
    let forwards: Vec<u8> = (0..=u8::MAX).collect();
    let backwards: Vec<u8> = (0..=u8::MAX).rev().collect();
    for value in [forwards, backwards] {
        bench.store.set(&key, &value)?;
        if !bench.is(&key, &value)? {
            return Ok(Finding::ValuesChanged.into());
        }
    }
    Ok(Finding::ValuesKept.into())
}

/// Keys as long as the server's.
pub fn keys<S: Store>(bench: &Bench<S>) -> Result<Seen, StoreError> {
    let mut stem = format!("{PREFIX}Keys:{:016x}", bench.id);
    while stem.len() < LONGEST_KEY - 1 {
        stem.push('0');
    }
    let pair = [format!("{stem}a"), format!("{stem}b")];
    bench.keys.borrow_mut().extend(pair.iter().cloned());
    for key in &pair {
        bench.store.set(key, key.as_bytes())?;
    }
    for key in &pair {
        if !bench.is(key, key.as_bytes())? {
            return Ok(Finding::KeysConfused.into());
        }
    }
    Ok(Finding::KeysDistinct.into())
}

/// Values of some sizes, written by swaps, as rows grow.
pub fn sizes<S: Store>(bench: &Bench<S>) -> Result<Seen, StoreError> {
    let mut seen = Seen::from(Finding::SizesTooSmall);
    for (size, finding) in SIZES {
        match grown(bench, size)? {
            Grown::Kept => seen.finding = finding,
            Grown::Refused(said) => {
                seen.what = format!("a swap to {size} bytes said {said} and wrote nothing");
                return Ok(seen);
            }
            Grown::Damaged(what) => return Ok(Seen::new(Finding::SizesDamaged, what)),
        }
    }
    Ok(seen)
}

/// What became of a swap to a large value.
enum Grown {
    Kept,
    Refused(String),
    Damaged(String),
}

fn grown<S: Store>(bench: &Bench<S>, size: usize) -> Result<Grown, StoreError> {
    // Not only zeros, which a store might compress.
    let value: Vec<u8> = (0..size).map(|at| (at ^ (at >> 8)) as u8).collect();
    let mut said = String::new();
    let seen = attempts(|| {
        let key = bench.row("sizes", b"small")?;
        let (cas, _) = bench.store.begin(&key)?;
        let swapped = bench.store.swap(cas, &value);
        said = swapped.said();
        let row = match bench.store.get(&key) {
            Ok(Some(row)) if row == value => return Ok(Some(Finding::SizesLarge.into())),
            Ok(Some(row)) if row == b"small" && !swapped.won() => return Ok(None),
            Ok(row) => shown(row.as_deref()),
            Err(error) => format!("not readable ({error})"),
        };
        let what = format!("a swap to {size} bytes said {said}, and the row is {row}");
        Ok(Some(Seen::new(Finding::SizesDamaged, what)))
    })?;
    Ok(match seen {
        Some(seen) if seen.finding == Finding::SizesDamaged => Grown::Damaged(seen.what),
        Some(_) => Grown::Kept,
        None => Grown::Refused(said),
    })
}
