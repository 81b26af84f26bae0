//! `wasi:http/handler@0.3`.

mod spin;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use spin_sdk::{
    http::{FullBody, Request},
    wasip3::{http::types::ErrorCode, http_compat::http_into_wasi_response},
};

pub use spin_sdk::wasip3::http::types::Response;

use crate::{
    environment::Environment,
    error::Error,
    http::{self, App, Body},
    store::Store,
};

/// Answers a request.
///
/// # Errors
/// When the host does not take the response.
pub async fn answer<S: Store, E: Environment>(
    app: &App<S, E>,
    request: Request,
) -> Result<Response, ErrorCode> {
    let pause = spin::Pause::before(&request);
    let (head, body) = request.into_parts();
    let answer = app.answer(&head, body).await;
    let answer = answer.map(|body| FullBody::new(Bytes::from(body)));
    // From here on the body's writer is a task of its own, which begins while this one pauses.
    let response = http_into_wasi_response(answer)?;
    if let Some(pause) = pause {
        pause.take().await;
    }
    Ok(response)
}

impl<B> Body for B
where
    B: http_body_util::BodyExt + http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    async fn read(self, limit: usize) -> Result<Vec<u8>, Error> {
        match Limited::new(self, limit).collect().await {
            Ok(body) => Ok(body.to_bytes().into()),
            Err(error) if error.is::<LengthLimitError>() => Err(http::body_too_long(limit)),
            Err(_) => Err(http::body_broke_off()),
        }
    }
}
