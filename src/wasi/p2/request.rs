//! The head of a request.

use http::{HeaderName, HeaderValue, Method, Request, Uri, request::Parts};

use super::types::{self, IncomingRequest, Scheme};

/// The head of a request; `None` if the host gave something that HTTP does not know.
pub fn head(request: &IncomingRequest) -> Option<Parts> {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = method(request.method())?;
    parts.uri = uri(request)?;
    for (name, value) in request.headers().entries() {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let value = HeaderValue::from_maybe_shared(bytes::Bytes::from(value)).ok()?;
        parts.headers.append(name, value);
    }
    Some(parts)
}

fn method(method: types::Method) -> Option<Method> {
    Some(match method {
        types::Method::Get => Method::GET,
        types::Method::Head => Method::HEAD,
        types::Method::Post => Method::POST,
        types::Method::Put => Method::PUT,
        types::Method::Delete => Method::DELETE,
        types::Method::Connect => Method::CONNECT,
        types::Method::Options => Method::OPTIONS,
        types::Method::Trace => Method::TRACE,
        types::Method::Patch => Method::PATCH,
        types::Method::Other(name) => Method::from_bytes(name.as_bytes()).ok()?,
    })
}

/// The URI: absolute where the host knows its own name.
fn uri(request: &IncomingRequest) -> Option<Uri> {
    let path = request.path_with_query().unwrap_or_else(|| "/".into());
    let Some(authority) = request.authority() else {
        return path.parse().ok();
    };
    let scheme = match request.scheme() {
        None | Some(Scheme::Http) => "http".to_owned(),
        Some(Scheme::Https) => "https".to_owned(),
        Some(Scheme::Other(scheme)) => scheme,
    };
    let uri = Uri::builder()
        .scheme(scheme.as_str())
        .authority(authority)
        .path_and_query(path);
    uri.build().ok()
}
