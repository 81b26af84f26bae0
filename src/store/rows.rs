//! Rows: values with the revisions of their last writers, changed by compare-and-swap.

use std::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Store, Swapped,
    row::{Row, decode, encode, seal},
};
use crate::{environment::Environment, error::Error};

/// What every key of ours begins with, so that a store can be shared with other programs.
pub const PREFIX: &str = "anonymous-domains";

/// How large rows become.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A leaf of a tree with this many entries is split before it takes another; at least 2.
    pub leaf_entries: usize,
    /// A branch of a tree with this many children is split before a search goes below it; at
    /// least 3.
    pub branch_children: usize,
    /// How many writers' revisions a row remembers; at least 1.
    ///
    /// A writer that is overtaken by this many others between a swap that the host did not confirm
    /// and its look at the row takes its write for lost and decides again. That keeps every
    /// guarantee of the tables; only the caller may be told of the second decision (already a
    /// member, already left).
    pub revisions_kept: usize,
    /// A count of the entries of a tree notes how far it has come after so many leaves; at least 1.
    pub leaves_a_step: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            leaf_entries: 256,
            branch_children: 256,
            revisions_kept: 32,
            leaves_a_step: 64,
        }
    }
}

/// After this many tries to change one row the request gives up with `STORE_UNAVAILABLE`.
const ATTEMPTS: usize = 100;

/// The longest wait between two tries, in milliseconds.
const LONGEST_BACKOFF_MS: u64 = 64;

/// A table, by the name that its rows' keys have in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table(&'static str);

impl Table {
    /// The table of a name, which is stored: it can never change.
    pub const fn named(name: &'static str) -> Self {
        Self(name)
    }

    /// The name.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// A row's name within its table: random, so that whoever made it is the only one who knows it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowId(#[serde(with = "serde_bytes")] [u8; 16]);

impl RowId {
    /// A name that nobody has.
    pub fn random(env: &impl Environment) -> Self {
        let mut id = [0; 16];
        env.fill_random(&mut id);
        Self(id)
    }

    #[cfg(test)]
    pub(crate) fn from_byte(byte: u8) -> Self {
        Self([byte; 16])
    }

    /// The name of the row that the cell of [`super::root`] points to.
    pub(super) fn of_root(pointer: [u8; 8]) -> Self {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&pointer);
        Self(id)
    }

    /// The row's key in the host's store. Only characters that every host store takes.
    pub fn key(self, table: Table) -> String {
        format!("{PREFIX}:{}:{self}", table.as_str())
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowId({self})")
    }
}

/// Decides about the value of a row, encoded: appends the one to be written to the row's beginning,
/// and gives `None` where the row is to stay as it is.
type Decide<'a> =
    dyn FnMut(&[u8], &dyn Fn() -> Result<Vec<u8>, Error>) -> Result<Option<Vec<u8>>, Error> + 'a;

/// What a decision about a row comes to.
#[derive(Debug)]
pub enum Change<R> {
    /// Leave the row as it is.
    Keep(R),
    /// Write the row as the decision has changed it.
    Write(R),
}

/// What an update of an encoded row came to.
enum Updated {
    /// The row is not there.
    Missing,
    /// It stays as it is.
    Kept,
    /// This one of the writes that were decided was done, the first being 0.
    Written(usize),
}

/// The rows of the tables, in a host's store.
#[derive(Debug)]
pub struct Rows<S, E> {
    /// The host's store.
    pub store: S,
    /// Time, waiting and random numbers.
    pub env: E,
    /// How large rows become.
    pub(crate) limits: Limits,
}

impl<S, E> Rows<S, E> {
    /// The rows in a store.
    pub fn new(store: S, env: E, limits: Limits) -> Self {
        Self { store, env, limits }
    }
}

impl<S: Store, E: Environment> Rows<S, E> {
    /// The value of a row that exists. May run again.
    ///
    /// # Errors
    /// `Unavailable` when the row is not there: a store that answers reads from a copy that lags
    /// behind may not have it yet.
    pub async fn read<T: DeserializeOwned>(&self, table: Table, id: RowId) -> Result<T, Error> {
        let key = id.key(table);
        match self.store.get(&key).await? {
            Some(bytes) => decode(&key, Row::from_bytes(&key, &bytes)?.value),
            None => Err(missing(&key)),
        }
    }

    /// Makes a row under a name that nobody else knows until another row is changed to name it.
    pub async fn create<T: Serialize>(&self, table: Table, value: T) -> Result<RowId, Error> {
        let id = RowId::random(&self.env);
        self.put(table, id, value).await?;
        Ok(id)
    }

    /// Writes a row that nobody else knows.
    pub(super) async fn put<T: Serialize>(
        &self,
        table: Table,
        id: RowId,
        value: T,
    ) -> Result<(), Error> {
        let key = id.key(table);
        let mut row = encode(&value, Row::begin(&[self.env.random_u64()])?)?;
        seal(&key, &mut row);
        Ok(self.store.set(&key, &row).await?)
    }

