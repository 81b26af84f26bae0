//! Hosts in memory, each with the defects that a test gives it.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use store_check::store::{Host, Store, StoreError, Swapped};

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Defect {
    /// The bucket cannot be opened.
    Closed,
    /// Every operation on a row is an error.
    Broken,
    /// Values are texts.
    Texts,
    /// A second write does not replace the first.
    WritesOnce,
    /// Keys are cut to 60 characters.
    ShortKeys,
    /// A swap that wrote says "failed".
    SaysFailed,
    /// A swap writes nothing and says success.
    SaysWon,
    /// A swap writes nothing and says "failed".
    WritesNothing,
    /// A swap that lost says success.
    LoserSaysWon,
    /// A swap writes whatever is there, and says success.
    Overwrites,
    /// A swap writes whatever is there if it comes through a second handle on the bucket, which has
    /// an even number.
    OverwritesFromOther,
    /// The handle that a failed swap returns cannot be read.
    NoRetry,
    /// The handle that a failed swap returns has what the first one had.
    StaleRetry,
    /// The handle that a failed swap returns writes whatever is there.
    OverwritingRetry,
    /// A swap compares bytes.
    ComparesBytes,
    /// A swap that found no row writes whatever is there, and says success.
    CreatorsOverwrite,
    /// The same, but it says "failed".
    CreatorsOverwriteUntold,
    /// A swap that found no row and then finds one says success, and does not write.
    LateCreatorSaysWon,
    /// A swap that found no row does not write.
    CreatesNothing,
    /// A swap that found no row is an error.
    CreatorsFail,
    /// An increment of anything but a number makes it one.
    IncrementReplaces,
    /// An increment of a missing number leaves it missing.
    IncrementByZeroCreatesNothing,
    /// An increment gives the sum before.
    IncrementIsLate,
    /// An increment is an error.
    IncrementFails,
    /// Other handles' plain reads have a row as it was before its last write.
    StaleReads,
    /// The same, if the last write was a swap.
    StaleAfterSwap,
    /// Rows do not survive a restart.
    InMemory,
}

impl Defect {
    /// All of them.
    pub const ALL: &[Self] = &[
        Closed,
        Broken,
        Texts,
        WritesOnce,
        ShortKeys,
        SaysFailed,
        SaysWon,
        WritesNothing,
        LoserSaysWon,
        Overwrites,
        OverwritesFromOther,
        NoRetry,
        StaleRetry,
        OverwritingRetry,
        ComparesBytes,
        CreatorsOverwrite,
        CreatorsOverwriteUntold,
        LateCreatorSaysWon,
        CreatesNothing,
        CreatorsFail,
        IncrementReplaces,
        IncrementByZeroCreatesNothing,
        IncrementIsLate,
        IncrementFails,
        StaleReads,
        StaleAfterSwap,
        InMemory,
    ];
}

use Defect::*;

/// What a swap does with values that are too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooLarge {
    /// It says so.
    Refused,
    /// It writes the beginning.
    Cut,
}

#[derive(Debug, Clone, Default)]
struct Row {
    value: Option<Vec<u8>>,
    version: u64,
    /// The value before the last write, whose handle it was, and whether it was a swap.
    before: Option<(Option<Vec<u8>>, u64, bool)>,
}

#[derive(Debug, Default)]
struct State {
    defects: BTreeSet<Defect>,
    limit: Option<(usize, TooLarge)>,
    rows: RefCell<BTreeMap<String, Row>>,
    numbers: Cell<u64>,
    swaps: Cell<u64>,
    failing_swap: Cell<u64>,
}

impl State {
    fn has(&self, defect: Defect) -> bool {
        self.defects.contains(&defect)
    }

    fn next(&self) -> u64 {
        self.numbers.set(self.numbers.get() + 1);
        self.numbers.get()
    }
}

/// A host in memory. Clones have the same store and are other instances.
#[derive(Debug, Default)]
pub struct Model {
    state: Rc<State>,
    instance: u64,
}

impl Model {
    /// A host with some defects.
    pub fn with(defects: &[Defect]) -> Self {
        Self::limited(defects, None)
    }

    /// A host with some defects whose values have a largest size, in bytes.
    pub fn limited(defects: &[Defect], limit: Option<(usize, TooLarge)>) -> Self {
        let defects = defects.iter().copied().collect();
        let state = State {
            defects,
            limit,
            ..State::default()
        };
        Self {
            state: Rc::new(state),
            instance: 0,
        }
    }

    /// Has one swap say "failed" and write nothing: the nth, the first being 1.
    pub fn fail_swap(&self, nth: u64) {
        self.state.failing_swap.set(nth);
    }

    /// How many swaps there were.
    pub fn swaps(&self) -> u64 {
        self.state.swaps.get()
    }

    /// Another instance on the same store.
    pub fn other_instance(&self) -> Self {
        Self {
            state: Rc::clone(&self.state),
            instance: self.state.next(),
        }
    }

    /// The host after a restart.
    pub fn restarted(&self) -> Self {
        if self.state.has(InMemory) {
            self.state.rows.borrow_mut().clear();
        }
        self.other_instance()
    }

    /// The keys of all rows.
    pub fn keys(&self) -> Vec<String> {
        let rows = self.state.rows.borrow();
        let present = rows.iter().filter(|(_, row)| row.value.is_some());
        present.map(|(key, _)| key.clone()).collect()
    }
}

impl Host for Model {
    type Store = Handle;

