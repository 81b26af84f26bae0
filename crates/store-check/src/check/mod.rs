//! The checks that one request can make.
//!
//! Each uses rows of its own under random keys, and compares what the host said of an operation with
//! what the row is afterwards. Several handles on one row, used in turns, stand for several writers.

mod creators;
mod reads;
mod swaps;
mod values;

use std::cell::RefCell;

use crate::{
    finding::{Check, Finding},
    report::{Outcome, Seen},
    store::{Host, Store, StoreError},
};

/// What every key of ours begins with. None of the server's does.
pub(crate) const PREFIX: &str = "anonymous-domains-store-check:";

/// How often a check is begun again after something that it needs did not happen: some hosts call any
/// passing error of their database "failed".
const ATTEMPTS: usize = 3;

/// Makes all checks that need one request, and removes the rows that it made.
pub fn all<H: Host>(host: &H) -> Vec<Outcome> {
    let opened = host.open().and_then(|store| Ok((store, host.open()?)));
    let (store, other) = match opened {
        Ok(both) => both,
        Err(error) => {
            let seen = Seen::new(Finding::BucketClosed, error.0);
            return vec![Outcome::new(Check::Bucket, Ok(seen))];
        }
    };
    let bench = Bench {
        store,
        other,
        id: host.random(),
        keys: RefCell::default(),
    };
    let mut outcomes = vec![Outcome::new(
        Check::Bucket,
        Ok(Finding::BucketOpened.into()),
    )];
    let mut add = |check, result| outcomes.push(Outcome::new(check, result));
    add(Check::Values, values::values(&bench));
    add(Check::Keys, values::keys(&bench));
    add(Check::Swap, swaps::swap(&bench));
    add(Check::LostSwap, swaps::lost_swap(&bench));
    add(Check::Retry, swaps::retry(&bench));
    add(Check::EqualBytes, swaps::equal_bytes(&bench));
    let creators = creators::creators(&bench);
    let is_last_kept = matches!(&creators, Ok(seen) if seen.finding == Finding::CreatorsLast);
    add(Check::Creators, creators);
    let root_cell = if is_last_kept {
        creators::root_cell(&bench)
    } else {
        Ok(Finding::RootCellUnneeded.into())
    };
    add(Check::RootCell, root_cell);
    add(Check::Increment, creators::increment(&bench));
    add(Check::Sizes, values::sizes(&bench));
    add(Check::Reads, reads::reads(&bench));
    bench.clean_up();
    outcomes
}

/// What the checks work with.
struct Bench<S> {
    /// A handle on the bucket.
    store: S,
    /// Another one.
    other: S,
    /// Random, a part of every key.
    id: u64,
    /// All keys that were made.
    keys: RefCell<Vec<String>>,
}

impl<S: Store> Bench<S> {
    /// A key that nobody has used.
    fn key(&self, name: &str) -> String {
        let mut keys = self.keys.borrow_mut();
        let key = format!("{PREFIX}{:016x}:{name}-{}", self.id, keys.len());
        keys.push(key.clone());
        key
    }

    /// The key of a new row.
    fn row(&self, name: &str, value: &[u8]) -> Result<String, StoreError> {
        let key = self.key(name);
        self.store.set(&key, value)?;
        Ok(key)
    }

    /// Whether a row has this value.
    fn is(&self, key: &str, value: &[u8]) -> Result<bool, StoreError> {
        Ok(self.store.get(key)?.as_deref() == Some(value))
    }

    /// Reads and swaps a row, and gives whether it was written.
    fn change(&self, key: &str, value: &[u8]) -> Result<bool, StoreError> {
        let (cas, _) = self.store.begin(key)?;
        self.store.swap(cas, value);
        self.is(key, value)
    }

    /// What is left of the checks is removed, as far as the store does that.
    fn clean_up(&self) {
        for key in self.keys.take() {
            // A row that remains does no harm.
            let _ = self.store.delete(&key);
        }
    }
}

/// Tries until there is a finding; `None` where a swap that had its row for itself wrote nothing, every
/// time.
fn attempts(
    mut check: impl FnMut() -> Result<Option<Seen>, StoreError>,
) -> Result<Option<Seen>, StoreError> {
    for _ in 0..ATTEMPTS {
        if let Some(seen) = check()? {
            return Ok(Some(seen));
        }
    }
    Ok(None)
}

/// The finding, which a store that writes nothing does not let be made.
fn found(seen: Option<Seen>) -> Result<Seen, StoreError> {
    seen.ok_or_else(|| {
        StoreError(format!(
            "a swap of an unchanged row wrote nothing, {ATTEMPTS} times"
        ))
    })
}

/// A row's value for people.
fn shown(value: Option<&[u8]>) -> String {
    match value {
        None => "missing".into(),
        Some(bytes) if bytes.len() > 32 => format!("{} bytes", bytes.len()),
        Some(bytes) => format!("\"{}\"", bytes.escape_ascii()),
    }
}
