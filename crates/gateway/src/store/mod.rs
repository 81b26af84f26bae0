//! The key-value store behind the component's `wasi:keyvalue` imports.
//!
//! [`Store`] is the contract; [`sqlite`] keeps it in one file, [`redis`] in a Redis that several
//! gateways share. Every value carries a [`Version`] that no two writes share, so a
//! compare-and-swap compares writes rather than bytes: a value that was changed and changed back
//! does not pass (no ABA). A *missing* key has no version: a swap from missing passes also if the
//! key was created and deleted again in between.

pub mod redis;
pub mod sqlite;

use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

/// The longest key that the gateway stores, in bytes of UTF-8.
pub const MAX_KEY_BYTES: usize = 1024;

/// The longest value that the gateway stores, in bytes.
pub const MAX_VALUE_BYTES: usize = 64 * 1024 * 1024;

/// How many keys one page of [`Store::list_keys`] holds at most.
pub const KEYS_PER_PAGE: usize = 1000;

/// Names one write of one value. Opaque: versions have no order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Version(i64);

/// A stored value and the write that put it there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The bytes.
    pub value: Vec<u8>,
    /// The write.
    pub version: Version,
}

/// How a compare-and-swap ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Swap {
    /// The value was as expected, and now is the new one.
    Swapped,
    /// The value was another one, and still is: this one (`None`: the key is missing).
    Conflict(Option<Entry>),
}

/// One page of keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyPage {
    /// Keys, at most [`KEYS_PER_PAGE`].
    pub keys: Vec<String>,
    /// Where the next page begins, if there is one.
    pub cursor: Option<String>,
}

/// Why the store did not do as it was asked. The texts are short, free of keys and values, and
/// may be shown to the component.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum StoreError {
    /// The key has more than [`MAX_KEY_BYTES`] bytes.
    #[error("the key is longer than {MAX_KEY_BYTES} bytes")]
    KeyTooLong,
    /// The value has more than [`MAX_VALUE_BYTES`] bytes.
    #[error("the value is longer than {MAX_VALUE_BYTES} bytes")]
    ValueTooLong,
    /// An increment met a value that is not a decimal 64-bit integer.
    #[error("the value is not a number")]
    NotANumber,
    /// An increment would leave the range of a signed 64-bit integer.
    #[error("the number would overflow")]
    Overflow,
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
    /// It could not be begun in time, since others use the store: nothing was written.
    #[error("the store is busy")]
    Busy,
    /// The store failed; whether a write took effect is unknown.
    #[error("{0}")]
    Unavailable(String),
}

/// A durable key-value store with atomic updates, shared by all instances of the component.
///
/// Every write is durable before it is answered, and every read that starts after an answer
/// sees the write. After [`StoreError::Unavailable`] a write may or may not have happened, or may
/// happen yet; after every other error it has not.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The value of `key`, or `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Busy`] or [`StoreError::Closed`], as all methods.
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError>;

    /// Whether `key` has a value.
    ///
    /// # Errors
    ///
    /// As [`Store::get`].
    async fn exists(&self, key: &str) -> Result<bool, StoreError>;

    /// Keys in ascending order of their bytes; `cursor` is the one that the page before gave.
    ///
    /// # Errors
    ///
    /// As [`Store::get`].
    async fn list_keys(&self, cursor: Option<&str>) -> Result<KeyPage, StoreError>;

    /// Makes `value` the value of `key`, whatever it was.
    ///
    /// # Errors
    ///
    /// As [`Store::get`]; [`StoreError::KeyTooLong`], [`StoreError::ValueTooLong`].
    async fn set(&self, key: &str, value: Vec<u8>) -> Result<(), StoreError>;

    /// Removes `key`; a missing one is no error.
    ///
    /// # Errors
    ///
    /// As [`Store::get`].
    async fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// Adds `delta` to the number that `key` holds (a missing key counts as 0) and returns the
    /// sum. The number is kept as ASCII decimal digits, with a minus sign where it is negative
    /// and without leading zeros, as [`Store::get`] shows; nothing else is a number.
    ///
    /// # Errors
    ///
    /// As [`Store::set`]; [`StoreError::NotANumber`], [`StoreError::Overflow`]. The value then
    /// is as it was.
    async fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError>;

    /// Makes `value` the value of `key` if its version is `expected`, or, where `expected` is
    /// `None`, if the key is missing. Of several concurrent swaps that expect the same, exactly
    /// one is answered [`Swap::Swapped`].
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

/// A store whose every call ends in time.
pub struct Bounded<S> {
    store: S,
    limit: Duration,
}

impl<S> Bounded<S> {
    /// Bounds the calls of `store`: each ends within `limit`, if need be with
    /// [`StoreError::Unavailable`].
    pub fn new(store: S, limit: Duration) -> Self {
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
impl<S: Store> Store for Bounded<S> {
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
