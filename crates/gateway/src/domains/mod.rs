//! The server as a [`tower::Service`](tower_service::Service), for programs that embed it, and for
//! the gateway itself.

mod body;
mod builder;
mod check;
mod error;

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};

pub use body::Body;
pub use builder::Builder;
pub use error::{BuildError, BuildErrorKind};

use crate::http::Service;

/// The device-domain server. Clones share one component, one store and one set of limits.
///
/// It is a tower service for requests with any body of [`Bytes`], whose only error is
/// [`Infallible`]: what goes wrong is a response, an error document (RFC 9457). Requests are
/// admitted, scheduled, limited and logged as in the gateway (a tracing event with the target
/// `access`, others for warnings and errors). Connections are the other server's: what limits their
/// number, idle clients, long heads, and clients that do not read, is not part of this. So every
/// request counts as a client of its own.
///
/// A response is kept in memory, and counted, until its body is dropped. If the future of a request
/// is dropped before the request was admitted, the request has no effect. Later it is finished
/// nevertheless.
///
/// # Panics
///
/// The future of a request panics outside of a Tokio runtime with I/O and time enabled.
#[derive(Clone)]
pub struct Domains {
    service: Service,
}

impl Domains {
    /// A builder with the gateway's defaults.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The service for connections of the gateway's own.
    pub(crate) fn into_service(self) -> Service {
        self.service
    }
}

impl fmt::Debug for Domains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Domains").finish_non_exhaustive()
    }
}

impl<B> tower_service::Service<Request<B>> for Domains
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    /// Always ready: a request waits in its future.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.service.clone();
        let request = request.map(Box::pin);
        Box::pin(async move { Ok(service.answer_alone(request).await.map(Body::new)) })
    }
}

#[cfg(test)]
mod tests;
