//! How instances of the component are made, given requests, reused and given up.
//!
//! An instance serves one request at a time: nobody else has it until the answer was taken from
//! it in whole and it has nothing left to do. The key-value calls of `wasi:keyvalue` block their
//! whole instance, so a second request in it would only wait, and a trap would end both. An
//! instance computes only in its turn ([`crate::cores`]), and a request gets one, an idle one if
//! there is one, when its turn comes: requests that wait for a core need no instance.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Limited};
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime_wasi_http::p3;
use wasmtime_wasi_http::p3::bindings::Service;
use wasmtime_wasi_http::{WasiBody, WasiHttpView as _};

use crate::cores::{Cores, Turn};
use crate::engine::Program;
use crate::host::memory::{OutOfMemory, Reclaim};
use crate::host::{Instance, Shared};
use crate::idle::Idle;

/// An instance is replaced after so many requests: what it leaked, it leaked for so long.
const MAX_REQUESTS: usize = 1000;

/// An instance that had nothing to do for so long is given up.
const MAX_IDLE: Duration = Duration::from_secs(5);

/// The longest response that the component may give, in bytes.
const MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;

/// Why the component gave no answer. The log says more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// There was no room for an instance, or for one to become as large as it had to.
    NoRoom,
    /// It took too long.
    TimedOut,
    /// It failed.
    Failed,
}

/// An answer, or why there is none.
pub type Answer = Result<Response<Bytes>, Failure>;

/// Gives requests to instances of the component. Clones share the instances.
#[derive(Clone)]
pub struct Workers {
    program: Arc<Program>,
    shared: Shared,
    request_timeout: Duration,
    cores: Cores,
    idle: Arc<Idle<Guest>>,
}

/// An instance of the component.
pub struct Guest {
    store: Store<Instance>,
    service: Service,
    /// How many it was given.
    requests: usize,
}

/// How the transfer of a request's body to the guest ends.
type Sent = Pin<Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>>;

impl Workers {
    /// Instances of `program` that compute on `cores` and must answer within `request_timeout`.
    pub fn new(
        program: Arc<Program>,
        shared: Shared,
        cores: Cores,
        request_timeout: Duration,
    ) -> Self {
        let idle = Idle::new(MAX_IDLE);
        let reclaim: Arc<dyn Reclaim> = Arc::clone(&idle) as _;
        shared.memory.ask_when_short(Arc::downgrade(&reclaim));
        Self {
            program,
            shared,
            request_timeout,
            cores,
            idle,
        }
    }

    /// Waits for the right to compute; without it a request cannot be answered.
    pub async fn turn(&self) -> Turn {
        self.cores.turn().await
    }

    /// Has a request answered. Its answer is taken from the component in whole, so a client that
    /// reads slowly holds no instance, and a failure in mid-body is a failure of the request.
    ///
    /// When the caller goes, the component still finishes what it began. `held` is dropped when
    /// the request takes up nothing any more.
    ///
    /// # Errors
    ///
    /// If the component gives no answer.
    pub async fn answer<H: Send + 'static>(
        &self,
        turn: Turn,
        request: Request<WasiBody>,
        held: H,
    ) -> Answer {
        let (sender, answer) = oneshot::channel();
        let workers = self.clone();
        tokio::spawn(async move {
            workers.serve(turn, request, sender).await;
            drop(held);
        });
        // None comes if the task panicked.
        answer.await.unwrap_or(Err(Failure::Failed))
    }

    async fn serve(&self, turn: Turn, request: Request<WasiBody>, sender: oneshot::Sender<Answer>) {
        let mut sender = Some(sender);
        let mut send = |answer| {
            if let Some(sender) = sender.take() {
                // The client may be gone.
                let _ = sender.send(answer);
            }
        };
        let made = Mutex::new(None);
        let mut run = Box::pin(self.cores.run(turn, async {
            let mut guest = match self.idle.take() {
                Some(guest) => guest,
                None => self.instantiate().await?,
            };
            let is_reusable = guest.exchange(request, &made).await?;
            wasmtime::error::Ok(is_reusable.then_some(guest))
        }));
        // The answer leaves when the turn is over, so that it does not wait for whoever has the
        // next one; or earlier, when the guest waits for something after it has answered.
        let finished = poll_fn(|cx| {
            let poll = run.as_mut().poll(cx);
            if let Some(answer) = made.lock().unwrap_or_else(PoisonError::into_inner).take() {
                send(answer);
            }
            poll
        });
        // Outside of the guest's own future: that one is not polled while the guest waits for the
        // store or for its turn.
        let finished = tokio::time::timeout(self.request_timeout, finished).await;
        drop(run);
        match finished {
            Ok(Ok(Some(guest))) => self.idle.put(guest),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => send(Err(failure(&error))),
            Err(_) => {
                tracing::error!("the component did not answer in time");
                send(Err(Failure::TimedOut));
            }
        }
    }

    /// Makes an instance.
    ///
    /// # Errors
    ///
    /// If there is no room for it, or it fails at its start.
    pub async fn instantiate(&self) -> wasmtime::Result<Guest> {
        let instance = Instance::new(self.shared.clone());
        let mut store = Store::new(self.program.engine(), instance);
        store.limiter(|instance| instance.limiter());
        store.set_epoch_deadline(1);
        // At the end of each epoch a guest that computes lets others look in; that is when it can
        // be stopped, or sent to the back of the queue.
        store.epoch_deadline_async_yield_and_update(1);
        let service = self.program.service().instantiate_async(&mut store).await?;
        Ok(Guest {
            store,
            service,
            requests: 0,
        })
    }
}