    /// Removes a row that was made by [`create`](Self::create) and never named. A failure leaves
    /// an orphan that nobody will ever read.
    pub async fn discard(&self, table: Table, id: RowId) {
        let _ = self.store.delete(&id.key(table)).await;
    }

    /// Removes a row that is erased: its value says so, which no writer changes any more. Whoever still
    /// knows its name finds that it is not there. May run again.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn remove(&self, table: Table, id: RowId) -> Result<(), Error> {
        Ok(self.store.delete(&id.key(table)).await?)
    }

    /// Changes a row: reads it, lets `decide` change it, writes it if it is still what was read,
    /// and starts over if it is not. This is the only place that retries.
    ///
    /// `decide` may run several times; only what its last run gave counts. The row is written at
    /// most once for one call, and when this returns `Ok` from a [`Change::Write`] it was.
    ///
    /// # Errors
    /// Whatever `decide` returns, with nothing written. `Unavailable` when the store does not
    /// answer (then it may have been written, or be written yet) or others win all the tries.
    pub async fn update<T, R>(
        &self,
        table: Table,
        id: RowId,
        decide: impl FnMut(&mut T) -> Result<Change<R>, Error>,
    ) -> Result<R, Error>
    where
        T: Serialize + DeserializeOwned,
    {
        let updated = self.update_unless_removed(table, id, decide).await?;
        updated.ok_or_else(|| missing(&id.key(table)))
    }

    /// [`update`](Self::update) of a row that others may have [removed](Self::remove); `None` if it is
    /// not there, by a read that is never stale.
    ///
    /// # Errors
    /// Those of [`update`](Self::update).
    pub async fn update_unless_removed<T, R>(
        &self,
        table: Table,
        id: RowId,
        mut decide: impl FnMut(&mut T) -> Result<Change<R>, Error>,
    ) -> Result<Option<R>, Error>
    where
        T: Serialize + DeserializeOwned,
    {
        let key = id.key(table);
        // What each write would be answered with.
        let mut answers = Vec::new();
        let mut kept = None;
        let written = self
            .update_encoded(&key, &mut |value, begin| {
                let mut value: T = decode(&key, value)?;
                Ok(match decide(&mut value)? {
                    Change::Keep(answer) => {
                        kept = Some(answer);
                        None
                    }
                    Change::Write(answer) => {
                        answers.push(answer);
                        Some(encode(&value, begin()?)?)
                    }
                })
            })
            .await?;
        let answer = match written {
            Updated::Missing => return Ok(None),
            Updated::Written(nth) => Some(answers.swap_remove(nth)),
            Updated::Kept => kept,
        };
        let undecided = || Error::fault("a row was decided about, and there is no decision");
        answer.ok_or_else(undecided).map(Some)
    }

    /// [`update`](Self::update) of a row of any type, so that all of them share this code.
    async fn update_encoded(&self, key: &str, decide: &mut Decide<'_>) -> Result<Updated, Error> {
        // The writes whose fate is not known yet.
        let mut pending: Vec<u64> = Vec::new();
        let mut wait = false;
        let (mut cas, mut bytes) = self.store.begin(key).await?;
        loop {
            let Some(found) = bytes else {
                return Ok(Updated::Missing);
            };
            let row = Row::from_bytes(key, &found)?;
            let mut revisions = row.revisions;
            if let Some(written) = pending.iter().position(|it| revisions.contains(it)) {
                return Ok(Updated::Written(written));
            }
            if wait {
                wait = false;
                self.back_off(pending.len()).await;
                (cas, bytes) = self.store.begin(key).await?;
                continue;
            }
            let revision = self.env.random_u64();
            revisions.insert(0, revision);
            revisions.truncate(self.limits.revisions_kept);
            let Some(mut changed) = decide(row.value, &|| Row::begin(&revisions))? else {
                return Ok(Updated::Kept);
            };
            seal(key, &mut changed);
            let swapped = self.store.swap(cas, &changed).await;
            (cas, bytes) = match swapped {
                Swapped::Won => return Ok(Updated::Written(pending.len())),
                Swapped::Failed(next, now) => (next, now),
                Swapped::Unknown(_) => self.store.begin(key).await?,
            };
            pending.push(revision);
            if pending.len() == ATTEMPTS {
                return Err(Error::Unavailable(format!(
                    "row {key} was changed by others {ATTEMPTS} times in a row"
                )));
            }
            // The first failure is often a success that the host does not tell; after that it is
            // contention.
            wait = pending.len() > 1;
        }
    }

    /// Waits a random while that grows with the number of tries, so that writers of one row spread
    /// out.
    pub(crate) async fn back_off(&self, tries: usize) {
        let most = (1 << tries.min(6)).min(LONGEST_BACKOFF_MS);
        self.env.sleep_ms(1 + self.env.random_u64() % most).await;
    }
}

fn missing(key: &str) -> Error {
    Error::Unavailable(format!("row {key} is not there"))
}
