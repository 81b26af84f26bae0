//! The key-value store behind the component's `wasi:keyvalue` imports.
//!
//! [`Store`] is the contract. [`sqlite`] implements it with one file, [`redis`] and [`postgres`] with
//! a server that several gateways share ([`shared`]). Every value has a [`Version`] that is different for each write. So a
//! compare-and-swap compares writes, not bytes: it fails if the value was changed and changed back
//! (no ABA problem). A *missing* key has no version: a swap that expects a missing key also succeeds
//! if the key was created and deleted in between.

pub mod address;
pub mod postgres;
pub mod redis;
mod repeated;
pub mod shared;
pub mod sqlite;

use std::{sync::Arc, time::Duration};

use thiserror::Error;

pub use async_trait::async_trait;

/// The longest key that the gateway stores, in bytes of UTF-8.
pub const MAX_KEY_BYTES: usize = 1024;

/// The longest value that the gateway stores, in bytes.
pub const MAX_VALUE_BYTES: usize = 64 * 1024 * 1024;

/// How many keys one page of [`Store::list_keys`] holds at most.
pub const KEYS_PER_PAGE: usize = 1000;

/// Identifies one write of one value. Opaque: versions have no order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Version(i64);

impl Version {
    /// The version that a store calls by this number. A key must not get the same number twice, also
    /// if it was deleted in between, unless that happens by chance once in many billions of writes.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> i64 {
        self.0
    }
}

/// A stored value and its version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The bytes.
    pub value: Vec<u8>,
    /// Its version.
    pub version: Version,
}

/// The result of a compare-and-swap.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Swap {
    /// The version was as expected, and the value is now the new one.
    Swapped,
    /// The version was a different one, and nothing changed. This is the current entry (`None`: the
    /// key is missing).
    Conflict(Option<Entry>),
}

/// One page of keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyPage {
    /// Keys, at most [`KEYS_PER_PAGE`].
    pub keys: Vec<String>,
    /// The start of the next page, if there is one.
    pub cursor: Option<String>,
}

/// Why an operation failed. The texts are short, contain no keys or values, and may be shown to the
/// component.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum StoreError {
    /// The key has more than [`MAX_KEY_BYTES`] bytes.
    #[error("the key is longer than {MAX_KEY_BYTES} bytes")]
    KeyTooLong,
    /// The value has more than [`MAX_VALUE_BYTES`] bytes.
    #[error("the value is longer than {MAX_VALUE_BYTES} bytes")]
    ValueTooLong,
    /// The value to increment is not a decimal 64-bit integer.
    #[error("the value is not a number")]
    NotANumber,
    /// An increment would leave the range of a signed 64-bit integer.
    #[error("the number would overflow")]
    Overflow,
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
    /// The operation could not begin in time, because others use the store. Nothing was written.
    #[error("the store is busy")]
    Busy,
    /// The store failed. Whether a write took effect is unknown.
    #[error("{0}")]
    Unavailable(String),
    /// The store failed as it will fail again until an operator does something: its disk is full,
    /// cannot be written, or is damaged. Whether a write took effect is unknown.
    #[error("{0}")]
    Broken(String),
}

/// A durable key-value store with atomic updates, shared by all instances of the component.
///
/// Every write is durable before it returns, and every read that starts after that sees the write.
/// After [`StoreError::Unavailable`] or [`StoreError::Broken`] a write may have happened or not, or may
/// still happen. After every other error it has not happened.
///
/// An implementation has the attribute [`async_trait`](macro@async_trait), as the trait has.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The value of `key`, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Broken`], [`StoreError::Busy`] or
    /// [`StoreError::Closed`], as all methods.
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError>;

    /// Whether `key` has a value.
    ///
    /// # Errors
    ///
    /// As [`Store::get`].
    async fn exists(&self, key: &str) -> Result<bool, StoreError>;

    /// Keys in ascending order of their bytes. `cursor` comes from the previous page.
    ///
    /// # Errors
    ///
    /// As [`Store::get`].
    async fn list_keys(&self, cursor: Option<&str>) -> Result<KeyPage, StoreError>;

    /// Sets the value of `key`.
    ///
    /// # Errors
    ///
    /// As [`Store::get`]; [`StoreError::KeyTooLong`], [`StoreError::ValueTooLong`].
    async fn set(&self, key: &str, value: Vec<u8>) -> Result<(), StoreError>;

    /// Removes `key`. It is no error if the key is missing.
    ///
    /// # Errors
    ///
    /// As [`Store::get`].
    async fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// Adds `delta` to the number in `key` (0 if the key is missing) and returns the sum. The number
    /// is stored as ASCII decimal digits, with a minus sign if it is negative and without leading
    /// zeros, which [`Store::get`] returns. Nothing else is a number.
    ///
    /// # Errors
    ///
    /// As [`Store::set`]; [`StoreError::NotANumber`], [`StoreError::Overflow`]. Then the value did
    /// not change.
    async fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError>;

    /// Sets the value of `key` if its version is `expected`, or, if `expected` is `None`, if the key
    /// is missing. Of several concurrent swaps that expect the same version, exactly one returns
    /// [`Swap::Swapped`].
    ///
    /// # Errors
    ///
    /// As [`Store::set`].
    async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<Version>,
        value: Vec<u8>,
    ) -> Result<Swap, StoreError>;
}

/// A store with a time limit on every call.
pub struct Bounded {
    store: Arc<dyn Store>,
    limit: Duration,
}

impl Bounded {
    /// Limits the calls of `store`: each that takes longer than `limit` fails with
    /// [`StoreError::Unavailable`].
    pub fn new(store: Arc<dyn Store>, limit: Duration) -> Self {
        Self { store, limit }
    }

    async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(self.limit, call).await {
            Ok(result) => result,
            Err(_) => {
                tracing::error!("the store did not answer in time");
                Err(StoreError::Unavailable("the store did not answer".into()))
            }
        }
    }
}

#[async_trait]
impl Store for Bounded {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.within(self.store.get(key)).await
    }

    async fn exists(&self, key: &str) -> Result<bool, StoreError> {
        self.within(self.store.exists(key)).await
    }

    async fn list_keys(&self, cursor: Option<&str>) -> Result<KeyPage, StoreError> {
        self.within(self.store.list_keys(cursor)).await
    }

    async fn set(&self, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        self.within(self.store.set(key, value)).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.within(self.store.delete(key)).await
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        self.within(self.store.increment(key, delta)).await
    }

    async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<Version>,
        value: Vec<u8>,
    ) -> Result<Swap, StoreError> {
        self.within(self.store.compare_and_swap(key, expected, value))
            .await
    }
}

/// A version that no other write has: 64 random bits, as SQLite's own `random()` gives.
fn random_version() -> Result<i64, StoreError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|_| StoreError::Unavailable("there are no random numbers".into()))?;
    Ok(i64::from_ne_bytes(bytes))
}

/// Checks a key's length.
fn check_key(key: &str) -> Result<(), StoreError> {
    if key.len() > MAX_KEY_BYTES {
        return Err(StoreError::KeyTooLong);
    }
    Ok(())
}

/// Checks a value's length.
fn check_value(value: &[u8]) -> Result<(), StoreError> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(StoreError::ValueTooLong);
    }
    Ok(())
}

#[cfg(test)]
mod bounded;
#[cfg(test)]
mod contract;
#[cfg(test)]
pub(crate) mod testing;
