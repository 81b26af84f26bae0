//! The answers of faults: problem documents (RFC 9457) as the server makes them, and pages as proxies do.

use anonymous_domains_protocol::problem::{ErrorName, MEDIA_TYPE, Problem};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};

use crate::InvalidFault;

const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

const DETAIL: &str = "this is a test server, which was asked to answer so";

/// When to try again what the server refuses with 429 or 503, in seconds, if nothing else is asked for.
const RETRY_AFTER_S: u32 = 1;

/// An error of the protocol, as the answer to a request with these headers. `instance` is the
/// request's URN.
pub fn error(
    name: ErrorName,
    retry_after: Option<u32>,
    request: &HeaderMap,
    instance: String,
) -> Response<Bytes> {
    let mut problem = Problem::new(name, DETAIL);
    problem.instance = Some(instance);
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let waits = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    let retry_after = retry_after.or(waits.then_some(RETRY_AFTER_S));
    let mut response = document(status, body, retry_after);
    let headers = response.headers_mut();
    if let Some(challenge) = name.challenge(has_token(request)) {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    match name {
        // No method, as far as this answer goes (RFC 9110 section 10.2.1).
        ErrorName::MethodNotAllowed => {
            headers.insert(ALLOW, HeaderValue::from_static(""));
        }
        ErrorName::RateLimited => {
            let after = retry_after.unwrap_or(RETRY_AFTER_S);
            headers.insert(
                RATE_LIMIT_POLICY,
                HeaderValue::from_static("\"test-fault\";q=1;w=1"),
            );
            // Letters, digits and punctuation of ASCII.
            if let Ok(value) = HeaderValue::try_from(format!("\"test-fault\";r=0;t={after}")) {
                headers.insert(RATE_LIMIT, value);
            }
        }
        _ => {}
    }
    response
}

/// An HTTP error as a proxy in front of the server makes it, in HTML.
pub fn status(status: StatusCode, retry_after: Option<u32>) -> Response<Bytes> {
    let title = format!(
        "{} {}",
        status.as_u16(),
        status.canonical_reason().unwrap_or("Error")
    );
    let page = format!(
        "<html>\n<head><title>{title}</title></head>\n<body><h1>{title}</h1></body>\n</html>\n"
    );
    let mut response = document(status, page.into(), retry_after);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

/// `INVALID_REQUEST`: the request asks for a fault that there is not.
pub fn invalid(fault: &InvalidFault, instance: String) -> Response<Bytes> {
    let name = ErrorName::InvalidRequest;
    let mut problem = Problem::new(name, format!("the header Test-Fault: {fault}"));
    problem.instance = Some(instance);
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    document(StatusCode::BAD_REQUEST, body, None)
}

/// Whether the request has a token (RFC 6750 section 2.1).
fn has_token(request: &HeaderMap) -> bool {
    let value = request.get(AUTHORIZATION);
    let scheme = value.and_then(|value| value.as_bytes().get(..7));
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
}

fn document(status: StatusCode, body: Vec<u8>, retry_after: Option<u32>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(after) = retry_after {
        headers.insert(RETRY_AFTER, after.into());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: ErrorName, request: &HeaderMap) -> Response<Bytes> {
        error(name, Some(7), request, "urn:request:r-1".into())
    }

    #[test]
    fn every_error_is_the_servers_document_with_its_headers() {
        let mut request = HeaderMap::new();
        request.insert(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        for name in ErrorName::ALL {
            let response = of(*name, &request);
            assert_eq!(response.status().as_u16(), name.status());
            let headers = response.headers();
            assert_eq!(headers[CONTENT_TYPE], MEDIA_TYPE);
            assert_eq!(headers[RETRY_AFTER], "7");
            let challenged = matches!(name.status(), 401) || *name == ErrorName::AdminForbidden;
            assert_eq!(headers.contains_key(WWW_AUTHENTICATE), challenged, "{name}");
            assert_eq!(headers.contains_key(ALLOW), name.status() == 405);
            assert_eq!(headers.contains_key(RATE_LIMIT), name.status() == 429);
            let problem: Problem = serde_json::from_slice(response.body()).unwrap();
            assert_eq!(problem.error_name(), Some(*name));
            assert_eq!(problem.instance.as_deref(), Some("urn:request:r-1"));
        }
        let required = ErrorName::DomAuthenticationRequired;
        let with_token = of(required, &request);
        assert!(format!("{:?}", with_token.headers()).contains("invalid_token"));
        let mut basic = HeaderMap::new();
        for _ in 0..2 {
            let without = of(required, &basic);
            assert_eq!(without.headers()[WWW_AUTHENTICATE], "Bearer");
            basic.insert(AUTHORIZATION, HeaderValue::from_static("Basic eDp5"));
        }
    }

    #[test]
    fn a_status_is_a_proxys_page() {
        let response = status(StatusCode::BAD_GATEWAY, None);
        assert_eq!(response.status(), 502);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/html");
        let page = str::from_utf8(response.body()).unwrap();
        assert!(page.contains("<title>502 Bad Gateway</title>"), "{page}");
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        assert!(
            !status(unavailable, None)
                .headers()
                .contains_key(RETRY_AFTER)
        );
        assert_eq!(status(unavailable, Some(7)).headers()[RETRY_AFTER], "7");
    }

    #[test]
    fn who_has_to_wait_is_told_for_how_long() {
        for name in ErrorName::ALL {
            let response = error(*name, None, &HeaderMap::new(), String::new());
            let after = response.headers().get(RETRY_AFTER);
            assert_eq!(
                after.is_some(),
                matches!(name.status(), 429 | 503),
                "{name}"
            );
        }
    }
}
