//! HTTP/2, frame by frame (RFC 9113), so that a client need not keep to its rules.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What a client sends first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames.
pub mod kind {
    /// DATA
    pub const DATA: u8 = 0;
    /// HEADERS
    pub const HEADERS: u8 = 1;
    /// RST_STREAM
    pub const RST_STREAM: u8 = 3;
    /// SETTINGS
    pub const SETTINGS: u8 = 4;
    /// PING
    pub const PING: u8 = 6;
    /// GOAWAY
    pub const GOAWAY: u8 = 7;
    /// CONTINUATION
    pub const CONTINUATION: u8 = 9;
}

/// The flag of SETTINGS and PING that confirms.
pub const ACK: u8 = 1;
/// The flag of HEADERS and DATA that ends a stream.
pub const END_STREAM: u8 = 1;
/// The flag of HEADERS and CONTINUATION that ends the fields.
pub const END_HEADERS: u8 = 4;

/// The setting SETTINGS_INITIAL_WINDOW_SIZE.
pub const INITIAL_WINDOW_SIZE: u16 = 4;

/// A frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// A frame's bytes.
///
/// # Panics
///
/// If it is longer than 16 MiB.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame");
    assert!(length < 1 << 24);
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A client's first bytes, with one setting if there is one.
pub fn opening(setting: Option<(u16, u32)>) -> Vec<u8> {
    let mut payload = Vec::new();
    if let Some((name, value)) = setting {
        payload.extend(name.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    [PREFACE, &frame(kind::SETTINGS, 0, 0, &payload)].concat()
}

/// The fields of a `GET`, which no state of the compression changes (RFC 7541).
///
/// # Panics
///
/// If one is longer than 126 bytes.
pub fn get(path: &str, authority: &str, forwarded_for: &str) -> Vec<u8> {
    // :method GET, :scheme http; then literals without indexing, whose names have the numbers 4
    // (:path) and 1 (:authority), or none.
    let mut block = vec![0x82, 0x86, 0x04];
    text(&mut block, path);
    block.push(0x01);
    text(&mut block, authority);
    block.push(0x00);
    text(&mut block, "x-forwarded-for");
    text(&mut block, forwarded_for);
    block
}

/// A field that is nothing to anybody, as a literal without indexing.
///
/// # Panics
///
/// If its value is longer than 126 bytes.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let mut block = vec![0x00];
    text(&mut block, name);
    text(&mut block, value);
    block
}

fn text(block: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).expect("a short text");
    assert!(length < 127);
    block.push(length);
    block.extend(text.as_bytes());
}

/// Reads a frame; `None` at the end.
///
/// # Errors
///
/// As the stream's.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let mut head = [0; 9];
    match stream.read_exact(&mut head).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await?;
    Ok(Some(Frame {
        kind: head[3],
        flags: head[4],
        stream: u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]),
        payload,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_is_read_as_it_was_written() {
        let bytes = frame(kind::PING, ACK, 7, &[1; 8]);
        assert_eq!(bytes[..9], [0, 0, 8, 6, 1, 0, 0, 0, 7]);
        let mut bytes = &bytes[..];
        let read_back = read(&mut bytes).await.unwrap().unwrap();
        let expected = Frame {
            kind: kind::PING,
            flags: ACK,
            stream: 7,
            payload: vec![1; 8],
        };
        assert_eq!(read_back, expected);
        assert_eq!(read(&mut bytes).await.unwrap(), None);
    }
}
