//! A request that is being answered, as those see it that observe it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
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
    /// How many calls of the store have not ended.
    store_calls: AtomicUsize,
}

impl Observed {
    /// The request of this id.
    pub fn new(id: RequestId) -> Self {
        Self {
            id,
            store_calls: AtomicUsize::new(0),
        }
    }

    /// Whether the component waits for the store.
    pub fn waits_for_store(&self) -> bool {
        self.store_calls.load(Ordering::Relaxed) > 0
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
    request: Option<Arc<Observed>>,
    operation: Operation,
    start: Instant,
}

impl Observer {
    /// A call of the store for a request begins.
    pub fn begin_store_call(&self, operation: Operation, request: &Current) -> StoreCall<'_> {
        let request = request.get();
        if let Some(request) = &request {
            request.store_calls.fetch_add(1, Ordering::Relaxed);
        }
        StoreCall {
            observer: self,
            request,
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

impl Drop for StoreCall<'_> {
    fn drop(&mut self) {
        if let Some(request) = &self.request {
            request.store_calls.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
