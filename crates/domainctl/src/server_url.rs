//! The URL of a server.

use std::fmt;

use anonymous_domains_client::HttpUrl;
use http::Uri;

/// A server's URL, with a path before `/admin/v1` if the server is behind one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl(HttpUrl);

/// The text is not a server's URL.
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
        HttpUrl::parse(text).map(Self).map_err(|_| InvalidServerUrl)
    }

    /// The URL of a path below it; `path` begins with a slash.
    pub(crate) fn join(&self, path: &str) -> Result<Uri, http::uri::InvalidUri> {
        format!("{}{path}", self.0).parse()
    }

    /// Whether others on the network could read the token: http to another host.
    pub fn exposes_tokens(&self) -> bool {
        self.0.exposes_tokens()
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
