//! What is recorded of each request: a line of the access log, and its metrics.

use std::time::Instant;

use http::{HeaderMap, Method, Request, Response, StatusCode};

use crate::observation::{Metrics, Observed, metrics::Counted};

/// One line in the access log, written when the request has ended.
pub(super) struct Access<'a> {
    metrics: &'a Metrics,
    observed: &'a Observed,
    _active: Counted,
    /// The method and the route, from fixed sets.
    kind: (&'static str, &'static str),
    start: Instant,
    method: Method,
    path: String,
    /// `None` until there is a response: the client may disconnect before that.
    status: Option<StatusCode>,
}

impl<'a> Access<'a> {
    /// The record of a request, which begins now. `kind` is its method and its route.
    pub(super) fn new<B>(
        request: &Request<B>,
        kind: (&'static str, &'static str),
        metrics: &'a Metrics,
        observed: &'a Observed,
    ) -> Self {
        Self {
            metrics,
            observed,
            _active: metrics.begin_request(),
            kind,
            start: Instant::now(),
            method: request.method().clone(),
            // Without the query, which may be private.
            path: request.uri().path().to_owned(),
            status: None,
        }
    }

    /// There is a response.
    pub(super) fn end<B>(&mut self, response: &Response<B>) {
        self.status = Some(response.status());
        if response.status() == StatusCode::TOO_MANY_REQUESTS
            && let Some(limit) = limit_of(response.headers())
        {
            self.metrics.rate_limited(limit);
        }
    }
}

/// The limit that a response names (draft-ietf-httpapi-ratelimit-headers).
fn limit_of(headers: &HeaderMap) -> Option<&str> {
    let policy = headers.get("ratelimit-policy")?.to_str().ok()?;
    let (name, _) = policy.trim_start().strip_prefix('"')?.split_once('"')?;
    Some(name)
}

impl Drop for Access<'_> {
    fn drop(&mut self) {
        let duration = self.start.elapsed();
        // Proxies commonly log 499 if the client closed the connection.
        let status = self.status.map_or(499, |status| status.as_u16());
        let (method, route) = self.kind;
        self.metrics.request(method, route, status, duration);
        self.observed.end(status);
        let duration_ms = duration.as_micros() as f64 / 1000.0;
        tracing::info!(target: "access", method = %self.method, path = %self.path, status, duration_ms);
    }
}
