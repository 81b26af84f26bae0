//! [`Host`] and [`Store`] over `wasi:keyvalue@0.2.0-draft2`.

use std::sync::OnceLock;

use self::bindings::wasi::keyvalue::{
    atomics::{self, CasError},
    store::{self, Bucket},
};
use crate::store::{Host, Store, StoreError, Swapped};

/// What the host offers, generated from the server's `wit/`. The component imports only what is used.
mod bindings {
    wit_bindgen::generate!({ world: "imports", path: "../../wit", generate_all });
}

/// The host of this component.
pub struct Wasi;

impl Host for Wasi {
    type Store = Bucket;

    fn open(&self) -> Result<Bucket, StoreError> {
        Ok(store::open("default")?)
    }

    fn random(&self) -> u64 {
        // The host traps when it has no random numbers to give.
        getrandom::u64().expect("wasi:random always answers")
    }

    fn instance(&self) -> u64 {
        static INSTANCE: OnceLock<u64> = OnceLock::new();
        *INSTANCE.get_or_init(|| self.random())
    }
}

impl Store for Bucket {
    type Cas = atomics::Cas;

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(Bucket::get(self, key)?)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        Ok(Bucket::set(self, key, value)?)
    }

    fn delete(&self, key: &str) -> Result<(), StoreError> {
        Ok(Bucket::delete(self, key)?)
    }

    fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        Ok(atomics::increment(self, key, delta)?)
    }

    fn begin(&self, key: &str) -> Result<(Self::Cas, Option<Vec<u8>>), StoreError> {
        let cas = atomics::Cas::new(self, key)?;
        let current = cas.current()?;
        Ok((cas, current))
    }

    fn swap(&self, cas: Self::Cas, value: &[u8]) -> Swapped<Self::Cas> {
        match atomics::swap(cas, value) {
            Ok(()) => Swapped::Won,
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
