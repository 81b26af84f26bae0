//! [`Store`] over `wasi:keyvalue@0.2.0-draft2`.

use super::bindings::wasi::keyvalue::{
    atomics::{self, CasError},
    store::{self, Bucket},
};
use crate::store::{Store, StoreError, Swapped};

/// The bucket that the tables live in. The only one that every host has.
const BUCKET: &str = "default";

/// The host's key-value store, or why it cannot be opened.
#[derive(Debug)]
pub struct KeyValue(Result<Bucket, StoreError>);

impl KeyValue {
    /// Opens the bucket, once for an instance: on some hosts that is a round trip.
    pub fn open() -> Self {
        Self(store::open(BUCKET).map_err(StoreError::from))
    }

    /// Whether the bucket could be opened.
    pub fn is_open(&self) -> bool {
        self.0.is_ok()
    }

    fn bucket(&self) -> Result<&Bucket, StoreError> {
        self.0.as_ref().map_err(Clone::clone)
    }
}

impl Store for KeyValue {
    type Cas = atomics::Cas;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.bucket()?.get(key)?)
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        Ok(self.bucket()?.set(key, value)?)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        Ok(self.bucket()?.delete(key)?)
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        Ok(atomics::increment(self.bucket()?, key, delta)?)
    }

    async fn begin(&self, key: &str) -> Result<(Self::Cas, Option<Vec<u8>>), StoreError> {
        let cas = atomics::Cas::new(self.bucket()?, key)?;
        // Without a look at the row, some hosts would write whatever is there.
        let current = cas.current()?;
        Ok((cas, current))
    }

    async fn swap(&self, cas: Self::Cas, value: &[u8]) -> Swapped<Self::Cas> {
        match atomics::swap(cas, value) {
            Ok(()) => Swapped::Won,
            // The new handle may not have looked yet, so look.
            Err(CasError::CasFailed(next)) => match next.current() {
                Ok(current) => Swapped::Failed(next, current),
                Err(error) => Swapped::Unknown(error.into()),
            },
            Err(CasError::StoreError(error)) => Swapped::Unknown(error.into()),
        }
    }
}

impl From<store::Error> for StoreError {
    fn from(error: store::Error) -> Self {
        Self(match error {
            store::Error::NoSuchStore => "no such store".into(),
            store::Error::AccessDenied => "access denied".into(),
            store::Error::Other(what) => what,
        })
    }
}
