//! A service with faults, for tests of clients: `--test-faults`.

use std::{
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use anonymous_domains_test_faults::{
    Disconnect, Fault, OldAnswers, Outcome, Rules, TEST_FAULT, answer,
};
use bytes::{Buf, Bytes, buf::Take};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_LENGTH, HeaderName,
    },
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tokio::sync::oneshot;

use super::{
    connection::Connection,
    drive::Answer,
    response::{NotRead, Part, ResponseBody, UnsentResponse, head_only},
    service::Service,
};
use crate::observation::{RequestId, request_id::REQUEST_ID};

/// How much of a request is read whose answer does not depend on it, so that its client gets to
/// read the answer; and how long.
const MAX_UNUSED_BODY: usize = 2 * 1024 * 1024;
const MAX_UNUSED_TIME: Duration = Duration::from_secs(30);

/// The faults that a server makes. Clones share them.
#[derive(Clone, Default)]
pub struct Faults {
    rules: Arc<RwLock<Arc<Rules>>>,
    old_answers: Arc<OldAnswers>,
}

impl Faults {
    /// Takes other rules, which begin to count.
    pub fn set_rules(&self, rules: Rules) {
        tracing::warn!(
            rules = rules.len(),
            "this is a test server: its clients get errors, lost answers and old keys on request"
        );
        let mut current = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(rules);
    }

    fn rules(&self) -> Arc<Rules> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&rules)
    }
}

/// The service, with faults.
#[derive(Clone)]
pub struct FaultyService {
    service: Service,
    faults: Faults,
}

impl FaultyService {
    /// The service, with these faults.
    pub fn new(service: Service, faults: Faults) -> Self {
        Self { service, faults }
    }
}

/// The connection shall end.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a fault was asked for: the connection ends")]
pub struct Disconnected;

impl Answer for FaultyService {
    type Body = FaultyBody;
    type Error = Disconnected;

    async fn answer(
        self,
        mut request: Request<Incoming>,
        connection: Arc<Connection>,
    ) -> Result<Response<FaultyBody>, Disconnected> {
        // While it waits, its connection is not idle.
        let exchange = connection.begin();
        let version = request.version();
        let id = RequestId::of(request.headers());
        request.headers_mut().insert(REQUEST_ID, id.header());
        let asked_for = Fault::asked_for(request.headers());
        let decided = asked_for.map(|fault| {
            let decide = || {
                let rules = self.faults.rules();
                rules.decide(request.method(), request.uri().path())
            };
            fault.or_else(decide)
        });
        let unsent = |bytes| UnsentResponse::from(bytes).send(exchange, version);
        let fault = match decided {
            Ok(Some(fault)) => fault,
            Ok(None) => {
                let response = self.handle(request, connection).await;
                return Ok(response.map(|bytes| FaultyBody::whole(unsent(bytes))));
            }
            Err(error) => {
                let problem = answer::invalid(&error, id.urn());
                let response = self.unhandled(problem, request).await;
                return Ok(response.map(|bytes| FaultyBody::whole(unsent(bytes))));
            }
        };
        let (method, path) = (request.method(), request.uri().path());
        tracing::info!(target: "test_faults", request_id = %id, %method, %path, %fault);
        // The request has its effect before its answer waits, so that a client can lose patience.
        let response = self.outcome(fault, request, connection, &id).await;
        tokio::time::sleep(fault.delay).await;
        let is_cut = fault.outcome == Outcome::Disconnected(Disconnect::Halfway);
        Ok(response?.map(|bytes| match is_cut {
            true => FaultyBody::half(unsent(bytes)),
            false => FaultyBody::whole(unsent(bytes)),
        }))
    }
}

impl FaultyService {
    /// What happens to the request, without the delay.
    async fn outcome(
        self,
        fault: Fault,
        request: Request<Incoming>,
        connection: Arc<Connection>,
        id: &RequestId,
    ) -> Result<Response<Bytes>, Disconnected> {
        let response = match fault.outcome {
            Outcome::Handled => self.handle(request, connection).await,
            Outcome::Error { name, retry_after } => {
                let problem = answer::error(name, retry_after, request.headers(), id.urn());
                self.unhandled(problem, request).await
            }
            Outcome::Status {
                status,
                retry_after,
            } => {
                let page = answer::status(status, retry_after);
                self.unhandled(page, request).await
            }
            Outcome::Disconnected(Disconnect::Before) => {
                read_unused(request).await;
                return Err(Disconnected);
            }
            Outcome::Disconnected(Disconnect::After) => {
                self.handle(request, connection).await;
                return Err(Disconnected);
            }
            Outcome::Disconnected(Disconnect::Halfway) => {
                let response = self.handle(request, connection).await;
                // Without a body there is no half of it.
                if response.body().is_empty() {
                    return Err(Disconnected);
                }
                response
            }
            Outcome::OldKeySet => {
                let old_answers = Arc::clone(&self.faults.old_answers);
                let response = self.handle(request, connection).await;
                let Some(older) = old_answers.older_than(response.body()) else {
                    return Ok(response);
                };
                let mut response = response.map(|_| older);
                response.headers_mut().remove(CONTENT_LENGTH);
                response
            }
        };
        Ok(named(response, fault))
    }

