//! The URLs that the commands take.

use std::{fmt, net::IpAddr};

use http::Uri;

/// An absolute http or https URL without user name, query and fragment. Scheme and host are in
/// lower case, and the path does not end with a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    origin: String,
    path: String,
    exposes_tokens: bool,
}

/// The text is not such a URL. Its text ends a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHttpUrl {
    /// The syntax is wrong.
    #[error("it is not a URL")]
    Malformed,
    /// The scheme is missing, or is another one.
    #[error("it must begin with http:// or https://")]
    Scheme,
    /// The host is missing, or there is a user name.
    #[error("it must have a host and no user name")]
    Authority,
    /// There is a query or a fragment.
    #[error("it must have no query and no fragment")]
    QueryOrFragment,
}

impl HttpUrl {
    /// Parses a URL.
    ///
    /// # Errors
    ///
    /// [`InvalidHttpUrl`].
    pub fn parse(text: &str) -> Result<Self, InvalidHttpUrl> {
        let uri: Uri = text.parse().map_err(|_| InvalidHttpUrl::Malformed)?;
        let scheme = uri
            .scheme_str()
            .map(str::to_ascii_lowercase)
            .filter(|scheme| scheme == "http" || scheme == "https")
            .ok_or(InvalidHttpUrl::Scheme)?;
        let authority = uri
            .authority()
            .filter(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'))
            .ok_or(InvalidHttpUrl::Authority)?;
        // `Uri` drops a fragment silently.
        if text.contains(['?', '#']) {
            return Err(InvalidHttpUrl::QueryOrFragment);
        }
        Ok(Self {
            exposes_tokens: scheme == "http" && !is_loopback(authority.host()),
            origin: format!("{scheme}://{}", authority.as_str().to_ascii_lowercase()),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The path, which is empty for the root.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether others on the network could read a token that is sent there: http to another host.
    pub fn exposes_tokens(&self) -> bool {
        self.exposes_tokens
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_one_form() {
        for (text, expected) in [
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("HTTPS://Domains.example/", "https://domains.example"),
            ("https://example.org/Drm//", "https://example.org/Drm"),
            ("http://[::1]:3000/", "http://[::1]:3000"),
        ] {
            assert_eq!(HttpUrl::parse(text).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        use InvalidHttpUrl::{Authority, Malformed, QueryOrFragment, Scheme};
        for (text, expected) in [
            ("", Malformed),
            ("http://", Malformed),
            ("http://domains example", Malformed),
            ("domains.example", Scheme),
            ("/admin/v1", Scheme),
            ("ftp://domains.example", Scheme),
            ("http://:3000", Authority),
            ("http://user:password@domains.example", Authority),
            ("http://domains.example/?a", QueryOrFragment),
            ("http://domains.example/#a", QueryOrFragment),
        ] {
            assert_eq!(HttpUrl::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn only_http_to_other_hosts_exposes_tokens() {
        for (text, expected) in [
            ("http://example.org/a", true),
            ("http://192.0.2.1:3000/a", true),
            ("https://example.org/a", false),
            ("http://127.0.0.1:3000/a", false),
            ("http://[::1]:3000/a", false),
            ("http://LOCALHOST/a", false),
        ] {
            let url = HttpUrl::parse(text).unwrap();
            assert_eq!(url.exposes_tokens(), expected, "{text}");
        }
    }
}
