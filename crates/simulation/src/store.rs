//! [`Store`] on the simulated host. Every call is a scheduling point.

use std::rc::Rc;

use anonymous_domains::store::{Store, StoreError, Swapped};

use crate::{
    call::{Answer, Bytes, Call},
    runtime::Runtime,
    store_model::StoreModel,
    store_state::Seen,
};

/// The store as one request sees it.
#[derive(Debug, Clone)]
pub struct SimStore {
    pub runtime: Rc<Runtime>,
}

/// A compare-and-swap that has read its row.
#[derive(Debug)]
pub struct SimCas {
    key: Rc<str>,
    seen: Seen,
}

fn to_vec(value: Option<Bytes>) -> Option<Vec<u8>> {
    value.map(|bytes| bytes.to_vec())
}

impl SimStore {
    /// Calls the host, and returns its answer when the scheduler has resumed the request.
    async fn call(&self, call: Call) -> Result<Answer, StoreError> {
        match self.runtime.call(call).await {
            Answer::Error(why) => Err(StoreError(why.to_owned())),
            answer => Ok(answer),
        }
    }

    async fn number(&self, call: Call) -> Result<Option<i64>, StoreError> {
        match self.call(call).await? {
            Answer::Number(number) => Ok(number),
            other => Err(unexpected(&other)),
        }
    }

    async fn read_for_swap(&self, key: Rc<str>) -> Result<(SimCas, Option<Vec<u8>>), StoreError> {
        match self.call(Call::Begin(key.clone())).await? {
            Answer::Begun(seen, value) => Ok((SimCas { key, seen }, to_vec(value))),
            other => Err(unexpected(&other)),
        }
    }
}

fn unexpected(answer: &Answer) -> StoreError {
    StoreError(format!("the simulated host answered {answer:?}"))
}

impl Store for SimStore {
    type Cas = SimCas;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match self.call(Call::Get(key.into())).await? {
            Answer::Value(value) => Ok(to_vec(value)),
            other => Err(unexpected(&other)),
        }
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.call(Call::Set(key.into(), value.into())).await?;
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.call(Call::Delete(key.into())).await?;
        Ok(())
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        let key: Rc<str> = key.into();
        let sum = match self.runtime.store_model() {
            // An increment reads and writes in two calls.
            StoreModel::DynamoDb | StoreModel::DynamoDbStale => {
                let read = self.number(Call::ReadNumber(key.clone())).await?;
                let sum = read.unwrap_or(0) + delta;
                self.number(Call::WriteNumber { key, sum, read }).await?
            }
            // An increment reads its result after it has written.
            StoreModel::CosmosDb => {
                self.number(Call::Increment(key.clone(), delta)).await?;
                self.number(Call::ReadNumber(key)).await?
            }
            _ => self.number(Call::Increment(key, delta)).await?,
        };
        sum.ok_or_else(|| StoreError("a number is gone".to_owned()))
    }

    async fn begin(&self, key: &str) -> Result<(Self::Cas, Option<Vec<u8>>), StoreError> {
        self.read_for_swap(key.into()).await
    }

    async fn swap(&self, cas: Self::Cas, value: &[u8]) -> Swapped<Self::Cas> {
        let SimCas { key, seen } = cas;
        let swap = Call::Swap(key.clone(), seen, value.into());
        match self.call(swap).await {
            Ok(Answer::Swapped(true)) => Swapped::Won,
            Ok(_) => match self.read_for_swap(key).await {
                Ok((cas, value)) => Swapped::Failed(cas, value),
                Err(error) => Swapped::Unknown(error),
            },
            Err(error) => Swapped::Unknown(error),
        }
    }
}
