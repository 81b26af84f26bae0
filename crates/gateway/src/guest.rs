//! An instance of the component, and the way of a request through it.

use std::{
    fmt::Display,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
};

use bytes::Bytes;
use http::{Request, Response, uri};
use http_body::Body;
use http_body_util::{BodyExt as _, Limited};
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime_wasi_http::{
    WasiBody, WasiHttpView as _,
    handler::Proxy,
    p2::bindings::{self as p2, http::types::Scheme},
    p3::{self, bindings::Service},
};

use crate::{
    engine::Program,
    host::{Instance, Shared},
    observation::Observed,
};

/// After this many requests an instance is replaced. This limits memory leaks.
const MAX_REQUESTS: usize = 1000;

/// The longest response that the component may give, in bytes.
const MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;

/// Why the component gave no response. The log says more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// There was no memory for an instance, or for an instance to grow.
    NoRoom,
    /// It took too long.
    TimedOut,
    /// It failed.
    Failed,
}

/// A response, or why there is none.
pub type Outcome = Result<Response<Bytes>, Failure>;

/// An instance of the component.
pub struct Guest {
    store: Store<Instance>,
    proxy: Proxy,
    /// How many requests it was given.
    requests: usize,
}

/// The end of the transfer of a request's body to the guest.
type Sent = Pin<Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>>;

impl Guest {
    /// Creates an instance.
    ///
    /// # Errors
    ///
    /// If there is no memory for it, or it fails at its start.
    pub async fn new(program: &Program, shared: Shared) -> wasmtime::Result<Self> {
        let mut store = Store::new(program.engine(), Instance::new(shared));
        store.limiter(|instance| instance.limiter());
        store.set_epoch_deadline(1);
        // At the end of each epoch a guest that computes yields. Then it can be stopped, or moved to
        // the end of a queue.
        store.epoch_deadline_async_yield_and_update(1);
        let proxy = program.proxy().instantiate_async(&mut store).await?;
        Ok(Self {
            store,
            proxy,
            requests: 0,
        })
    }

    /// Whether it has the settings that are in use.
    pub fn is_current(&self) -> bool {
        self.store.data().is_current()
    }

    /// Passes a request to the instance, stores the response in `outcome` as soon as it is complete,
    /// and then waits until the instance has nothing left to do. Returns whether it can be reused.
    pub async fn exchange(
        &mut self,
        request: Request<WasiBody>,
        outcome: &Mutex<Option<Outcome>>,
    ) -> wasmtime::Result<bool> {
        self.requests += 1;
        // The deadline of its last request has passed.
        self.store.set_epoch_deadline(1);
        let observed: Option<Arc<Observed>> = request.extensions().get().cloned();
        self.store.data().set_request(observed.clone());
        if let Some(observed) = &observed {
            observed.begin_component();
        }
        let is_ready = match &self.proxy {
            Proxy::P2(proxy) => exchange_p2(&mut self.store, proxy, request, outcome).await?,
            Proxy::P3(service) => exchange_p3(&mut self.store, service, request, outcome).await?,
        };
        self.store.data().set_request(None);
        if let Some(observed) = observed {
            observed.end_component();
        }
        Ok(is_ready && self.requests < MAX_REQUESTS)
    }
}

/// WASI 0.2. As on other hosts, an instance serves one request.
async fn exchange_p2(
    store: &mut Store<Instance>,
    proxy: &p2::Proxy,
    request: Request<WasiBody>,
    outcome: &Mutex<Option<Outcome>>,
) -> wasmtime::Result<bool> {
    let scheme = match request.uri().scheme() {
        Some(scheme) if *scheme == uri::Scheme::HTTPS => Scheme::Https,
        _ => Scheme::Http,
    };
    let (sender, response) = oneshot::channel();
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(scheme, request)?;
    let out = http.new_response_outparam(sender)?;
    let call = proxy
        .wasi_http_incoming_handler()
        .call_handle(store, request, out);
    // The body of a long response is read while the guest writes it.
    let read = async {
        let result = match response.await {
            Ok(Ok(response)) => read_whole(response).await,
            Ok(Err(code)) => {
                tracing::error!(reason = ?code, "the component failed");
                Err(Failure::Failed)
            }
            // It trapped, which the call says, or gave none.
            Err(_) => return,
        };
        set(outcome, result);
    };
    let (called, ()) = tokio::join!(call, read);
    called?;
    Ok(false)
}

/// WASI 0.3.
async fn exchange_p3(
    store: &mut Store<Instance>,
    service: &Service,
    request: Request<WasiBody>,
    outcome: &Mutex<Option<Outcome>>,
) -> wasmtime::Result<bool> {
    let handler = *service.wasi_http_handler().func_handle().func();
    store
        .run_concurrent(async |accessor| {
            let (request, sent) = accessor.with(|mut store| {
                let (request, sent) = p3::Request::from_http(store.get().http().hooks, request);
                (request, Box::pin(sent) as Sent)
            });
            let result = match service.handle(accessor, request).await? {
                Ok(response) => {
                    let response =
                        accessor.with(|mut store| response.into_http(&mut store, sent))?;
                    read_whole(response).await
                }
                Err(code) => {
                    tracing::error!(reason = ?code, "the component failed");
                    Err(Failure::Failed)
                }
            };
            set(outcome, result);
            poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
            let is_ready = poll_fn(|cx| {
                let poll = accessor.poll_ready_for_concurrent_call(handler, cx);
                Poll::Ready(poll.is_ready())
            });
            wasmtime::error::Ok(is_ready.await)
        })
        .await?
}

fn set(outcome: &Mutex<Option<Outcome>>, result: Outcome) {
    *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
}

/// Reads a whole response.
async fn read_whole<B>(response: Response<B>) -> Outcome
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Display,
{
    let (head, body) = response.into_parts();
    match Limited::new(body, MAX_RESPONSE_BYTES).collect().await {
        Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
        Err(error) => {
            tracing::error!(reason = %error, "the component's response broke off");
            Err(Failure::Failed)
        }
    }
}