    /// The service's answer; that to a registration is remembered.
    async fn handle(
        self,
        request: Request<Incoming>,
        connection: Arc<Connection>,
    ) -> Response<Bytes> {
        let is_preflight = request.method() == Method::OPTIONS;
        let Ok(response) = self.service.answer(request, connection).await;
        let mut response = response.map(ResponseBody::into_bytes);
        if response.status().is_success() {
            self.faults.old_answers.remember(response.body());
        }
        if is_preflight {
            add_name(response.headers_mut(), ACCESS_CONTROL_ALLOW_HEADERS);
        }
        response
    }

    /// An answer without the service.
    async fn unhandled(
        self,
        mut response: Response<Bytes>,
        request: Request<Incoming>,
    ) -> Response<Bytes> {
        let page = self.service.page(request.headers(), request.uri().path());
        let headers = response.headers_mut();
        if let Some(id) = request.headers().get(REQUEST_ID) {
            headers.insert(REQUEST_ID, id.clone());
        }
        page.let_read(headers, &self.service.settings());
        let method = request.method().clone();
        read_unused(request).await;
        head_only(response, &method)
    }
}

/// Reads a request that nobody handles.
async fn read_unused(request: Request<Incoming>) {
    let body = Limited::new(request.into_body(), MAX_UNUSED_BODY);
    // Whatever comes of it, the answer is the same.
    let _ = tokio::time::timeout(MAX_UNUSED_TIME, body.collect()).await;
}

/// The answer, with the name of its fault, which pages can read too.
fn named(mut response: Response<Bytes>, fault: Fault) -> Response<Bytes> {
    let headers = response.headers_mut();
    // The text of a fault is ASCII.
    if let Ok(value) = HeaderValue::try_from(fault.to_string()) {
        headers.insert(TEST_FAULT, value);
    }
    add_name(headers, ACCESS_CONTROL_EXPOSE_HEADERS);
    response
}

/// Adds [`TEST_FAULT`] to a list of header fields, if there is one.
fn add_name(headers: &mut HeaderMap, list: HeaderName) {
    if headers.contains_key(&list) {
        headers.append(list, HeaderValue::from_static("test-fault"));
    }
}

/// The body of an answer, or the first half of it.
pub struct FaultyBody {
    inner: ResponseBody,
    cut: Option<Cut>,
}

/// An answer that ends halfway.
enum Cut {
    /// Nothing of it was passed on.
    Whole,
    /// Its first half was passed on, and is to be sent.
    Half(oneshot::Receiver<()>),
}

impl FaultyBody {
    fn whole(inner: ResponseBody) -> Self {
        Self { inner, cut: None }
    }

    fn half(inner: ResponseBody) -> Self {
        let cut = Some(Cut::Whole);
        Self { inner, cut }
    }
}

/// A body ended early: because its client did not read it, or because it was to.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum Ended {
    /// The client did not read it.
    #[error(transparent)]
    NotRead(#[from] NotRead),
    /// It was to.
    #[error(transparent)]
    Disconnected(#[from] Disconnected),
}

impl Body for FaultyBody {
    type Data = Piece;
    type Error = Ended;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Ended>>> {
        let this = self.get_mut();
        if let Some(Cut::Half(sent)) = &mut this.cut {
            // Ended at once, the half would not be sent. Its sender is dropped when it was.
            let _ = ready!(Pin::new(sent).poll(cx));
            return Poll::Ready(Some(Err(Disconnected.into())));
        }
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        let Some(frame) = frame.transpose()? else {
            return Poll::Ready(None);
        };
        let mut sent = None;
        if let Some(cut) = &mut this.cut {
            let (sender, receiver) = oneshot::channel();
            *cut = Cut::Half(receiver);
            sent = Some(sender);
        }
        Poll::Ready(Some(Ok(frame.map_data(|part| {
            let length = part.remaining();
            let length = if sent.is_some() { length / 2 } else { length };
            Piece {
                part: part.take(length),
                _sent: sent,
            }
        }))))
    }

    fn is_end_stream(&self) -> bool {
        self.cut.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Bytes of an answer. Whoever sends them drops it then.
#[derive(Debug)]
pub struct Piece {
    part: Take<Part>,
    _sent: Option<oneshot::Sender<()>>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.part.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.part.chunk()
    }

    fn advance(&mut self, bytes: usize) {
        self.part.advance(bytes);
    }
}

#[cfg(test)]
mod tests;
