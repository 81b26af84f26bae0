//! How instances of the component are made, reused and given up.
//!
//! One instance serves one request at a time: the key-value calls of `wasi:keyvalue` block
//! their whole instance, so a second request in it would only wait, and a trap ends but one
//! request. An idle instance is reused.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant as StdInstant};

use tokio::time::{Instant as TokioInstant, Sleep};
use wasmtime::component::GuestTaskId;
use wasmtime::{Store, StoreContextMut};
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::handler::{
    HandlerState, Instance as HandlerInstance, Proxy, ProxyHandler, ShouldAccept, WorkerExpiration,
    WorkerState, WorkerStatus,
};

use crate::engine::Program;
use crate::host::{Instance, Shared};

/// An instance is replaced after so many requests: what it leaked, it leaked for so long.
const MAX_REQUESTS: usize = 1000;

/// An instance that had nothing to do for so long is given up.
const MAX_IDLE: Duration = Duration::from_secs(5);

/// Hands requests to instances of the component.
pub type Handler = ProxyHandler<Workers>;

/// Makes instances.
pub struct Workers {
    program: Arc<Program>,
    shared: Shared,
    request_timeout: Duration,
    shutting_down: Arc<AtomicBool>,
}

impl Workers {
    /// Makes instances of `program` that must answer within `request_timeout`.
    pub fn new(program: Arc<Program>, shared: Shared, request_timeout: Duration) -> Self {
        Self {
            program,
            shared,
            request_timeout,
            shutting_down: Arc::default(),
        }
    }

    /// From now on an instance that ends before its time is no failure.
    pub fn shut_down(&self) {
        self.shutting_down.store(true, Ordering::Relaxed);
    }
}

impl HandlerState for Workers {
    type StoreData = Instance;
    type WorkerExpiration = Expiration;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<HandlerInstance<Instance, Expiration, Worker>> {
        let instance = Instance::new(self.shared.clone());
        let mut store = Store::new(self.program.engine(), instance);
        store.limiter(|instance| instance.limits());
        // At the end of each epoch a guest that computes lets others run; that is when
        // `Expiration` gets its turn to stop it.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let service = self.program.service().instantiate_async(&mut store);
        let service = match tokio::time::timeout(self.request_timeout, service).await {
            Ok(service) => service?,
            Err(_) => return Err(wasmtime::format_err!("instantiation took too long")),
        };
        Ok(HandlerInstance {
            store,
            proxy: Proxy::P3(service),
            view: Instance::http,
            expiration: Expiration {
                timer: Box::pin(tokio::time::sleep(self.request_timeout)),
                request_timeout: self.request_timeout,
            },
            state: Worker {
                request_timeout: self.request_timeout,
                shutting_down: Arc::clone(&self.shutting_down),
            },
        })
    }
}

/// Decides what one instance takes on.
pub struct Worker {
    request_timeout: Duration,
    shutting_down: Arc<AtomicBool>,
}

impl WorkerState for Worker {
    type StoreData = Instance;
    type RequestData = ();

    fn should_accept_request(&self, concurrent_count: usize, total_count: usize) -> ShouldAccept {
        if total_count >= MAX_REQUESTS {
            ShouldAccept::Never
        } else if concurrent_count > 0 {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _store: StoreContextMut<'_, Instance>,
        (): (),
        _task: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + 'static + Send + Sync>> {
        Box::pin(tokio::time::sleep(self.request_timeout))
    }

    fn drop(&self, _store: Store<Instance>, result: wasmtime::Result<()>) {
        let Err(error) = result else { return };
        if self.shutting_down.load(Ordering::Relaxed) {
            return;
        }
        // The cause is a line; the stack above it is many, and rarely says more of a component
        // without names.
        tracing::error!(reason = %error.root_cause(), "an instance of the component failed");
        tracing::debug!(backtrace = %format!("{error:#}"), "where it failed");
    }
}

/// Ends an instance that is idle, or that keeps a request waiting, for too long. Unlike the
/// timer of a request this one is also seen while the guest computes or waits for the store.
pub struct Expiration {
    timer: Pin<Box<Sleep>>,
    request_timeout: Duration,
}

impl WorkerExpiration for Expiration {
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        status: WorkerStatus,
        start: StdInstant,
    ) -> Poll<()> {
        let allowed = match status {
            WorkerStatus::Idle => MAX_IDLE,
            WorkerStatus::Requests | WorkerStatus::PostReturn => self.request_timeout,
        };
        let deadline = TokioInstant::from_std(start + allowed);
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        self.timer.as_mut().poll(cx)
    }
}
