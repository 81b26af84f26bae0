//! A request that is being answered, as those see it that observe it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use super::{
    Observer, RequestId,
    metrics::{Operation, StoreOutcome},
};

/// A request that is being answered.
#[derive(Debug)]
pub struct Observed {
    /// Its id.
    pub id: RequestId,
}

impl Observed {
    /// The request of this id.
    pub fn new(id: RequestId) -> Self {
        Self { id }
    }
}

/// The request that an instance of the component answers now, if it does. An instance answers one
/// at a time. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Current(Arc<Mutex<Option<Arc<Observed>>>>);

impl Current {
    /// From now on the instance answers this request, or none.
    pub fn set(&self, request: Option<Arc<Observed>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = request;
    }

    /// The request.
    pub fn get(&self) -> Option<Arc<Observed>> {
        let request = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        request.clone()
    }
}

/// A call of the store.
#[derive(Debug)]
#[must_use]
pub struct StoreCall<'a> {
    observer: &'a Observer,
    operation: Operation,
    start: Instant,
}

impl Observer {
    /// A call of the store begins.
    pub fn begin_store_call(&self, operation: Operation, _request: &Current) -> StoreCall<'_> {
        StoreCall {
            observer: self,
            operation,
            start: Instant::now(),
        }
    }
}

impl StoreCall<'_> {
    /// It ended.
    pub fn end(self, outcome: StoreOutcome) {
        let metrics = &self.observer.metrics;
        metrics.store_operation(self.operation, outcome, self.start.elapsed());
    }
}
