//! The one catalogue of errors, and the problem documents (RFC 9457) that carry them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The media type of a [`Problem`].
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What every problem's type begins with.
const TYPE_PREFIX: &str = "urn:anonymous-domains:error:";

macro_rules! catalogue {
    ($($variant:ident $name:literal $code:expr, $status:literal, $title:literal, $description:literal;)+) => {
        /// An error of the protocol, by its name.
        #[allow(rustdoc::broken_intra_doc_links, reason = "a description may hold a pattern")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorName {
            $(#[doc = concat!("`", $name, "`: ", $description)] $variant,)+
        }

        impl ErrorName {
            /// Every error, in the order of the protocol's document.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name, such as `DOM_LIMIT_REACHED`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The reference implementation's number, for its own errors. It is the protocol's,
            /// and unrelated to [`Self::status`].
            pub fn code(self) -> Option<u16> {
                match self { $(Self::$variant => $code),+ }
            }

            /// The HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            /// What happened, in a few words that are always the same.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }

            /// When it is answered, in a sentence for the documentation.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => $description),+ }
            }
        }
    };
}

catalogue! {
    DomAuthenticationRequired "DOM_AUTHENTICATION_REQUIRED" Some(503), 401,
        "The domain requires authentication",
        "The domain requires an authentication token and the request has no valid one, or one of another namespace.";
    DomLimitReached "DOM_LIMIT_REACHED" Some(502), 409,
        "The domain has as many members as it may",
        "The machine is new and the domain's maximum of members has been reached; a member must leave first.";
    DomRegDenied "DOM_REG_DENIED" Some(501), 403,
        "The registration was denied",
        "The machine is blocked, or says that it belongs to another domain of this server.";
    DeregDenied "DEREG_DENIED" Some(401), 403,
        "The de-registration was denied",
        "The machine is not a member of the domain, or not under this key, or there is no such domain.";
    InvalidDomainName "INVALID_DOMAIN_NAME" None, 400,
        "The domain name is not valid",
        "The path's domain name, percent-decoded once, does not match [A-Za-z0-9][A-Za-z0-9._-]{0,127}.";
    InvalidRequest "INVALID_REQUEST" None, 400,
        "The request is malformed",
        "The request, its header or its payload is not what the protocol asks for.";
    InvalidSignature "INVALID_SIGNATURE" None, 400,
        "The signature is not valid",
        "The request's signature is not the machine key's over this request.";
    RequestExpired "REQUEST_EXPIRED" None, 400,
        "The request is too old or from the future",
        "The request's iat is further from the server's clock than the clock tolerance.";
    MachineKeyMismatch "MACHINE_KEY_MISMATCH" None, 403,
        "The machine is known under another key",
        "The GUID was registered in the domain under another machine key: it cannot join under this one.";
    MachineNotTrusted "MACHINE_NOT_TRUSTED" None, 403,
        "The machine's certificate is not trusted",
        "The server requires a machine certificate, and the request has none that chains to a trusted one, is in date and carries the GUID.";
    AdminAuthenticationRequired "ADMIN_AUTHENTICATION_REQUIRED" None, 401,
        "The operator's token is required",
        "The request to the operator's interface has no admin token, or a wrong one.";
    AdminForbidden "ADMIN_FORBIDDEN" None, 403,
        "The operator's token does not allow this",
        "The admin token only allows to read, and the request is another.";
    UnknownDomain "UNKNOWN_DOMAIN" None, 404,
        "There is no such domain",
        "The domain does not exist, and this request does not create it.";
    NotFound "NOT_FOUND" None, 404,
        "There is nothing here",
        "The path names nothing that exists.";
    MethodNotAllowed "METHOD_NOT_ALLOWED" None, 405,
        "The method is not allowed",
        "The path exists, for the methods in Allow.";
    RequestReplayed "REQUEST_REPLAYED" None, 409,
        "The request was overtaken by a later one",
        "The request's iat is before the machine's current membership began, or before it left: it is a replay, or came too late.";
    PreconditionFailed "PRECONDITION_FAILED" None, 412,
        "The precondition failed",
        "If-Match or If-None-Match does not hold: someone else changed it meanwhile.";
    PayloadTooLarge "PAYLOAD_TOO_LARGE" None, 413,
        "The request is too large",
        "The body is over 64 KiB for a device's request, or over 1 MiB for an operator's.";
    UnsupportedMediaType "UNSUPPORTED_MEDIA_TYPE" None, 415,
        "The media type is not supported",
        "A device's request is application/jose+json, an operator's application/json.";
    RateLimited "RATE_LIMITED" None, 429,
        "A limit has been reached",
        "The domain has got as many key versions as it may in a day and needs another one, the server has as many domains as it may, or a client asked too often. Try again after Retry-After.";
    Internal "INTERNAL" None, 500,
        "The server failed",
        "Something failed inside of the server; the operator's log says what.";
    StoreUnavailable "STORE_UNAVAILABLE" None, 503,
        "The store is not available",
        "The server's store does not answer; the request changed nothing that repeating it would not mend. Try again after Retry-After.";
}

