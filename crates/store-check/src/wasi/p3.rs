//! `wasi:http/handler@0.3`.

use spin_sdk::{
    http::{HeaderMap, HeaderName, HeaderValue, IntoResponse, Request as WasiRequest, StatusCode},
    http_service,
};

use super::keyvalue::Wasi;
use crate::answer::{Request, answer};

#[http_service]
async fn handle(request: WasiRequest) -> impl IntoResponse {
    let uri = request.uri();
    let authority = uri.authority().map(ToString::to_string);
    let scheme = uri.scheme_str().unwrap_or("http");
    let path = uri.path_and_query().map(ToString::to_string);
    let accept = request.headers().get("accept");
    let response = answer(
        &Wasi,
        &Request {
            method: request.method().to_string(),
            origin: authority.map(|authority| format!("{scheme}://{authority}")),
            path_and_query: path.unwrap_or_else(|| "/".into()),
            accept: accept.and_then(|value| value.to_str().ok().map(str::to_owned)),
        },
    );
    let headers: HeaderMap = response
        .headers
        .into_iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect();
    // Its statuses are all valid.
    let status = StatusCode::from_u16(response.status).unwrap_or_default();
    (status, headers, response.body)
}
