//! The `Authorization` header (RFC 9110 section 11.6.2, RFC 6750 section 2.1).

use std::fmt;

use http::{HeaderMap, header};

/// What a request brought to show who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// No bearer token: no `Authorization`, one of another scheme, or nothing after `Bearer`.
    None,
    /// A bearer token, not yet looked at.
    Bearer(&'a str),
    /// Something that was meant as a bearer token, but is none: not a `token68`, or more than one.
    Unreadable,
}

impl<'a> Credentials<'a> {
    /// Those of a request.
    pub fn of(headers: &'a HeaderMap) -> Self {
        match BearerToken::of(headers) {
            BearerToken::None => Self::None,
            BearerToken::One(token) if is_token68(token) => Self::Bearer(token),
            BearerToken::One(_) | BearerToken::Unreadable => Self::Unreadable,
        }
    }

    /// Whether a token was sent, good or bad: what decides on the challenge (RFC 6750 section 3).
    pub fn is_sent(self) -> bool {
        self != Self::None
    }
}

/// What a request has after `Bearer`, whatever it is made of. An operator's token may be any text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum BearerToken<'a> {
    /// No `Authorization`, one of another scheme, or nothing after `Bearer`.
    None,
    /// A text.
    One(&'a str),
    /// Something that was meant as a bearer token, but is no text, or not one alone.
    Unreadable,
}

impl<'a> BearerToken<'a> {
    /// That of a request.
    pub fn of(headers: &'a HeaderMap) -> Self {
        let mut sent = headers
            .get_all(header::AUTHORIZATION)
            .iter()
            .map(|field| Self::of_field(field.as_bytes()));
        match (sent.next(), sent.next()) {
            (None, _) => Self::None,
            (Some(one), None) => one,
            // A request has one; which of several counts would be anyone's guess.
            (Some(first), Some(second)) => {
                if [first, second].into_iter().chain(sent).any(Self::is_sent) {
                    Self::Unreadable
                } else {
                    Self::None
                }
            }
        }
    }

    fn is_sent(self) -> bool {
        self != Self::None
    }

    fn of_field(field: &'a [u8]) -> Self {
        const SCHEME: &[u8] = b"bearer";
        let Some((scheme, rest)) = field.split_at_checked(SCHEME.len()) else {
            return Self::None;
        };
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Self::None;
        }
        let token = match rest {
            [] => return Self::None,
            [b' ', ..] => rest.trim_ascii_start(),
            // Another scheme, whose name begins as this one's.
            [other, ..] if !other.is_ascii_whitespace() => return Self::None,
            _ => return Self::Unreadable,
        };
        match std::str::from_utf8(token) {
            Ok("") => Self::None,
            Ok(token) => Self::One(token),
            Err(_) => Self::Unreadable,
        }
    }
}

/// `token68` of RFC 9110 section 11.2, which is RFC 6750's `b64token`.
fn is_token68(text: &str) -> bool {
    let characters = text.trim_end_matches('=');
    !characters.is_empty()
        && characters
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

/// Never the token: it is as good as a password until it expires.
impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer(..)",
            Self::Unreadable => "Unreadable",
        })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(fields: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(
                header::AUTHORIZATION,
                HeaderValue::from_bytes(field).unwrap(),
            );
        }
        headers
    }

    #[test]
    fn a_bearer_token_is_found() {
        for field in [
            "Bearer a.b-c_d~e+f/g==",
            "bearer a.b-c_d~e+f/g==",
            "BEARER   a.b-c_d~e+f/g==",
        ] {
            assert_eq!(
                Credentials::of(&headers(&[field.as_bytes()])),
                Credentials::Bearer("a.b-c_d~e+f/g=="),
                "{field}"
            );
        }
    }

    #[test]
    fn other_schemes_are_no_token() {
        for fields in [
            &[][..],
            &[&b""[..]],
            &[b"Basic dXNlcjpwYXNz"],
            &[b"Bear"],
            &[b"Bearer"],
            &[b"Bearer "],
            &[b"Bearer   "],
            &[b"Bearers a.b.c"],
            &[b"Bearer\xff a.b.c"],
            &[b"Bearer-token a.b.c"],
            &[b"DPoP a.b.c"],
            &[b"a.b.c"],
            &[b"Basic dXNlcjpwYXNz", b"Token x"],
        ] {
            assert_eq!(
                Credentials::of(&headers(fields)),
                Credentials::None,
                "{fields:?}"
            );
        }
    }

    #[test]
    fn what_is_not_one_token68_is_unreadable() {
        for fields in [
            &[&b"Bearer a.b.c, Bearer a.b.c"[..]][..],
            &[b"Bearer a.b.c d"],
            &[b"Bearer \"a.b.c\""],
            &[b"Bearer ="],
            &[b"Bearer a=b"],
            &[b"Bearer token=a"],
            &[b"Bearer\ta.b.c"],
            &[b"Bearer \xc3\xa9"],
            &[b"Bearer \xff"],
            &[b"Bearer a.b.c", b"Bearer a.b.c"],
            &[b"Bearer a.b.c", b"Basic dXNlcjpwYXNz"],
            &[b"Basic dXNlcjpwYXNz", b"Bearer a.b.c"],
        ] {
            assert_eq!(
                Credentials::of(&headers(fields)),
                Credentials::Unreadable,
                "{fields:?}"
            );
        }
    }

    #[test]
    fn debug_shows_no_token() {
        assert_eq!(format!("{:?}", Credentials::Bearer("secret")), "Bearer(..)");
    }
}
