//! The host's key-value store, and how rows live in it.
//!
//! Host stores are weaker than their interface reads (docs/internals/hosts.md). Three rules make the
//! tables hold on all of them with operations on single rows only:
//!
//! 1. **A row changes by compare-and-swap alone** ([`rows::Rows::update`]). A swap that did not
//!    report success may still have written, so every row carries the random revisions of its last
//!    writers: the writer reads the row back and looks for its own. That also ends ABA.
//! 2. **A row is born under a random name that only its maker knows** ([`rows::Rows::create`]) and
//!    becomes part of the tables when a row that exists is swapped to name it. Nobody ever races
//!    to create a row, which some stores cannot do safely.
//! 3. **The one row that has no parent**, the root of the directory of domains, is named by a cell
//!    that is written once in a store's life ([`root`]).

pub mod health;
pub mod root;
pub mod row;
pub mod rows;
pub mod tree;

use crate::error::Error;

/// The host's key-value store, as `wasi:keyvalue@0.2.0-draft2` offers it.
///
/// An implementation promises no more than the weakest host does: see each function.
#[expect(
    async_fn_in_trait,
    reason = "a component has one thread, so no future needs to be Send"
)]
pub trait Store {
    /// A compare-and-swap that has read its row and may be swapped once.
    type Cas;

    /// The value of a key, `None` where there is none. May run again.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes a value whatever is there. Only for a key that no other writer knows, or that any
    /// writer may write over ([`health`]).
    async fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError>;

    /// Removes a key. Only for a key that no other writer knows, or that others would change by swaps
    /// alone: a swap that had read it writes nothing then.
    async fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// Adds to a number and gives the sum; a missing number is 0. On some hosts, a key that holds
    /// anything but a number breaks the whole store, and two callers may be given the same sum:
    /// only [`root`] uses this.
    async fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError>;

    /// Begins a compare-and-swap: reads the row, strongly, and remembers what it read.
    async fn begin(&self, key: &str) -> Result<(Self::Cas, Option<Vec<u8>>), StoreError>;

    /// Writes `value` if the row is still what [`begin`](Self::begin) read.
    ///
    /// From a missing row some hosts write in any case.
    async fn swap(&self, cas: Self::Cas, value: &[u8]) -> Swapped<Self::Cas>;
}

/// What a swap came to.
#[derive(Debug)]
pub enum Swapped<Cas> {
    /// The value is written.
    Won,
    /// The host said that it failed. **It may have been written all the same**: here is the row as
    /// it is now, and the next compare-and-swap on it.
    Failed(Cas, Option<Vec<u8>>),
    /// The host did not answer, or the row could not be read back. The value may have been
    /// written, or may be written yet.
    Unknown(StoreError),
}

/// The store could not be reached or did not do as it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.0)
    }
}
