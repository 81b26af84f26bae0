//! The body of a request.

use super::{
    streams::StreamError,
    types::{IncomingBody, IncomingRequest},
};
use crate::{
    error::Error,
    http::{self, Body},
};

/// How much is asked of the host at a time, in bytes.
const CHUNK_BYTES: u64 = 64 * 1024;

/// The body of a request that was not read yet.
pub struct Incoming(pub IncomingRequest);

impl Body for Incoming {
    async fn read(self, limit: usize) -> Result<Vec<u8>, Error> {
        // It was not consumed before, nor was its stream.
        let body = self.0.consume().map_err(|()| http::body_broke_off())?;
        read(&body, limit)
    }
}

fn read(body: &IncomingBody, limit: usize) -> Result<Vec<u8>, Error> {
    let stream = body.stream().map_err(|()| http::body_broke_off())?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(CHUNK_BYTES) {
            Ok(chunk) if bytes.len() + chunk.len() > limit => {
                return Err(http::body_too_long(limit));
            }
            Ok(chunk) if bytes.is_empty() => bytes = chunk,
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(_)) => return Err(http::body_broke_off()),
        }
    }
}
