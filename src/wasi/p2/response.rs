//! The response.
//!
//! The body is written, as far as the host takes it, and finished before the head is given to the
//! host. Then a host such as hyper finds both at once and sends them in one segment; otherwise the
//! body could wait for the client's delayed acknowledgement of the head, 40 ms.

use http::Response;

use super::{
    streams::{OutputStream, StreamError},
    types::{ErrorCode, Fields, OutgoingBody, OutgoingResponse, ResponseOutparam},
};

/// Sends a response. If the client is gone, the rest of it is not sent.
pub fn send(response: Response<Vec<u8>>, out: ResponseOutparam) {
    let (head, bytes) = response.into_parts();
    let entries: Vec<_> = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect();
    let Ok(fields) = Fields::from_list(&entries) else {
        let error = "the host refuses a header of the response".to_owned();
        return ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some(error))));
    };
    let response = OutgoingResponse::new(fields);
    let body = response.body();
    // Both only fail for a status that is none, or when called again.
    let (Ok(()), Ok(body)) = (response.set_status_code(head.status.as_u16()), body) else {
        let error = "the host refuses the response".to_owned();
        return ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some(error))));
    };
    let Ok(stream) = body.write() else {
        return ResponseOutparam::set(out, Ok(response));
    };
    let written = write_some(&stream, &bytes).unwrap_or(bytes.len());
    if written == bytes.len() {
        finish(stream, body);
        ResponseOutparam::set(out, Ok(response));
    } else {
        ResponseOutparam::set(out, Ok(response));
        if write_rest(&stream, &bytes[written..]).is_ok() {
            finish(stream, body);
        }
    }
}

/// Writes as much as the host takes now, and gives how much that was.
fn write_some(stream: &OutputStream, bytes: &[u8]) -> Result<usize, StreamError> {
    let room = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
    let written = room.min(bytes.len());
    if written > 0 {
        stream.write(&bytes[..written])?;
    }
    Ok(written)
}

fn write_rest(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    while !bytes.is_empty() {
        stream.subscribe().block();
        bytes = &bytes[write_some(stream, bytes)?..];
    }
    Ok(())
}

fn finish(stream: OutputStream, body: OutgoingBody) {
    drop(stream);
    // An error means that the client is gone.
    let _ = OutgoingBody::finish(body, None);
}
