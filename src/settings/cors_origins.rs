//! Which web pages may send devices' requests.

use super::origin;

/// `cors_origins`: the origins whose pages may read answers to devices' requests (CORS, in the Fetch
/// standard), each as browsers send it in `Origin`. None by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorsOrigins(Vec<String>);

impl CorsOrigins {
    /// Reads origins with commas or white space between them. There is no wildcard, and `null`,
    /// which browsers send for many unrelated pages, is no origin.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let separates = |c: char| c == ',' || c.is_ascii_whitespace();
        let texts = text.split(separates).filter(|text| !text.is_empty());
        let origins: Option<Vec<_>> = texts.map(origin::parse).collect();
        origins.map(Self)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The origin that this value of `Origin` is, if it is one of these.
    pub fn find(&self, origin: &[u8]) -> Option<&str> {
        let mut origins = self.0.iter().map(String::as_str);
        origins.find(|allowed| allowed.as_bytes() == origin)
    }
}
