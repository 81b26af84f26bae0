//! One request: checked, taken in whole, given to the component, answered and logged.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use wasmtime_wasi_http::handler::{ExpirationError, InstantiationError, TrapOrPanicError};

use super::answer::{Answer, Answers, Unsent};
use super::body::Requests;
use super::connection::Connection;
use super::problem::Problem;
use super::target::make_absolute;
use crate::worker::Handler;

/// The longest response that the component may give, in bytes.
const MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;

/// How long a request may wait for its turn.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// What the gateway takes on.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests in the component at a time.
    pub concurrent_requests: usize,
    /// How long a request's body may take to arrive, and as long again its answer to be made.
    pub request_timeout: Duration,
}

/// Answers requests. Clones share one component and one set of limits.
#[derive(Clone)]
pub struct Service {
    handler: Handler,
    permits: Arc<Semaphore>,
    requests: Arc<Requests>,
    answers: Answers,
    request_timeout: Duration,
}

impl Service {
    /// A service that hands requests to `handler` within `limits`. Without the `admin_token` no
    /// body is read under `/admin/v1`.
    pub fn new(handler: Handler, limits: Limits, admin_token: Option<&str>) -> Self {
        Self {
            handler,
            permits: Arc::new(Semaphore::new(limits.concurrent_requests)),
            requests: Arc::new(Requests::new(limits.request_timeout, admin_token)),
            answers: Answers::default(),
            request_timeout: limits.request_timeout,
        }
    }

    /// Answers one request that came over `connection`, and logs it. Never fails: what goes wrong
    /// is a problem document.
    ///
    /// # Errors
    ///
    /// None.
    pub async fn answer(
        self,
        request: Request<Incoming>,
        connection: Arc<Connection>,
    ) -> Result<Response<Answer>, Infallible> {
        let exchange = connection.begin();
        let version = request.version();
        let mut access = Access::new(&request);
        let response = match self.handle(request, &connection).await {
            Ok(response) => response,
            Err(problem) => problem.into_response().map(Unsent::from),
        };
        access.status = Some(response.status());
        Ok(response.map(|unsent| unsent.send(exchange, version)))
    }

    async fn handle(
        &self,
        mut request: Request<Incoming>,
        connection: &Connection,
    ) -> Result<Response<Unsent>, Problem> {
        make_absolute(&mut request, connection.local)?;
        let client = connection.client;
        let (mut parts, body) = request.into_parts();
        let body = self.requests.take(client, &mut parts, body).await?;
        let unsent = self.answers.begin(client)?;
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = match tokio::time::timeout(MAX_WAIT, permit).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) | Err(_) => return Err(Problem::Overloaded),
        };
        // A task of its own: when the client goes, the component still finishes what it began,
        // and what it takes up stays counted.
        let service = self.clone();
        let call = tokio::spawn(async move {
            let whole = Full::new(body.bytes.clone())
                .map_err(|never| match never {})
                .boxed_unsync();
            let result = service.call(Request::from_parts(parts, whole)).await;
            drop((body, permit));
            result
        });
        let answer = call.await.unwrap_or(Err(Problem::GuestFailed))?;
        let (parts, bytes) = answer.into_parts();
        Ok(Response::from_parts(parts, unsent.fill(bytes)?))
    }

    /// Gives a request to the component, for as long as it may take.
    async fn call(
        &self,
        request: wasmtime_wasi_http::handler::Request,
    ) -> Result<Response<Bytes>, Problem> {
        let start = Instant::now();
        let response = tokio::time::timeout(self.request_timeout, self.exchange(request));
        match response.await {
            Err(_) => {
                tracing::error!("the component did not answer in time");
                Err(Problem::GuestTimeout)
            }
            // The instance was stopped for this request's sake, a moment before the timer here.
            Ok(Err(Problem::GuestFailed)) if start.elapsed() >= self.request_timeout => {
                Err(Problem::GuestTimeout)
            }
            Ok(result) => result,
        }
    }

    /// Gives a request to the component and takes its response in whole. So a client that reads
    /// slowly holds no instance, a failure in mid-body still is a plain 500, and head and body
    /// leave in one write.
    async fn exchange(
        &self,
        request: wasmtime_wasi_http::handler::Request,
    ) -> Result<Response<Bytes>, Problem> {
        let response = self.handler.handle((), request).await.map_err(failed)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_RESPONSE_BYTES)
            .collect()
            .await
            .map_err(|error| {
                tracing::error!(reason = %error, "the component's response broke off");
                Problem::GuestFailed
            })?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}

/// Logs why the component did not answer.
fn failed(error: wasmtime::Error) -> Problem {
    if error.is::<ExpirationError>() {
        tracing::error!("the component did not answer in time");
        return Problem::GuestTimeout;
    }
    if let Some(error) = error.downcast_ref::<InstantiationError<()>>() {
        tracing::error!(reason = %format!("{:#}", error.error),
            "the component could not be instantiated");
        return if error.error.is::<wasmtime::PoolConcurrencyLimitError>() {
            Problem::Overloaded
        } else {
            Problem::GuestFailed
        };
    }
    // Of a trap the instance's own end says more.
    if !error.is::<TrapOrPanicError>() {
        tracing::error!(reason = %format!("{error:#}"), "the component failed");
    }
    Problem::GuestFailed
}

/// One line in the access log, written when the request is done with.
struct Access {
    start: Instant,
    method: Method,
    path: String,
    /// `None` until there is an answer: the client may go before.
    status: Option<StatusCode>,
}

impl Access {
    fn new<B>(request: &Request<B>) -> Self {
        Self {
            start: Instant::now(),
            method: request.method().clone(),
            // Without the query, which is the client's own business.
            path: request.uri().path().to_owned(),
            status: None,
        }
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        // 499 is what proxies commonly log for a client that closed the connection.
        let status = self.status.map_or(499, |status| status.as_u16());
        let duration_ms = self.start.elapsed().as_micros() as f64 / 1000.0;
        tracing::info!(target: "access", method = %self.method, path = %self.path, status, duration_ms);
    }
}
