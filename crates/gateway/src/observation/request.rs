//! A request that is being answered, as those see it that observe it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use super::{
    audit::AuditLog,
    event::Event,
    metrics::{Metrics, Operation, StoreOutcome},
    request_id::RequestId,
    traces::{StoreSpan, Trace, Traces},
};

/// Where everything that operators can watch goes. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Observer {
    /// What is counted and measured.
    pub metrics: Metrics,
    /// Where events are recorded, if they are.
    pub audit: Option<AuditLog>,
    /// Where traces are sent, if they are.
    pub traces: Option<Traces>,
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Observed {
    /// Its id.
    pub id: RequestId,
    trace: Option<Trace>,
    /// How many calls of the store have not ended.
    store_calls: AtomicUsize,
    /// Whether an event of it is missing in the audit log, without which it may not be answered.
    is_unrecorded: AtomicBool,
}

impl Observed {
    /// The request of this id, and its part of a trace.
    pub fn new(id: RequestId, trace: Option<Trace>) -> Self {
        Self {
            id,
            trace,
            store_calls: AtomicUsize::new(0),
            is_unrecorded: AtomicBool::new(false),
        }
    }

    /// The component gets it.
    pub fn begin_component(&self) {
        if let Some(trace) = &self.trace {
            trace.begin_component();
        }
    }

    /// The component is done with it.
    pub fn end_component(&self) {
        if let Some(trace) = &self.trace {
            trace.end_component();
        }
    }

    /// It was answered with this status.
    pub fn end(&self, status: u16) {
        if let Some(trace) = &self.trace {
            trace.end(status);
        }
    }

    /// Whether an event of it is missing in the audit log, without which it may not be answered if
    /// it changed something.
    pub fn is_unrecorded(&self) -> bool {
        self.is_unrecorded.load(Ordering::Relaxed)
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
    span: Option<StoreSpan>,
}

impl Observer {
    /// Whether a request may be passed on that changes something: not if the audit log is known not
    /// to work.
    pub fn may_change(&self) -> bool {
        self.audit.as_ref().is_none_or(AuditLog::may_change)
    }

    /// Counts and records the event on a line of the component's. Returns whether it is one.
    pub fn event(&self, line: &[u8], request: &Current) -> bool {
        let Some(event) = Event::parse(line) else {
            return false;
        };
        event.count(&self.metrics);
        if let Some(audit) = &self.audit {
            let request = request.get();
            let id = request.as_deref().map(|request| &request.id);
            if !audit.record(&event, id)
                && let Some(request) = &request
            {
                request.is_unrecorded.store(true, Ordering::Relaxed);
            }
        }
        tracing::debug!(target: "component", "{}", event.text());
        true
    }

    /// A call of the store for a request begins.
    pub fn begin_store_call(&self, operation: Operation, request: &Current) -> StoreCall<'_> {
        let request = request.get();
        if let Some(request) = &request {
            request.store_calls.fetch_add(1, Ordering::Relaxed);
        }
        let trace = request
            .as_deref()
            .and_then(|request| request.trace.as_ref());
        StoreCall {
            observer: self,
            span: trace.and_then(|trace| trace.begin_store_call(operation)),
            request,
            operation,
            start: Instant::now(),
        }
    }
}

impl StoreCall<'_> {
    /// It ended.
    pub fn end(mut self, outcome: StoreOutcome) {
        if let Some(span) = self.span.take() {
            span.end(outcome);
        }
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
