//! A relay between the demo's devices and its gateway, which shows what goes over the wire.
//!
//! It takes one request per connection, as the `Connection: close` that it adds tells both sides.
//! What it shows is for people: long texts (certificates, signatures, encrypted keys) are cut.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result};
use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::Value;

/// Starts relaying to `server` on a free port; goes on until the process ends.
///
/// # Errors
/// When no port can be had.
pub fn start(server: SocketAddr) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on a free port")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for device in listener.incoming().flatten() {
            // One at a time: so do the demo's devices ask.
            if let Err(error) = exchange(device, server) {
                eprintln!("relay: {error:#}");
            }
        }
    });
    Ok(address)
}

/// Relays one request and its answer.
fn exchange(mut device: TcpStream, server: SocketAddr) -> Result<()> {
    let Some(request) = Message::read(&mut device)? else {
        return Ok(()); // A connection that was opened in vain.
    };
    let mut upstream = TcpStream::connect(server)?;
    upstream.write_all(&request.closing())?;
    let answer = Message::read(&mut upstream)?.context("the gateway gave no answer")?;
    print!("{}{}", shown_request(&request), shown_answer(&answer));
    device.write_all(&answer.closing())?;
    Ok(())
}

/// An HTTP/1.1 message whose body, if any, has a `Content-Length`.
struct Message {
    /// The first line, and the header lines, without the empty line.
    head: String,
    body: Vec<u8>,
}

impl Message {
    /// Reads one message; `None` if the stream ends before its first byte.
    fn read(stream: &mut impl Read) -> Result<Option<Self>> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte)? == 0 {
                return if head.is_empty() {
                    Ok(None)
                } else {
                    Err(cut_off())
                };
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head)
            .context("a header is not UTF-8")?
            .trim_end()
            .to_owned();
        let mut message = Self {
            head,
            body: Vec::new(),
        };
        if let Some(length) = message.header("content-length") {
            message.body = vec![0; length.parse().context("a strange Content-Length")?];
            stream
                .read_exact(&mut message.body)
                .map_err(|_| cut_off())?;
        } else if message.header("transfer-encoding").is_some() {
            message.body = read_chunks(stream)?;
        }
        Ok(Some(message))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The message as the last one on its connection, its body with a `Content-Length`.
    fn closing(&self) -> Vec<u8> {
        let hop_by_hop = ["connection", "content-length", "transfer-encoding"];
        let mut bytes = String::new();
        for line in self.head.lines() {
            let name = line.split(':').next().unwrap_or_default();
            if !hop_by_hop.iter().any(|hop| name.eq_ignore_ascii_case(hop)) {
                bytes += line;
                bytes += "\r\n";
            }
        }
        bytes += &format!(
            "content-length: {}\r\nconnection: close\r\n\r\n",
            self.body.len()
        );
        [bytes.as_bytes(), &self.body].concat()
    }

    /// The first line without the version: `POST /path`, or `200 OK`.
    fn summary(&self) -> String {
        let first = self.head.lines().next().unwrap_or_default();
        first
            .split(' ')
            .filter(|word| !word.starts_with("HTTP/"))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

fn cut_off() -> anyhow::Error {
    anyhow::anyhow!("the connection was closed in the middle of a message")
}

/// Reads a chunked body (RFC 9112 section 7.1) without trailers.
fn read_chunks(stream: &mut impl Read) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = Vec::new();
        while !size.ends_with(b"\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).map_err(|_| cut_off())?;
            size.push(byte[0]);
        }
        let size = usize::from_str_radix(str::from_utf8(&size)?.trim_end(), 16)
            .context("a strange chunk size")?;
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).map_err(|_| cut_off())?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// A request, with what its JWS says instead of the JWS itself.
fn shown_request(request: &Message) -> String {
    let mut shown = format!("    -> {}\n", request.summary());
    if let Ok(jws) = serde_json::from_slice::<Value>(&request.body) {
        for (name, of) in [("protected", "header"), ("payload", "payload")] {
            if let Some(part) = jws[name].as_str().and_then(decoded) {
                shown += &indented(&format!("signed {of} "), &part);
            }
        }
    }
    shown
}

fn shown_answer(answer: &Message) -> String {
    let mut shown = format!("    <- {}\n", answer.summary());
    match serde_json::from_slice(&answer.body) {
        Ok(json) => shown += &indented("", &json),
        Err(_) if answer.body.is_empty() => {}
        Err(_) => {
            let kind = answer.header("content-type").unwrap_or("no content type");
            shown += &format!("       {} bytes, {kind}\n", answer.body.len());
        }
    }
    shown
}

/// The JSON in a base64url text.
fn decoded(base64url: &str) -> Option<Value> {
    let bytes = Base64UrlUnpadded::decode_vec(base64url).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// A JSON object with one member per line, each on its own line only down to the first level.
fn indented(label: &str, json: &Value) -> String {
    let mut short = json.clone();
    shorten(&mut short);
    let Value::Object(members) = short else {
        return format!("       {label}{short}\n");
    };
    let mut shown = format!("       {label}{{\n");
    for (name, value) in members {
        match value {
            Value::Array(items) if items.iter().any(Value::is_object) => {
                shown += &format!("         \"{name}\": [\n");
                for item in items {
                    shown += &format!("           {item}\n");
                }
                shown += "         ]\n";
            }
            value => shown += &format!("         \"{name}\": {value}\n"),
        }
    }
    shown + "       }\n"
}

/// Cuts every text that no person would read to its end.
fn shorten(json: &mut Value) {
    const LONGEST: usize = 80;
    match json {
        Value::String(text) if text.chars().count() > LONGEST => {
            let start: String = text.chars().take(10).collect();
            *text = format!("{start}... ({} characters)", text.chars().count());
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(members) => members.values_mut().for_each(shorten),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_to_its_end_and_no_further() {
        let mut stream = &b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 204"[..];
        let message = Message::read(&mut stream).unwrap().unwrap();
        assert_eq!(message.summary(), "200 OK");
        assert_eq!(message.body, b"{}");
        assert_eq!(stream, b"HTTP/1.1 204");
    }

    #[test]
    fn chunks_become_one_body_of_known_length() {
        let mut stream =
            &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\
            \r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"[..];
        let message = Message::read(&mut stream).unwrap().unwrap();
        let closing = String::from_utf8(message.closing()).unwrap();
        assert_eq!(
            closing,
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nabcde"
        );
    }

    #[test]
    fn a_message_that_is_cut_off_is_an_error() {
        for cut in [
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        ] {
            assert!(Message::read(&mut cut.as_bytes()).is_err());
        }
        assert!(Message::read(&mut &b""[..]).unwrap().is_none());
    }

    #[test]
    fn long_texts_are_cut_by_characters() {
        let mut json = serde_json::json!({ "x5c": ["é".repeat(81)], "kid": "é".repeat(80) });
        shorten(&mut json);
        assert_eq!(
            json["x5c"][0],
            format!("{}... (81 characters)", "é".repeat(10))
        );
        assert_eq!(json["kid"], "é".repeat(80));
    }
}
