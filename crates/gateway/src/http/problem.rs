//! The gateway's own error responses: problem documents (RFC 9457).

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};

use super::rate_limit::Refusal;
use crate::observation::RequestId;

const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Why the gateway itself responds, and not the component.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Problem {
    /// The request has no host, several hosts, or an invalid one; or its target is not a path.
    BadTarget(&'static str),
    /// The body ended early, or is not valid HTTP.
    BadBody,
    /// The body is longer than the component accepts.
    BodyTooLarge,
    /// The body did not arrive in time.
    BodyTimeout,
    /// There are more requests than the gateway can handle.
    Overloaded,
    /// The client, or all who ask for a domain, asked too often.
    RateLimited(Refusal),
    /// The component did not answer in time.
    GuestTimeout,
    /// The component failed.
    GuestFailed,
    /// The audit log cannot be written.
    NotRecorded,
    /// The path is not served here.
    NotFound,
}

impl Problem {
    /// The response to the request `id`: `application/problem+json`.
    ///
    /// It has `error` and a `type` other than `about:blank` if the domain protocol has a name for
    /// the error. It has none for overload and timeouts: there clients see a plain HTTP error, and
    /// retry.
    pub fn into_response(self, id: &RequestId) -> Response<Bytes> {
        let (status, error, title, detail) = match self {
            Self::BadTarget(detail) => (
                StatusCode::BAD_REQUEST,
                Some("INVALID_REQUEST"),
                "The request is malformed",
                detail,
            ),
            Self::BadBody => (
                StatusCode::BAD_REQUEST,
                Some("INVALID_REQUEST"),
                "The request is malformed",
                "the body could not be read",
            ),
            Self::BodyTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                Some("PAYLOAD_TOO_LARGE"),
                "The request is too large",
                "a device's request may have 64 KiB, and an operator's 1 MiB",
            ),
            Self::BodyTimeout => (
                StatusCode::REQUEST_TIMEOUT,
                None,
                "The request did not arrive in time",
                "the body came too slowly",
            ),
            Self::Overloaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                None,
                "The server is overloaded",
                "try again later",
            ),
            Self::RateLimited(refusal) => (
                StatusCode::TOO_MANY_REQUESTS,
                Some("RATE_LIMITED"),
                "A limit has been reached",
                match refusal.limit {
                    "domain" => "there are too many requests for this domain; try again later",
                    _ => "there are too many requests of this client; try again later",
                },
            ),
            Self::GuestTimeout => (
                StatusCode::GATEWAY_TIMEOUT,
                None,
                "The request took too long",
                "it was given up; whether it took effect is unknown",
            ),
            Self::GuestFailed => (
                StatusCode::INTERNAL_SERVER_ERROR,
                Some("INTERNAL"),
                "The server failed",
                "the server failed; its log says why",
            ),
            Self::NotRecorded => (
                StatusCode::INTERNAL_SERVER_ERROR,
                Some("INTERNAL"),
                "The server failed",
                "the server cannot record changes, and may not make any without; its log says why",
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                Some("NOT_FOUND"),
                "There is nothing here",
                "there is nothing at this path",
            ),
        };
        let name = error.map_or(Named::Nothing, Named::Protocol);
        let mut response = document(status, name, title, detail, id);
        let headers = response.headers_mut();
        match self {
            Self::Overloaded => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::RateLimited(refusal) => rate_limit_headers(refusal, headers),
            _ => {}
        }
        response
    }
}

/// `Retry-After`, and what draft-ietf-httpapi-ratelimit-headers has.
fn rate_limit_headers(refusal: Refusal, headers: &mut HeaderMap) {
    let Refusal {
        limit,
        quota,
        window_s,
        retry_after_s,
    } = refusal;
    let fields = [
        (
            RATE_LIMIT_POLICY,
            format!("\"{limit}\";q={quota};w={window_s}"),
        ),
        (RATE_LIMIT, format!("\"{limit}\";r=0;t={retry_after_s}")),
    ];
    for (field, text) in fields {
        // The names are letters.
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(field, value);
        }
    }
    headers.insert(RETRY_AFTER, retry_after_s.into());
}

/// What a problem document says besides its texts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Named {
    /// A plain HTTP error.
    Nothing,
    /// An error of the domain protocol.
    Protocol(&'static str),
    /// The part of the server that is not well.
    Part(&'static str),
}

/// A problem document that answers the request `id`.
pub(super) fn document(
    status: StatusCode,
    name: Named,
    title: &str,
    detail: &str,
    id: &RequestId,
) -> Response<Bytes> {
    let kind = match name {
        Named::Protocol(error) => format!(
            "urn:anonymous-domains:error:{}",
            error.to_ascii_lowercase().replace('_', "-")
        ),
        _ => "about:blank".into(),
    };
    let mut document = serde_json::json!({
        "type": kind,
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
        "instance": id.urn(),
    });
    match name {
        Named::Nothing => {}
        Named::Protocol(error) => document["error"] = error.into(),
        Named::Part(part) => document["part"] = part.into(),
    }
    let mut response = Response::new(Bytes::from(document.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn id() -> RequestId {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_static("r-1"));
        RequestId::of(&headers)
    }

    fn parts(problem: Problem) -> (Response<()>, serde_json::Value) {
        let (parts, body) = problem.into_response(&id()).into_parts();
        let document = serde_json::from_slice(&body).unwrap();
        (Response::from_parts(parts, ()), document)
    }

    #[test]
    fn no_response_of_the_gateway_may_be_cached() {
        for problem in [
            Problem::BadTarget("the target is no path"),
            Problem::BadBody,
            Problem::BodyTooLarge,
            Problem::BodyTimeout,
            Problem::Overloaded,
            Problem::RateLimited(REFUSAL),
            Problem::GuestTimeout,
            Problem::GuestFailed,
            Problem::NotRecorded,
            Problem::NotFound,
        ] {
            let (response, document) = parts(problem);
            let headers = response.headers();
            assert_eq!(headers[CONTENT_TYPE], "application/problem+json");
            assert_eq!(headers[CACHE_CONTROL], "no-store", "{problem:?}");
            assert_eq!(document["status"], response.status().as_u16());
            assert_eq!(document["instance"], "urn:request:r-1");
        }
    }

    #[test]
    fn a_failure_is_the_protocols_internal_error() {
        let (response, document) = parts(Problem::GuestFailed);
        assert_eq!(response.status(), 500);
        assert_eq!(document["error"], "INTERNAL");
        assert_eq!(document["type"], "urn:anonymous-domains:error:internal");
    }

    const REFUSAL: Refusal = Refusal {
        limit: "domain",
        quota: 10,
        window_s: 2,
        retry_after_s: 7,
    };

    #[test]
    fn a_refused_client_learns_what_the_limit_is() {
        let (response, document) = parts(Problem::RateLimited(REFUSAL));
        assert_eq!(response.status(), 429);
        assert_eq!(document["error"], "RATE_LIMITED");
        let headers = response.headers();
        assert_eq!(headers["retry-after"], "7");
        assert_eq!(headers["ratelimit-policy"], "\"domain\";q=10;w=2");
        assert_eq!(headers["ratelimit"], "\"domain\";r=0;t=7");
    }

    #[test]
    fn overload_is_not_an_error_of_the_protocol() {
        let (response, document) = parts(Problem::Overloaded);
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        assert_eq!(document["type"], "about:blank");
        assert!(document.get("error").is_none() && document.get("code").is_none());
    }
}
