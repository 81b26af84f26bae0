//! One request: checked, read completely, passed to the component, answered and logged.

use std::{
    convert::Infallible,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tracing::Instrument as _;
use zeroize::Zeroizing;

use super::{
    access::Access,
    caller::Caller,
    connection::Connection,
    cross_origin::Page,
    drive::Answer,
    internal::{Internal, is_operators},
    pool::{Pool, Share},
    problem::Problem,
    rate_limit::{RateLimits, domain_of},
    request_body::RequestReader,
    response::{ResponseBody, ResponseMemory, UnsentResponse, head_only},
    route,
    target::{make_absolute, without_prefix},
};
use crate::{
    guest::Failure,
    jwks::{AUTH_JWKS, KeySource},
    limits::{Network, Rates},
    observation::{Observed, Observer, RequestId, request_id::REQUEST_ID, traces::Trace},
    settings::{PUBLIC_PATH_PREFIX, Settings},
    worker::Workers,
};

/// How long a request may wait until it is admitted.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Limits on requests.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many the component handles at a time.
    pub concurrent_requests: usize,
    /// How long a request's body may take to arrive, and then, separately, its response to be made.
    pub request_timeout: Duration,
}

/// Answers requests. Clones share one component and one set of limits.
#[derive(Clone)]
pub struct Service {
    workers: Workers,
    /// For requests in the component.
    places: Arc<Pool>,
    reader: Arc<RequestReader>,
    response_memory: ResponseMemory,
    path_prefix: Arc<str>,
    rates: Arc<RateLimits>,
    trusted_proxies: Arc<[Network]>,
    key_source: Arc<RwLock<Option<Arc<KeySource>>>>,
    /// Held while the settings change.
    changing: Arc<tokio::sync::Mutex<()>>,
    surface: Surface,
    /// The numbers of requests that come over no connection of the gateway's.
    numbers: Arc<AtomicU64>,
}

/// Which paths a service has.
#[derive(Clone)]
enum Surface {
    /// All of the component's.
    Whole,
    /// Those that are not an operator's.
    Public,
    /// Those of operators, and those about the server itself.
    Internal(Arc<Internal>),
}

/// Has readiness end before the server does.
pub struct ShutdownNotice(Arc<Internal>);

impl ShutdownNotice {
    /// From now on `/readyz` says that the server is not ready.
    pub fn give(&self) {
        self.0.begin_shutdown();
    }
}

impl Service {
    /// A service that passes requests to `workers` within `limits`. Without an `admin_token` in the
    /// settings no body is read under `/admin/v1`.
    pub fn new(workers: Workers, limits: Limits, settings: &Settings) -> Self {
        let admin_token = settings.get("admin_token");
        let path_prefix = settings.get(PUBLIC_PATH_PREFIX).unwrap_or_default();
        Self {
            workers,
            places: Pool::new(limits.concurrent_requests, Share::Remainder),
            reader: Arc::new(RequestReader::new(limits.request_timeout, admin_token)),
            response_memory: ResponseMemory::default(),
            path_prefix: path_prefix.trim().trim_end_matches('/').into(),
            rates: Arc::new(RateLimits::new(Rates::OFF)),
            trusted_proxies: Arc::default(),
            key_source: Arc::default(),
            changing: Arc::default(),
            surface: Surface::Whole,
            numbers: Arc::default(),
        }
    }

    /// The page that sent a request with these headers to this path, for answers that are made
    /// outside of the service.
    pub(super) fn page(&self, headers: &HeaderMap, path: &str) -> Page {
        Page::of(headers, self.route(path))
    }

