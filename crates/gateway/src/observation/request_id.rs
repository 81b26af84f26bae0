//! Request ids: one for each request, the client's or a new one.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header field of the id, in requests and in responses.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that a client may choose, in bytes.
const MAX_BYTES: usize = 64;

/// The id of a request: 1 to 64 letters, digits, dots, underscores and hyphens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id in the header of a request. A new one, a UUID of version 7 (RFC 9562), if there is
    /// none, there are several, or it is no id.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(REQUEST_ID).iter();
        match (values.next(), values.next()) {
            (Some(value), None) if is_id(value.as_bytes()) => Self(value.clone()),
            _ => Self::new(),
        }
    }

    /// A new id.
    fn new() -> Self {
        let mut bytes = [0; 16];
        // Without random numbers the time alone would do: nothing depends on this.
        let _ = getrandom::fill(&mut bytes[6..]);
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let ms = since.map_or(0, |since| since.as_millis() as u64);
        bytes[..6].copy_from_slice(&ms.to_be_bytes()[2..]);
        bytes[6] = bytes[6] & 0x0f | 0x70;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut text = [0; 36];
        let mut at = 0;
        for (index, byte) in bytes.into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                text[at] = b'-';
                at += 1;
            }
            for digit in [byte >> 4, byte & 15] {
                text[at] = b"0123456789abcdef"[usize::from(digit)];
                at += 1;
            }
        }
        Self(HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("-")))
    }

    /// As a header value.
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// As the `instance` of a problem document: `urn:uuid:` (RFC 9562) if it is a UUID in the usual
    /// form, else `urn:request:`.
    pub fn urn(&self) -> String {
        let kind = if is_uuid(self.0.as_bytes()) {
            "uuid"
        } else {
            "request"
        };
        format!("urn:{kind}:{self}")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_id(text: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    (1..=MAX_BYTES).contains(&text.len()) && text.iter().all(is_part)
}

/// Whether it is a UUID in lower case with its hyphens.
fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> RequestId {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(REQUEST_ID, HeaderValue::from_str(value).unwrap());
        }
        RequestId::of(&headers)
    }

    #[test]
    fn a_clients_id_is_kept_if_it_is_one() {
        let longest = "a".repeat(MAX_BYTES);
        for text in ["x", "A.b_c-9", &longest] {
            assert_eq!(of(&[text]).as_str(), text);
            assert_eq!(of(&[text]).urn(), format!("urn:request:{text}"));
        }
        let too_long = "a".repeat(MAX_BYTES + 1);
        for values in [
            &[][..],
            &[""],
            &["a b"],
            &["a/b"],
            &["a\"b"],
            &[too_long.as_str()],
            &["a", "b"],
        ] {
            assert!(is_uuid(of(values).0.as_bytes()), "{values:?}");
        }
    }

    #[test]
    fn a_new_id_is_a_uuid_of_version_7() {
        let now_ms = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            since.as_millis() as u64
        };
        let before = now_ms();
        let id = of(&[]);
        let text = id.as_str();
        assert_eq!(id.urn(), format!("urn:uuid:{text}"));
        assert_eq!(&text[14..15], "7");
        assert!("89ab".contains(&text[19..20]), "{text}");
        let ms = u64::from_str_radix(&text[..13].replace('-', ""), 16).unwrap();
        assert!((before..=now_ms()).contains(&ms), "{text}");
        assert_ne!(of(&[]), id);
    }

    #[test]
    fn a_uuid_of_the_clients_has_the_uuids_urn() {
        let uuid = "1601d547-aa97-4429-a699-fa6b0d991983";
        assert_eq!(of(&[uuid]).urn(), format!("urn:uuid:{uuid}"));
        let upper = uuid.to_uppercase();
        assert_eq!(of(&[&upper]).urn(), format!("urn:request:{upper}"));
    }
}
