//! One request: checked, read completely, passed to the component, answered and logged.

use std::{
    convert::Infallible,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{
    caller::Caller,
    connection::Connection,
    problem::Problem,
    rate_limit::{RateLimits, domain_of},
    request_body::RequestReader,
    response::{ResponseBody, ResponseMemory, UnsentResponse},
    target::make_absolute,
};
use crate::{
    guest::Failure,
    jwks::{AUTH_JWKS, KeySource},
    limits::{Network, Rates},
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
    permits: Arc<Semaphore>,
    reader: Arc<RequestReader>,
    response_memory: ResponseMemory,
    path_prefix: Arc<str>,
    rates: Arc<RateLimits>,
    trusted_proxies: Arc<[Network]>,
    key_source: Arc<RwLock<Option<Arc<KeySource>>>>,
    /// Held while the settings change.
    changing: Arc<tokio::sync::Mutex<()>>,
    /// The numbers of requests that come over no connection of the gateway's.
    numbers: Arc<AtomicU64>,
}

impl Service {
    /// A service that passes requests to `workers` within `limits`. Without an `admin_token` in the
    /// settings no body is read under `/admin/v1`.
    pub fn new(workers: Workers, limits: Limits, settings: &Settings) -> Self {
        let admin_token = settings.get("admin_token");
        let path_prefix = settings.get(PUBLIC_PATH_PREFIX).unwrap_or_default();
        Self {
            workers,
            permits: Arc::new(Semaphore::new(limits.concurrent_requests)),
            reader: Arc::new(RequestReader::new(limits.request_timeout, admin_token)),
            response_memory: ResponseMemory::default(),
            path_prefix: path_prefix.trim().trim_end_matches('/').into(),
            rates: Arc::new(RateLimits::new(Rates::OFF)),
            trusted_proxies: Arc::default(),
            key_source: Arc::default(),
            changing: Arc::default(),
            numbers: Arc::default(),
        }
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
            self.workers.settings().set(settings);
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

    /// Answers one request that came over `connection`, and logs it. Every failure becomes a
    /// problem document.
    ///
    /// # Errors
    ///
    /// None.
    pub async fn answer(
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
    async fn respond<B>(&self, request: Request<B>, caller: Caller) -> Response<UnsentResponse>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let mut access = Access::new(&request);
        let response = match self.handle(request, caller).await {
            Ok(response) => response,
            Err(problem) => problem.into_response().map(UnsentResponse::from),
        };
        access.status = Some(response.status());
        response
    }

    async fn handle<B>(
        &self,
        mut request: Request<B>,
        caller: Caller,
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
        let mut admitted = caller
            .counted
            .map_or(Ok(()), |client| self.rates.admit_client(client));
        if admitted.is_ok() {
            make_absolute(&mut request, scheme, local, &self.path_prefix)?;
            if caller.counted.is_some() {
                admitted = self.rates.admit_path(request.uri().path());
            }
        }
        let (mut parts, body) = request.into_parts();
        if let Err(problem) = admitted {
            self.reader.discard(&parts, body);
            return Err(problem);
        }
        let body = self.reader.read(client, &mut parts, body).await?;
        if domain_of(parts.uri.path()).is_some()
            && let Some(source) = self.key_source()
        {
            source.look_for_key(&parts.headers).await;
        }
        let unsent = self.response_memory.reserve(client)?;
        // Both in the order in which requests came. If the client disconnects meanwhile, its
        // request is not begun.
        let admitted = async {
            let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
            Some((permit, self.workers.acquire_core().await))
        };
        let Ok(Some((permit, core))) = tokio::time::timeout(MAX_WAIT, admitted).await else {
            return Err(Problem::Overloaded);
        };
        let whole = Full::new(body.bytes.clone())
            .map_err(|never| match never {})
            .boxed_unsync();
        let request = Request::from_parts(parts, whole);
        let answer = self.workers.answer(core, request, (body, permit)).await?;
        let (parts, bytes) = answer.into_parts();
        Ok(Response::from_parts(parts, unsent.fill(bytes)?))
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

/// One line in the access log, written when the request has ended.
struct Access {
    start: Instant,
    method: Method,
    path: String,
    /// `None` until there is a response: the client may disconnect before that.
    status: Option<StatusCode>,
}

impl Access {
    fn new<B>(request: &Request<B>) -> Self {
        Self {
            start: Instant::now(),
            method: request.method().clone(),
            // Without the query, which may be private.
            path: request.uri().path().to_owned(),
            status: None,
        }
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        // Proxies commonly log 499 if the client closed the connection.
        let status = self.status.map_or(499, |status| status.as_u16());
        let duration_ms = self.start.elapsed().as_micros() as f64 / 1000.0;
        tracing::info!(target: "access", method = %self.method, path = %self.path, status, duration_ms);
    }
}