    /// The path's template.
    fn route(&self, path: &str) -> &'static str {
        route::template(without_prefix(path, &self.path_prefix).unwrap_or(path))
    }

    /// The settings that are in use.
    pub fn settings(&self) -> Arc<Settings> {
        self.workers.settings().get()
    }

    /// Changes the settings, which later requests see, if the component can use them. Returns the
    /// names of those that changed. `public_path_prefix` stays.
    ///
    /// # Errors
    ///
    /// What is wrong with them; then nothing changed. Shows no value.
    pub async fn change_settings(
        &self,
        change: impl FnOnce(&mut Settings) -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<&'static str>> {
        let _turn = self.changing.lock().await;
        let current = self.settings();
        let mut settings = (*current).clone();
        change(&mut settings)?;
        let changed = settings.differing(&current);
        if !changed.is_empty() {
            self.workers.check(settings.clone()).await?;
            self.reader.set_admin_token(settings.get("admin_token"));
            self.workers.change_settings(settings);
        }
        Ok(changed)
    }

    /// Where the keys of tokens come from, if not from the settings.
    pub fn key_source(&self) -> Option<Arc<KeySource>> {
        let source = self.key_source.read();
        source.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the keys of tokens from there from now on, beginning with those that it has.
    ///
    /// # Errors
    ///
    /// If the component cannot use them; then nothing changed.
    pub async fn set_key_source(&self, source: Option<Arc<KeySource>>) -> anyhow::Result<()> {
        if let Some(source) = &source {
            let text = source.text();
            self.change_settings(|settings| settings.set(AUTH_JWKS, text))
                .await?;
            let service = self.clone();
            source.begin(move |text| {
                let service = service.clone();
                async move {
                    let text = Zeroizing::new(text);
                    service
                        .change_settings(|settings| settings.set(AUTH_JWKS, text))
                        .await
                        .map(drop)
                }
            });
        }
        let current = self.key_source.write();
        *current.unwrap_or_else(PoisonError::into_inner) = source;
        Ok(())
    }

    /// Takes other limits of rates.
    pub fn set_rates(&self, rates: Rates) {
        self.rates.set(rates);
    }

    /// Limits the rates of requests that come over connections of the gateway's own; of those that
    /// come from `trusted_proxies`, by what these say of their clients. Also later.
    #[must_use]
    pub fn limited(self, rates: Rates, trusted_proxies: Vec<Network>) -> Self {
        self.rates.set(rates);
        Self {
            trusted_proxies: trusted_proxies.into(),
            ..self
        }
    }

    /// Who observes it.
    pub fn observer(&self) -> &Observer {
        self.workers.observer()
    }

    /// Divides the service: the first has what is for everybody, the second what is for operators
    /// only, and what is about the server itself.
    pub fn split(self) -> (Self, Self, ShutdownNotice) {
        let internal = Internal::new(self.workers.clone());
        let notice = ShutdownNotice(Arc::clone(&internal));
        let with = |surface| Self {
            surface,
            ..self.clone()
        };
        let (public, internal) = (Surface::Public, Surface::Internal(internal));
        (with(public), with(internal), notice)
    }

    /// Answers one request that came over a connection of another server, and logs it. It counts as
    /// a client of its own, because that server may have a proxy in front.
    pub(crate) async fn answer_alone<B>(self, request: Request<B>) -> Response<Bytes>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let caller = Caller::alone(self.numbers.fetch_add(1, Ordering::Relaxed));
        let response = self.respond(request, caller).await;
        response.map(UnsentResponse::into_bytes)
    }

    /// Answers one request of `caller`, and logs it.
    async fn respond<B>(&self, mut request: Request<B>, caller: Caller) -> Response<UnsentResponse>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let id = RequestId::of(request.headers());
        request.headers_mut().insert(REQUEST_ID, id.header());
        // Of the highest level, so that every line of the log can have its id.
        let span = tracing::error_span!(
            target: "request", "request", request_id = %id, trace_id = tracing::field::Empty
        );
        if let Surface::Internal(internal) = &self.surface {
            let path = request.uri().path();
            let answer = internal.answer(request.method(), path, request.headers(), &id);
            if let Some(mut response) = answer.instrument(span.clone()).await {
                response.headers_mut().insert(REQUEST_ID, id.header());
                return head_only(response, request.method()).map(UnsentResponse::from);
            }
        }
        let path = request.uri().path();
        let method = route::method(request.method());
        let route = self.route(path);
        let traces = self.observer().traces.as_ref();
        let trace = traces.map(|to| to.begin(request.headers(), method, route, path, &id));
        if let Some(trace_id) = trace.as_ref().and_then(Trace::id) {
            span.record("trace_id", trace_id);
        }
        let observed = Arc::new(Observed::new(id.clone(), trace));
        let page = Page::of(request.headers(), route);
        let answered = async {
            let metrics = &self.observer().metrics;
            let mut access = Access::new(&request, (method, route), metrics, &observed);
            request.extensions_mut().insert(Arc::clone(&observed));
            let asked = request.method().clone();
            let mut response = match self.handle(request, caller, &observed).await {
                Ok(response) => response,
                Err(problem) => {
                    let mut response = problem.into_response(&id);
                    page.let_read(response.headers_mut(), &self.settings());
                    head_only(response, &asked).map(UnsentResponse::from)
                }
            };
            response.headers_mut().insert(REQUEST_ID, id.header());
            access.end(&response);
            response
        };
        answered.instrument(span).await
    }

    async fn handle<B>(
        &self,
        mut request: Request<B>,
        caller: Caller,
        observed: &Observed,
    ) -> Result<Response<UnsentResponse>, Problem>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let Caller {
            client,
            local,
            scheme,
            ..
        } = caller;
        // Operators are not limited where they have a listener of their own.
        let counted = caller
            .counted
            .filter(|_| !matches!(self.surface, Surface::Internal(_)));
        let mut admitted = counted.map_or(Ok(()), |client| self.rates.admit_client(client));
        if admitted.is_ok() {
            make_absolute(&mut request, scheme, local, &self.path_prefix)?;
            if counted.is_some() {
                admitted = self.rates.admit_path(request.uri().path());
            }
        }
        let is_served = match self.surface {
            Surface::Whole => true,
            Surface::Public => !is_operators(request.uri().path()),
            Surface::Internal(_) => is_operators(request.uri().path()),
        };
        if admitted.is_ok() && !is_served {
            return Err(Problem::NotFound);
        }
        let (mut parts, body) = request.into_parts();
        if let Err(refusal) = admitted {
            self.reader.discard(&parts, body);
            return Err(Problem::RateLimited(refusal));
        }
        let body = self.reader.read(client, &mut parts, body).await?;
        if domain_of(parts.uri.path()).is_some()
            && let Some(source) = self.key_source()
        {
            source.look_for_key(&parts.headers).await;
        }
        let unsent = self.response_memory.reserve(client)?;
        // Both in the order in which requests came, but one client cannot take all places. If the
        // client disconnects meanwhile, its request is not begun.
        let admitted = async {
            let place = self.places.wait(client).await;
            let causer = caller.counted.unwrap_or(client);
            (place, self.workers.acquire_core(causer).await)
        };
        let Ok((place, core)) = tokio::time::timeout(MAX_WAIT, admitted).await else {
            return Err(Problem::Overloaded);
        };
        let whole = Full::new(body.bytes.clone())
            .map_err(|never| match never {})
            .boxed_unsync();
        let request = Request::from_parts(parts, whole);
        let changes = !request.method().is_safe();
        if changes && !self.workers.observer().may_change() {
            return Err(Problem::NotRecorded);
        }
        let answer = self.workers.answer(core, request, (body, place)).await?;
        if changes && observed.is_unrecorded() {
            return Err(Problem::NotRecorded);
        }
        let (parts, bytes) = answer.into_parts();
        Ok(Response::from_parts(parts, unsent.fill(bytes)?))
    }
}

/// Logs the request. Every failure becomes a problem document.
impl Answer for Service {
    type Body = ResponseBody;
    type Error = Infallible;

    async fn answer(
        self,
        request: Request<Incoming>,
        connection: Arc<Connection>,
    ) -> Result<Response<ResponseBody>, Infallible> {
        let exchange = connection.begin();
        let version = request.version();
        let caller = Caller::of(&connection, &self.trusted_proxies, request.headers());
        let response = self.respond(request, caller).await;
        Ok(response.map(|unsent| unsent.send(exchange, version)))
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoRoom => Self::Overloaded,
            Failure::TimedOut => Self::GuestTimeout,
            Failure::Failed => Self::GuestFailed,
        }
    }
}