    fn open(&self) -> Result<Handle, StoreError> {
        if self.state.has(Closed) {
            return Err(StoreError("access denied".into()));
        }
        Ok(Handle {
            state: Rc::clone(&self.state),
            id: self.state.next(),
        })
    }

    fn random(&self) -> u64 {
        self.state.next()
    }

    fn instance(&self) -> u64 {
        self.instance
    }
}

/// A handle on the store.
pub struct Handle {
    state: Rc<State>,
    id: u64,
}

/// A compare-and-swap.
pub struct Swap {
    key: String,
    read: Row,
    overwrites: bool,
}

impl Handle {
    fn has(&self, defect: Defect) -> bool {
        self.state.has(defect)
    }

    fn key(&self, key: &str) -> String {
        let length = if self.has(ShortKeys) { 60 } else { key.len() };
        key.chars().take(length).collect()
    }

    fn row(&self, key: &str) -> Row {
        let rows = self.state.rows.borrow();
        rows.get(&self.key(key)).cloned().unwrap_or_default()
    }

    fn write(&self, key: &str, value: Option<&[u8]>, is_swap: bool) {
        let old = self.row(key);
        let stored = value.map(|value| match self.state.limit {
            Some((most, TooLarge::Cut)) if value.len() > most => value[..most].to_vec(),
            _ if self.has(Texts) => String::from_utf8_lossy(value).into_owned().into_bytes(),
            _ => value.to_vec(),
        });
        let new = Row {
            value: stored,
            version: old.version + 1,
            before: Some((old.value, self.id, is_swap)),
        };
        self.state.rows.borrow_mut().insert(self.key(key), new);
    }

    fn refuses(&self, value: &[u8]) -> bool {
        matches!(self.state.limit, Some((most, TooLarge::Refused)) if value.len() > most)
    }

    fn works(&self) -> Result<(), StoreError> {
        if self.has(Broken) {
            return Err(StoreError("the disk is full".into()));
        }
        Ok(())
    }

    /// The handle that a failed swap returns.
    fn failed(&self, lost: Swap) -> Swapped<Swap> {
        if self.has(NoRetry) {
            return Swapped::Unknown(StoreError("no such handle".into()));
        }
        let read = if self.has(StaleRetry) {
            lost.read
        } else {
            self.row(&lost.key)
        };
        let value = read.value.clone();
        let next = Swap {
            key: lost.key,
            read,
            overwrites: self.has(OverwritingRetry),
        };
        Swapped::Failed(next, value)
    }
}

impl Store for Handle {
    type Cas = Swap;

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.works()?;
        let row = self.row(key);
        Ok(match row.before {
            Some((before, writer, is_swap))
                if writer != self.id
                    && (self.has(StaleReads) || is_swap && self.has(StaleAfterSwap)) =>
            {
                before
            }
            _ => row.value,
        })
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.works()?;
        if !(self.has(WritesOnce) && self.row(key).value.is_some()) {
            self.write(key, Some(value), false);
        }
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.works()?;
        self.write(key, None, false);
        Ok(())
    }

    fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        self.works()?;
        if self.has(IncrementFails) {
            return Err(StoreError("not supported".into()));
        }
        let old = self.row(key).value;
        let number = match old.as_deref().map(<[u8; 8]>::try_from) {
            None => 0,
            Some(Ok(bytes)) if self.has(IncrementReplaces) && bytes.starts_with(b"pointer") => 0,
            Some(Ok(bytes)) => i64::from_le_bytes(bytes),
            Some(Err(_)) => return Err(StoreError("not a number".into())),
        };
        let sum = number + delta;
        if !(self.has(IncrementByZeroCreatesNothing) && delta == 0) {
            self.write(key, Some(&sum.to_le_bytes()), false);
        }
        Ok(if self.has(IncrementIsLate) {
            number
        } else {
            sum
        })
    }

    fn begin(&self, key: &str) -> Result<(Swap, Option<Vec<u8>>), StoreError> {
        self.works()?;
        let read = self.row(key);
        let value = read.value.clone();
        let swap = Swap {
            key: key.into(),
            read,
            overwrites: self.has(OverwritesFromOther) && self.id.is_multiple_of(2),
        };
        Ok((swap, value))
    }

    fn swap(&self, swap: Swap, value: &[u8]) -> Swapped<Swap> {
        if self.has(SaysWon) {
            return Swapped::Won;
        }
        let row = self.row(&swap.key);
        self.state.swaps.set(self.state.swaps.get() + 1);
        let passing_error = self.state.swaps.get() == self.state.failing_swap.get();
        if self.has(WritesNothing) || passing_error || self.refuses(value) {
            return self.failed(swap);
        }
        let creates = swap.read.value.is_none();
        if creates && self.has(CreatorsFail) {
            return Swapped::Unknown(StoreError("no such row".into()));
        }
        if creates && self.has(CreatesNothing) {
            return self.failed(swap);
        }
        let is_same = if self.has(ComparesBytes) {
            row.value == swap.read.value
        } else {
            row.version == swap.read.version
        };
        let overwrites = swap.overwrites
            || self.has(Overwrites)
            || creates && (self.has(CreatorsOverwrite) || self.has(CreatorsOverwriteUntold));
        if is_same || overwrites {
            self.write(&swap.key, Some(value), true);
            let untold = !is_same && self.has(CreatorsOverwriteUntold);
            return if self.has(SaysFailed) || untold {
                self.failed(swap)
            } else {
                Swapped::Won
            };
        }
        if self.has(LoserSaysWon) && !creates || self.has(LateCreatorSaysWon) && creates {
            return Swapped::Won;
        }
        self.failed(swap)
    }
}