impl Guest {
    /// Gives the instance a request, puts the answer where it belongs as soon as it is whole, and
    /// then waits until the instance has nothing left to do. Gives whether it can be used again.
    async fn exchange(
        &mut self,
        request: Request<WasiBody>,
        made: &Mutex<Option<Answer>>,
    ) -> wasmtime::Result<bool> {
        self.requests += 1;
        // The one that it had last is long over.
        self.store.set_epoch_deadline(1);
        let service = &self.service;
        let handler = *service.wasi_http_handler().func_handle().func();
        let is_ready = self
            .store
            .run_concurrent(async |accessor| {
                let (request, sent) = accessor.with(|mut store| {
                    let (request, sent) = p3::Request::from_http(store.get().http().hooks, request);
                    (request, Box::pin(sent) as Sent)
                });
                let answer = match service.handle(accessor, request).await? {
                    Ok(response) => {
                        let response =
                            accessor.with(|mut store| response.into_http(&mut store, sent))?;
                        whole(response).await
                    }
                    Err(code) => {
                        tracing::error!(reason = ?code, "the component failed");
                        Err(Failure::Failed)
                    }
                };
                *made.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
                poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
                let is_ready = poll_fn(|cx| {
                    let poll = accessor.poll_ready_for_concurrent_call(handler, cx);
                    Poll::Ready(poll.is_ready())
                });
                wasmtime::error::Ok(is_ready.await)
            })
            .await??;
        Ok(is_ready && self.requests < MAX_REQUESTS)
    }
}

/// Takes a response in whole.
async fn whole(response: Response<WasiBody>) -> Answer {
    let (head, body) = response.into_parts();
    match Limited::new(body, MAX_RESPONSE_BYTES).collect().await {
        Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
        Err(error) => {
            tracing::error!(reason = %error, "the component's response broke off");
            Err(Failure::Failed)
        }
    }
}

/// Logs why an instance ended, and says what that means to its request.
fn failure(error: &wasmtime::Error) -> Failure {
    if error.is::<OutOfMemory>() || error.is::<wasmtime::PoolConcurrencyLimitError>() {
        tracing::error!(reason = %error.root_cause(), "there is no room for an instance");
        return Failure::NoRoom;
    }
    // The cause is a line; the stack above it is many, and rarely says more of a component
    // without names.
    tracing::error!(reason = %error.root_cause(), "an instance of the component failed");
    tracing::debug!(backtrace = %format!("{error:#}"), "where it failed");
    Failure::Failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_room_is_told_apart_from_a_failure() {
        let wrapped = wasmtime::Error::from(OutOfMemory).context("a backtrace");
        assert_eq!(failure(&wrapped), Failure::NoRoom);
        let trap = wasmtime::Error::from(wasmtime::Trap::UnreachableCodeReached);
        assert_eq!(failure(&trap), Failure::Failed);
    }
}
