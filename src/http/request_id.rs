//! The id of a request: `X-Request-Id`.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Builder;

use crate::environment::Environment;

/// The header.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// A longer id is not taken over, in characters.
const MAX_CHARACTERS: usize = 64;

/// What a request is called in its answer, in problems and in events: what the client, or a proxy,
/// calls it, or a UUID of version 7 (RFC 9562 section 5.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The id that the headers give, if it is one, or else a new one.
    pub fn of(headers: &HeaderMap, env: &impl Environment) -> Self {
        match stated(headers) {
            Some(id) => Self(id.to_owned()),
            None => Self::random(env),
        }
    }

    fn random(env: &impl Environment) -> Self {
        let mut random = [0; 10];
        env.fill_random(&mut random);
        let ms = u64::try_from(env.now_ms()).unwrap_or_default();
        let uuid = Builder::from_unix_timestamp_millis(ms, &random).into_uuid();
        Self(uuid.hyphenated().to_string())
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as `X-Request-Id` has it.
    pub(super) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("an id has only letters, digits and -._")
    }

    /// The id as a URI, for a problem's `instance` (RFC 9457 section 3.1.5): `urn:uuid:` if it is a
    /// UUID, else `urn:request:`.
    pub fn to_urn(&self) -> String {
        let kind = match is_uuid(&self.0) {
            true => "uuid",
            false => "request",
        };
        let mut urn = String::with_capacity(13 + self.0.len());
        // Writing to a text cannot fail.
        let _ = write!(urn, "urn:{kind}:{}", self.0);
        urn
    }
}

fn stated(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(HEADER).iter();
    let (Some(one), None) = (values.next(), values.next()) else {
        return None;
    };
    let is_allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    one.to_str()
        .ok()
        .filter(|id| (1..=MAX_CHARACTERS).contains(&id.len()) && id.bytes().all(is_allowed))
}

/// Whether this is a UUID with hyphens. The forms of the `uuid` crate are more.
fn is_uuid(id: &str) -> bool {
    id.len() == 36 && id.contains('-') && uuid::Uuid::try_parse(id).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Environment for Fixed {
        fn now_ms(&self) -> i64 {
            0x0123_4567_89ab
        }

        async fn sleep_ms(&self, _ms: u64) {}

        fn fill_random(&self, bytes: &mut [u8]) {
            bytes.fill(0xff);
        }

        fn log(&self, _line: &str) {}
    }

    fn id(values: &[&'static str]) -> RequestId {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_static(value));
        }
        RequestId::of(&headers, &Fixed)
    }

    #[test]
    fn the_clients_id_is_kept_if_it_is_one() {
        let longest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        for given in ["a", "A.b_c-9", longest] {
            assert_eq!(id(&[given]).as_str(), given);
            assert_eq!(id(&[given]).to_urn(), format!("urn:request:{given}"));
        }
    }

    #[test]
    fn otherwise_it_is_a_uuid_of_version_7() {
        let new = "01234567-89ab-7fff-bfff-ffffffffffff";
        let too_long = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdefg";
        for given in [
            &[][..],
            &[""],
            &["a b"],
            &["a\"b"],
            &["{}"],
            &[too_long],
            &["a", "b"],
        ] {
            assert_eq!(id(given).as_str(), new, "{given:?}");
        }
        assert_eq!(id(&[]).to_urn(), format!("urn:uuid:{new}"));
    }

    #[test]
    fn a_uuid_of_the_clients_is_one() {
        let given = "0D4F0E6C-1111-4222-8333-444455556666";
        assert_eq!(id(&[given]).to_urn(), format!("urn:uuid:{given}"));
        let simple = "0d4f0e6c111142228333444455556666";
        assert_eq!(id(&[simple]).to_urn(), format!("urn:request:{simple}"));
    }
}
