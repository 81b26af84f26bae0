//! Errors as problem documents (RFC 9457).

use anonymous_domains_protocol::problem::{ErrorName, MEDIA_TYPE, Problem};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, request::Parts};

use super::{request_id::RequestId, route::Route};
use crate::{
    authentication::Credentials,
    error::{Error, RateLimit},
};

/// When a client may try again that found the store unavailable, in seconds.
pub(super) const RETRY_AFTER_S: u32 = 1;

const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The answer to a request that ended in an error.
pub fn response(error: &Error, head: &Parts, request_id: &RequestId) -> Response<Vec<u8>> {
    let mut problem = match error {
        Error::Refused { name, detail } => Problem::new(*name, detail.as_ref()),
        Error::RateLimited(limit) => Problem::new(ErrorName::RateLimited, limit.detail()),
        Error::Unavailable(_) => Problem::new(
            ErrorName::StoreUnavailable,
            "the store did not answer in time; the request may be sent again as it is",
        ),
        Error::Fault(_) => Problem::new(
            ErrorName::Internal,
            "the server cannot answer this request; its log and /healthz say why",
        ),
    };
    problem.instance = Some(request_id.to_urn());
    // A problem is plain data, and every status of the catalogue is a status.
    let mut response = Response::new(serde_json::to_vec(&problem).unwrap_or_default());
    *response.status_mut() =
        StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some((name, value)) = header_of(&problem, head) {
        headers.insert(name, value);
    }
    if let Error::RateLimited(limit) = error {
        rate_limit_headers(*limit, headers);
    }
    response
}

/// `Retry-After`, and what draft-ietf-httpapi-ratelimit-headers has.
fn rate_limit_headers(limit: RateLimit, headers: &mut HeaderMap) {
    let RateLimit {
        name,
        quota,
        window_s,
        retry_after_s,
    } = limit;
    let window = window_s.map(|s| format!(";w={s}")).unwrap_or_default();
    let fields = [
        (RATE_LIMIT_POLICY, format!("\"{name}\";q={quota}{window}")),
        (RATE_LIMIT, format!("\"{name}\";r=0;t={retry_after_s}")),
    ];
    for (field, text) in fields {
        // The names are letters and hyphens.
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(field, value);
        }
    }
    headers.insert(header::RETRY_AFTER, retry_after_s.into());
}

/// The header that an error owes besides its document.
fn header_of(problem: &Problem, head: &Parts) -> Option<(HeaderName, HeaderValue)> {
    let name = problem.error_name()?;
    if let Some(challenge) = name.challenge(Credentials::of(&head.headers).is_sent()) {
        return Some((
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static(challenge),
        ));
    }
    match name {
        ErrorName::MethodNotAllowed => {
            let allow = Route::of(head.uri.path())?.allow();
            Some((header::ALLOW, HeaderValue::from_static(allow)))
        }
        ErrorName::StoreUnavailable => Some((header::RETRY_AFTER, RETRY_AFTER_S.into())),
        _ => None,
    }
}