impl ErrorName {
    /// The problem's `type`: `urn:anonymous-domains:error:` and the name in lower case with hyphens.
    pub fn type_uri(self) -> String {
        let name = self.as_str().to_ascii_lowercase().replace('_', "-");
        format!("{TYPE_PREFIX}{name}")
    }

    /// The `WWW-Authenticate` of the answer, where the error has one (RFC 6750 section 3): with an
    /// error of its own only if the request had a token.
    pub fn challenge(self, had_token: bool) -> Option<&'static str> {
        match self {
            Self::DomAuthenticationRequired | Self::AdminAuthenticationRequired if had_token => {
                Some("Bearer error=\"invalid_token\"")
            }
            Self::DomAuthenticationRequired | Self::AdminAuthenticationRequired => Some("Bearer"),
            Self::AdminForbidden => Some("Bearer error=\"insufficient_scope\""),
            _ => None,
        }
    }
}

impl fmt::Display for ErrorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no error's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of an error of this protocol")]
pub struct UnknownErrorName;

impl FromStr for ErrorName {
    type Err = UnknownErrorName;

    fn from_str(text: &str) -> Result<Self, UnknownErrorName> {
        Self::ALL
            .iter()
            .copied()
            .find(|error| error.as_str() == text)
            .ok_or(UnknownErrorName)
    }
}

/// A problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// [`ErrorName::type_uri`].
    pub r#type: String,
    /// [`ErrorName::title`].
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened to this request, for people; no secrets, and nothing of the server's inside.
    pub detail: String,
    /// This request, as a URI (RFC 9457 section 3.1.5): `urn:uuid:` or `urn:request:` and its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// [`ErrorName::as_str`].
    pub error: String,
    /// The reference implementation's number, for its own errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
}

impl Problem {
    /// The document of an error.
    pub fn new(error: ErrorName, detail: impl Into<String>) -> Self {
        Self {
            r#type: error.type_uri(),
            title: error.title().to_owned(),
            status: error.status(),
            detail: detail.into(),
            instance: None,
            error: error.as_str().to_owned(),
            code: error.code(),
        }
    }

    /// The error, where it is one that this version of the protocol knows.
    pub fn error_name(&self) -> Option<ErrorName> {
        self.error.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_implementations_errors_keep_their_numbers() {
        let numbered: Vec<_> = ErrorName::ALL
            .iter()
            .filter_map(|error| Some((error.as_str(), error.code()?, error.status())))
            .collect();
        assert_eq!(
            numbered,
            [
                ("DOM_AUTHENTICATION_REQUIRED", 503, 401),
                ("DOM_LIMIT_REACHED", 502, 409),
                ("DOM_REG_DENIED", 501, 403),
                ("DEREG_DENIED", 401, 403),
            ]
        );
    }

    #[test]
    fn names_types_and_statuses_are_consistent() {
        for error in ErrorName::ALL {
            assert_eq!(error.as_str().parse(), Ok(*error));
            assert!((400..=503).contains(&error.status()));
            assert!(error.description().ends_with('.'));
        }
        assert_eq!(ErrorName::ALL.len(), 22);
        assert_eq!(
            ErrorName::DomLimitReached.type_uri(),
            "urn:anonymous-domains:error:dom-limit-reached"
        );
        assert!("dom_limit_reached".parse::<ErrorName>().is_err());
    }

    #[test]
    fn a_document_has_the_number_only_where_there_is_one() {
        let text = serde_json::to_string(&Problem::new(ErrorName::DeregDenied, "no")).unwrap();
        assert_eq!(
            text,
            r#"{"type":"urn:anonymous-domains:error:dereg-denied","title":"The de-registration was denied","status":403,"detail":"no","error":"DEREG_DENIED","code":401}"#
        );
        let text = serde_json::to_string(&Problem::new(ErrorName::NotFound, "no")).unwrap();
        assert!(!text.contains("code"));
        let problem: Problem = serde_json::from_str(&text).unwrap();
        assert_eq!(problem.error_name(), Some(ErrorName::NotFound));
    }
}
