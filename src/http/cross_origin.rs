//! Requests of web pages from other origins (CORS, in the Fetch standard): a browser lets a page read
//! an answer, and send a device's request at all, only if the answer says so.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header, request::Parts,
};

use super::route::Route;
use crate::settings::CorsOrigins;

/// What a page may send besides what every page may.
const REQUEST_HEADERS: &str = "authorization, content-type, traceparent, x-request-id";

/// What a page may read besides what every page may.
const RESPONSE_HEADERS: &str =
    "date, link, ratelimit, ratelimit-policy, retry-after, www-authenticate, x-request-id";

/// How long a browser may remember the answer to a preflight, in seconds. None remembers it for
/// much longer.
const MAX_AGE_S: &str = "7200";

/// What concerns other origins in one request.
#[derive(Clone, Copy)]
pub(super) struct CrossOrigin<'a> {
    /// The request's origin, if it is one of `cors_origins`.
    allowed: Option<&'a str>,
}

impl<'a> CrossOrigin<'a> {
    /// What concerns other origins in this request; `None` if nothing does: there are no
    /// `cors_origins`, or the path is not one of a device's.
    pub(super) fn of(head: &Parts, origins: &'a CorsOrigins) -> Option<Self> {
        if origins.is_empty() {
            return None;
        }
        let is_devices = matches!(
            Route::of(head.uri.path()),
            Some(
                Route::Register(_)
                    | Route::Deregister(_)
                    | Route::Domain(_)
                    | Route::CaCertificate
                    | Route::NextCaCertificate
            )
        );
        is_devices.then(|| Self {
            allowed: one(&head.headers, header::ORIGIN)
                .and_then(|origin| origins.find(origin.as_bytes())),
        })
    }

    /// The answer to a preflight, which takes no part in what the server does. A request of another
    /// origin is none, and is refused as every OPTIONS is.
    pub(super) fn preflight(self, head: &Parts) -> Option<Response<Vec<u8>>> {
        self.allowed?;
        one(&head.headers, header::ACCESS_CONTROL_REQUEST_METHOD)?;
        if head.method != Method::OPTIONS {
            return None;
        }
        let mut response = Response::new(Vec::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let allow = Route::of(head.uri.path())?.allow();
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, allow),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_S),
        ] {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        Some(response)
    }

    /// What every answer says, refusals among them.
    pub(super) fn say(self, headers: &mut HeaderMap) {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        // A setting's origin is visible ASCII.
        let origin = self.allowed.map(HeaderValue::from_str);
        if let Some(Ok(origin)) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            let exposed = HeaderValue::from_static(RESPONSE_HEADERS);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }
}

/// The value of a header that is there once.
fn one(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}
