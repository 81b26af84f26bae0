//! What only the internal listener serves: the metrics, and whether the server lives and is ready.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, Empty};
use serde::Deserialize;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::problem::{Named, document};
use crate::{
    client::Client,
    observation::{Observed, RequestId, request_id::REQUEST_ID},
    worker::Workers,
};

/// How long the store and the CA may take to show that they work.
const MAX_CHECK: Duration = Duration::from_secs(1);

/// How long a result of that is good.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Whether a path is one of an operator's, which only the internal listener serves if there is one.
pub(super) fn is_operators(path: &str) -> bool {
    ["/admin", "/console"].into_iter().any(|parent| {
        path.strip_prefix(parent)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Answers requests about the server itself.
pub(super) struct Internal {
    workers: Workers,
    is_shutting_down: AtomicBool,
    checked: Mutex<Option<(Instant, Result<(), NotReady>)>>,
    /// For one check at a time, to its end: one that is given up may go on for long.
    turn: Arc<Semaphore>,
}

/// Why the server is not ready.
#[derive(Clone, Debug, Eq, PartialEq)]
struct NotReady {
    /// `store`, `ca`, `component` or `shutdown`.
    part: &'static str,
    detail: String,
}

/// What `/healthz` answers.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Health {
    store: String,
    ca: String,
    detail: Option<String>,
}

impl Internal {
    pub(super) fn new(workers: Workers) -> Arc<Self> {
        Arc::new(Self {
            workers,
            is_shutting_down: AtomicBool::new(false),
            checked: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
        })
    }

    /// From now on the server is not ready.
    pub(super) fn begin_shutdown(&self) {
        self.is_shutting_down.store(true, Ordering::Relaxed);
    }

    /// The answer to a request; `None` if the path is none of these.
    pub(super) async fn answer(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        id: &RequestId,
    ) -> Option<Response<Bytes>> {
        if !["/metrics", "/livez", "/readyz"].contains(&path) {
            return None;
        }
        if ![Method::GET, Method::HEAD].contains(method) {
            let mut response = document(
                StatusCode::METHOD_NOT_ALLOWED,
                Named::Protocol("METHOD_NOT_ALLOWED"),
                "The method is not allowed",
                "this path takes GET and HEAD",
                id,
            );
            let allow = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allow);
            return Some(response);
        }
        let response = match path {
            "/metrics" => self.metrics(headers),
            "/livez" => text("text/plain; charset=utf-8", "ok\n"),
            _ => match self.readiness(id).await {
                Ok(()) => text("text/plain; charset=utf-8", "ok\n"),
                Err(NotReady { part, detail }) => document(
                    StatusCode::SERVICE_UNAVAILABLE,
                    Named::Part(part),
                    "The server is not ready",
                    &detail,
                    id,
                ),
            },
        };
        Some(response)
    }

    fn metrics(&self, headers: &HeaderMap) -> Response<Bytes> {
        let metrics = &self.workers.observer().metrics;
        metrics.set_idle(self.workers.idle());
        let accept: Vec<_> = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|part| part.to_str().ok())
            .collect();
        let (kind, page) = metrics.page(&accept.join(","));
        text(kind, page)
    }

    /// Whether the store and the domain CA work. Requests at the same time share a check.
    async fn readiness(&self, id: &RequestId) -> Result<(), NotReady> {
        if self.is_shutting_down.load(Ordering::Relaxed) {
            return Err(NotReady {
                part: "shutdown",
                detail: "the server is shutting down".to_owned(),
            });
        }
        let mut checked = self.checked.lock().await;
        if let Some((when, result)) = &*checked
            && when.elapsed() < MAX_AGE
        {
            return result.clone();
        }
        let result = match (Arc::clone(&self.turn).try_acquire_owned(), &*checked) {
            (Ok(turn), _) => self.check(id, turn).await,
            // The last check still runs.
            (Err(_), Some((_, Err(not_ready)))) => Err(not_ready.clone()),
            (Err(_), _) => Err(NotReady {
                part: "component",
                detail: "the component does not answer".to_owned(),
            }),
        };
        if let Err(NotReady { part, detail }) = &result {
            tracing::warn!(part, reason = %detail, "the server is not ready");
        }
        *checked = Some((Instant::now(), result.clone()));
        result
    }

    async fn check(&self, id: &RequestId, turn: OwnedSemaphorePermit) -> Result<(), NotReady> {
        let observed = Arc::new(Observed::new(id.clone(), None));
        let mut request = Request::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
        *request.uri_mut() = http::Uri::from_static("http://localhost/healthz");
        request.headers_mut().insert(REQUEST_ID, id.header());
        request.extensions_mut().insert(Arc::clone(&observed));
        let answer = async {
            let core = self.workers.acquire_core(Client::Gateway).await;
            self.workers.answer(core, request, turn).await
        };
        let Ok(answer) = tokio::time::timeout(MAX_CHECK, answer).await else {
            let part = if observed.waits_for_store() {
                "store"
            } else {
                "component"
            };
            return Err(NotReady {
                part,
                detail: format!("the {part} did not answer within {} s", MAX_CHECK.as_secs()),
            });
        };
        match answer {
            Ok(response) => verdict(response.status(), response.body()),
            Err(_) => Err(NotReady {
                part: "component",
                detail: "the component failed; the log says why".to_owned(),
            }),
        }
    }
}

/// What an answer of `/healthz` says.
fn verdict(status: StatusCode, body: &[u8]) -> Result<(), NotReady> {
    if status == StatusCode::OK {
        return Ok(());
    }
    let health: Health = serde_json::from_slice(body).unwrap_or_default();
    let part = match (health.store.as_str(), health.ca.as_str()) {
        ("error", _) => "store",
        (_, "error") => "ca",
        _ => "component",
    };
    let detail = health
        .detail
        .unwrap_or_else(|| format!("/healthz answered {}", status.as_u16()));
    Err(NotReady { part, detail })
}

fn text(kind: &'static str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_have_the_admin_api_and_the_console() {
        for path in [
            "/admin/v1/domains",
            "/admin",
            "/admin/",
            "/console",
            "/console/x.js",
        ] {
            assert!(is_operators(path), "{path}");
        }
        for path in [
            "/",
            "/administrators",
            "/healthz",
            "/consoles/",
            "/x/admin/v1",
        ] {
            assert!(!is_operators(path), "{path}");
        }
    }

    #[test]
    fn the_part_that_is_not_well_is_named() {
        let part = |status, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            verdict(status, body.as_bytes()).err().map(|not| not.part)
        };
        assert_eq!(part(200, r#"{"status":"ok","store":"ok","ca":"ok"}"#), None);
        for (body, expected) in [
            (r#"{"status":"error","store":"error","ca":"ok"}"#, "store"),
            (
                r#"{"status":"error","store":"error","ca":"error"}"#,
                "store",
            ),
            (r#"{"status":"error","store":"ok","ca":"error"}"#, "ca"),
            ("", "component"),
            (r#"{"status":500}"#, "component"),
        ] {
            assert_eq!(part(503, body), Some(expected), "{body}");
        }
        let told = verdict(
            StatusCode::SERVICE_UNAVAILABLE,
            br#"{"store":"ok","ca":"error","detail":"it ended"}"#,
        );
        assert_eq!(told.unwrap_err().detail, "it ended");
    }
}
