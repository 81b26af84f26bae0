//! Where a server is.

use anonymous_domains_client::is_readable_on_the_way;
use http::Uri;
use std::fmt;

/// A server's URL: http or https, an authority, and a path before `/admin/v1` where the server is
/// behind one; no slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl(String);

/// The text is no server's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a server's URL begins with http:// or https://, has a host, and neither a user name, a query nor a fragment, such as https://domains.example"
)]
pub struct InvalidServerUrl;

impl ServerUrl {
    /// Parses an absolute URL; slashes at its end are ignored.
    ///
    /// # Errors
    ///
    /// [`InvalidServerUrl`] for another scheme, user information, a query or a fragment.
    pub fn parse(text: &str) -> Result<Self, InvalidServerUrl> {
        let uri: Uri = text.parse().map_err(|_| InvalidServerUrl)?;
        let scheme = uri
            .scheme_str()
            .map(str::to_ascii_lowercase)
            .filter(|scheme| scheme == "http" || scheme == "https")
            .ok_or(InvalidServerUrl)?;
        let authority = uri
            .authority()
            .filter(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'))
            .ok_or(InvalidServerUrl)?;
        // `Uri` drops a fragment by itself.
        if text.contains(['?', '#']) {
            return Err(InvalidServerUrl);
        }
        let path = uri.path().trim_end_matches('/');
        Ok(Self(format!("{scheme}://{authority}{path}")))
    }

    /// The URL of a path below it; `path` begins with a slash.
    pub(crate) fn join(&self, path: &str) -> Result<Uri, http::uri::InvalidUri> {
        format!("{}{path}", self.0).parse()
    }

    /// Whether what is sent there can be read on the way: http to another machine.
    pub fn is_readable_on_the_way(&self) -> bool {
        self.0.parse().is_ok_and(|url| is_readable_on_the_way(&url))
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_servers() {
        for (text, expected) in [
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("HTTPS://domains.example/", "https://domains.example"),
            ("https://example.org/drm//", "https://example.org/drm"),
            ("http://[::1]:3000/", "http://[::1]:3000"),
        ] {
            assert_eq!(ServerUrl::parse(text).unwrap().to_string(), expected);
        }
        for text in [
            "",
            "domains.example",
            "localhost:3000",
            "/admin/v1",
            "ftp://domains.example",
            "http://",
            "http://:3000",
            "http://user:password@domains.example",
            "http://domains.example/?a",
            "http://domains.example/#a",
            "http://domains example",
        ] {
            assert_eq!(ServerUrl::parse(text), Err(InvalidServerUrl), "{text}");
        }
    }
}
