//! A domain server URL.

use std::fmt;

use anonymous_domains_client::HttpUrl;
use anonymous_domains_protocol::ids::DomainName;

use crate::error::DeviceError;

/// A domain server URL, `{origin}/flashaccess/domainserver/{domain}/`, in normal form: scheme and host
/// in lower case, the domain's name percent-decoded, and no slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainUrl {
    text: String,
    exposes_tokens: bool,
    domain: DomainName,
}

impl DomainUrl {
    /// Parses an absolute http or https URL whose last path segment is the domain's name.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Usage`] for anything else, including user information, a query and a fragment.
    ///
    /// # Example
    ///
    /// ```
    /// use anonymous_domains_device::domain_url::DomainUrl;
    ///
    /// let url = DomainUrl::parse("HTTP://Example.org/flashaccess/domainserver/living%2Droom/")?;
    /// assert_eq!(url.domain().as_str(), "living-room");
    /// assert_eq!(
    ///     url.register(),
    ///     "http://example.org/flashaccess/domainserver/living-room/register"
    /// );
    /// assert!(DomainUrl::parse("living-room").is_err());
    /// # Ok::<(), anonymous_domains_device::error::DeviceError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, DeviceError> {
        // A URL with user information may have a password.
        let shown = if text.contains('@') { "This" } else { text };
        let usage = |why: &str| {
            DeviceError::Usage(format!(
                "{shown} is not a domain server URL: {why}. It should look like https://example.org/flashaccess/domainserver/living-room/"
            ))
        };
        let url = HttpUrl::parse(text).map_err(|error| usage(&error.to_string()))?;
        let (parent, segment) = url
            .path()
            .rsplit_once('/')
            .ok_or_else(|| usage("it must end with the domain's name"))?;
        let domain =
            DomainName::from_path_segment(segment).map_err(|error| usage(&error.to_string()))?;
        Ok(Self {
            text: format!("{}{parent}/{domain}", url.origin()),
            exposes_tokens: url.exposes_tokens(),
            domain,
        })
    }

    /// The domain's name.
    pub fn domain(&self) -> &DomainName {
        &self.domain
    }

    /// The URL in its normal form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where to register.
    pub fn register(&self) -> String {
        format!("{}/register", self.text)
    }

    /// Where to de-register.
    pub fn deregister(&self) -> String {
        format!("{}/deregister", self.text)
    }

    /// Whether others on the network could read a token that is sent there: http to another host.
    pub fn exposes_tokens(&self) -> bool {
        self.exposes_tokens
    }
}

impl fmt::Display for DomainUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_url_are_equal() {
        let url = DomainUrl::parse("http://example.org:3000/flashaccess/domainserver/a-b").unwrap();
        for text in [
            "http://example.org:3000/flashaccess/domainserver/a-b/",
            "http://example.org:3000/flashaccess/domainserver/a-b//",
            "HTTP://EXAMPLE.org:3000/flashaccess/domainserver/a%2db/",
        ] {
            assert_eq!(DomainUrl::parse(text).unwrap(), url, "{text}");
        }
        for text in [
            "http://example.org:3000/flashaccess/domainserver/A-b",
            "https://example.org:3000/flashaccess/domainserver/a-b",
            "http://example.org/flashaccess/domainserver/a-b",
        ] {
            assert_ne!(DomainUrl::parse(text).unwrap(), url, "{text}");
        }
        assert_eq!(
            url.deregister(),
            "http://example.org:3000/flashaccess/domainserver/a-b/deregister"
        );
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "living-room",
            "/flashaccess/domainserver/a",
            "ftp://example.org/a",
            "http://example.org",
            "http://example.org/",
            "http://user@example.org/a",
            "http://example.org/a?b",
            "http://example.org/a/#b",
            "http://example.org/flashaccess/domainserver/ca.pem",
            "http://example.org/a%20b",
            "http://example.org/a b",
        ] {
            assert!(
                matches!(DomainUrl::parse(text), Err(DeviceError::Usage(_))),
                "{text}"
            );
        }
        let error = DomainUrl::parse("http://user:hunter2@example.org/a").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
