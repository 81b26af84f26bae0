//! Rows: values with the revisions of their last writers, changed by compare-and-swap.

use std::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Store, Swapped, known::KnownDomains};
use crate::{
    error::Error,
    knobs::{Mutation, broken, knobs},
    ports::Environment,
};

/// What every key of ours begins with, so that a store can be shared with other programs.
pub const PREFIX: &str = "anonymous-domains";

/// How many writers' revisions a row remembers: 32.
///
/// A writer that is overtaken by this many others between a swap that the host did not confirm and
/// its look at the row takes its write for lost and decides anew. That keeps every promise of the
/// tables; only the caller may be told of the second decision (already a member, already left).
fn revisions_kept() -> usize {
    knobs().revisions_kept
}

/// After this many tries to change one row the request gives up with `STORE_UNAVAILABLE`.
const ATTEMPTS: usize = 100;

/// The longest wait between two tries, in milliseconds.
const LONGEST_BACKOFF_MS: u64 = 64;

/// The first byte of every row: the version of its form.
const FORM: u8 = 2;

/// The kinds of rows. The names of the three tables are the reference implementation's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Which domains there are, by name.
    Directory,
    /// A domain's settings, and where its other rows are.
    DomainServerInfo,
    /// A domain's machines.
    DomainMembership,
    /// A domain's keys.
    DomainKeys,
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
        format!("{PREFIX}:{table:?}:{self:?}")
    }
}

impl fmt::Debug for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// A row as it is stored: `FORM`, then this in postcard's encoding.
#[derive(Serialize, Deserialize)]
struct Row<T> {
    /// The newest first.
    revisions: Vec<u64>,
    value: T,
}

impl<T: Serialize> Row<T> {
    fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        postcard::to_extend(self, vec![FORM])
            .map_err(|error| Error::fault(format!("a row cannot be encoded: {error}")))
    }
}

impl<T: DeserializeOwned> Row<T> {
    fn from_bytes(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        match bytes.split_first() {
            Some((&FORM, rest)) => postcard::from_bytes(rest)
                .map_err(|error| Error::fault(format!("row {key} cannot be decoded: {error}"))),
            _ => Err(Error::fault(format!(
                "row {key} has a form that this version does not know"
            ))),
        }
    }
}

/// What a decision about a row comes to.
#[derive(Debug)]
pub enum Change<R> {
    /// Leave the row as it is.
    Keep(R),
    /// Write the row as the decision has changed it.
    Write(R),
}

/// The rows of the tables, in a host's store.
#[derive(Debug)]
pub struct Rows<S, E> {
    /// The host's store.
    pub store: S,
    /// Time, patience and chance.
    pub env: E,
    /// Where the directory said that domains are; for as long as this lives, which is an instance's
    /// life.
    pub(crate) known_domains: KnownDomains,
}

impl<S, E> Rows<S, E> {
    /// The rows in a store.
    pub fn new(store: S, env: E) -> Self {
        Self {
            store,
            env,
            known_domains: KnownDomains::default(),
        }
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
            Some(bytes) => Ok(Row::from_bytes(&key, &bytes)?.value),
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
        let row = Row {
            revisions: vec![self.env.random_u64()],
            value,
        };
        Ok(self.store.set(&id.key(table), &row.to_bytes()?).await?)
    }

    /// Removes a row that was made by [`create`](Self::create) and never named. A failure leaves
    /// an orphan that nobody will ever read.
    pub async fn discard(&self, table: Table, id: RowId) {
        let _ = self.store.delete(&id.key(table)).await;
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
        mut decide: impl FnMut(&mut T) -> Result<Change<R>, Error>,
    ) -> Result<R, Error>
    where
        T: Serialize + DeserializeOwned,
    {
        let key = id.key(table);
        // The writes whose fate is not known yet, and what each would be answered with.
        let mut pending: Vec<(u64, R)> = Vec::new();
        let mut wait = false;
        let (mut cas, mut bytes) = self.store.begin(&key).await?;
        loop {
            let mut row: Row<T> = Row::from_bytes(&key, &bytes.ok_or_else(|| missing(&key))?)?;
            if let Some(written) = pending
                .iter()
                .position(|(revision, _)| row.revisions.contains(revision))
            {
                return Ok(pending.swap_remove(written).1);
            }
            if wait {
                wait = false;
                self.back_off(pending.len()).await;
                (cas, bytes) = self.store.begin(&key).await?;
                continue;
            }
            let answer = match decide(&mut row.value)? {
                Change::Keep(answer) => return Ok(answer),
                Change::Write(answer) => answer,
            };
            let revision = self.env.random_u64();
            if !broken(Mutation::NoRevisions) {
                row.revisions.insert(0, revision);
            }
            row.revisions.truncate(revisions_kept());
            let swapped = self.store.swap(cas, &row.to_bytes()?).await;
            let forgotten = match &swapped {
                Swapped::Won => return Ok(answer),
                Swapped::Failed(..) => broken(Mutation::TrustFailedSwap),
                Swapped::Unknown(_) => broken(Mutation::UnknownIsLost),
            };
            (cas, bytes) = match swapped {
                Swapped::Failed(next, now) => (next, now),
                _ => self.store.begin(&key).await?,
            };
            pending.push((if forgotten { 0 } else { revision }, answer));
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
    pub(super) async fn back_off(&self, tries: usize) {
        let most = (1 << tries.min(6)).min(LONGEST_BACKOFF_MS);
        self.env.sleep_ms(1 + self.env.random_u64() % most).await;
    }
}

fn missing(key: &str) -> Error {
    Error::Unavailable(format!("row {key} is not there"))
}
