//! Requests and answers as text, for people who want to see what is exchanged.
//!
//! Tokens are redacted. Private keys are never sent, and only come encrypted. The parts of a signed
//! request are shown decoded, and long texts are cut.

use anonymous_domains_protocol::base64url;
use http::{HeaderMap, StatusCode, header, request};
use serde_json::Value;

use crate::text::printable;

/// Texts with more characters are cut.
const LONGEST_TEXT: usize = 80;

/// How many characters of a long text are kept.
const KEPT: usize = 10;

/// A request, each line after `> `.
pub(crate) fn request(head: &request::Parts, body: Option<&str>) -> String {
    let start = format!("{} {}", head.method, head.uri);
    message(
        "> ",
        &start,
        &head.headers,
        body.unwrap_or_default().as_bytes(),
    )
}

/// An answer, each line after `< `.
pub(crate) fn answer(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> String {
    message("< ", &status.to_string(), headers, body)
}

fn message(prefix: &str, start: &str, headers: &HeaderMap, body: &[u8]) -> String {
    let mut lines = vec![start.to_owned()];
    for (name, value) in headers {
        let value = if value.is_sensitive() || name == header::AUTHORIZATION {
            "[redacted]".to_owned()
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        lines.push(format!("{name}: {value}"));
    }
    if !body.is_empty() {
        lines.push(String::new());
        match serde_json::from_slice(body) {
            Ok(json) => lines.extend(pretty(json).lines().map(str::to_owned)),
            Err(_) => lines.push(format!("({} bytes that are not JSON)", body.len())),
        }
    }
    lines
        .iter()
        .map(|line| format!("{prefix}{}", printable(line)).trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

fn pretty(mut json: Value) -> String {
    if json.get("signature").is_some() {
        for name in ["protected", "payload"] {
            if let Some(part) = json.get_mut(name)
                && let Some(decoded) = part.as_str().and_then(decode)
            {
                *part = decoded;
            }
        }
    }
    cut(&mut json);
    format!("{json:#}")
}

/// The JSON in a base64url text.
fn decode(base64url: &str) -> Option<Value> {
    serde_json::from_slice(&base64url::decode(base64url).ok()?).ok()
}

fn cut(json: &mut Value) {
    match json {
        Value::String(text) => {
            let length = text.chars().count();
            if length > LONGEST_TEXT {
                let start: String = text.chars().take(KEPT).collect();
                *text = format!("{start}... ({length} characters)");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(cut),
        Value::Object(members) => members.values_mut().for_each(cut),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};
    use serde_json::json;

    use super::*;
    use crate::token::Token;

    #[test]
    fn a_request_is_shown_without_its_token() {
        let token = Token::parse("eyJhbGciOiJub25lIn0.e30.").unwrap();
        let body = json!({
            "protected": base64url::encode(br#"{"alg":"ES256"}"#),
            "payload": base64url::encode(br#"{"iat":1}"#),
            "signature": "é".repeat(86),
        });
        let (head, ()) = Request::post("http://example.org/a/register")
            .header(header::CONTENT_TYPE, "application/jose+json")
            .header(header::AUTHORIZATION, token.header())
            .body(())
            .unwrap()
            .into_parts();
        assert_eq!(
            request(&head, Some(&body.to_string())),
            r#"> POST http://example.org/a/register
> content-type: application/jose+json
> authorization: [redacted]
>
> {
>   "payload": {
>     "iat": 1
>   },
>   "protected": {
>     "alg": "ES256"
>   },
>   "signature": "éééééééééé... (86 characters)"
> }"#
        );
        let (head, ()) = Request::get("http://example.org/")
            .header(header::AUTHORIZATION, "Bearer not-marked")
            .header("x-secret", token.header())
            .body(())
            .unwrap()
            .into_parts();
        assert_eq!(
            request(&head, None),
            "> GET http://example.org/\n> authorization: [redacted]\n> x-secret: [redacted]"
        );
    }

    #[test]
    fn an_answer_is_shown_and_cannot_do_anything_to_a_terminal() {
        let headers = HeaderMap::from_iter([(
            header::SERVER,
            HeaderValue::from_bytes("\u{9b}2J".as_bytes()).unwrap(),
        )]);
        assert_eq!(
            answer(StatusCode::OK, &headers, "{\"a\":\"\u{9b}2J\"}".as_bytes()),
            r#"< 200 OK
< server: \u{9b}2J
<
< {
<   "a": "\u{9b}2J"
< }"#
        );
        assert_eq!(
            answer(StatusCode::BAD_GATEWAY, &HeaderMap::new(), b"<html>"),
            "< 502 Bad Gateway\n<\n< (6 bytes that are not JSON)"
        );
        assert_eq!(
            answer(StatusCode::NO_CONTENT, &HeaderMap::new(), b""),
            "< 204 No Content"
        );
    }
}
