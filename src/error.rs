//! The two kinds of error: a refusal is the caller's, everything else is ours.

use std::borrow::Cow;

use anonymous_domains_protocol::problem::ErrorName;

/// Why a request was not answered as it asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The caller may not have what it asked for, or did not ask well. It is told why.
    #[error("{name:?}: {detail}")]
    Refused {
        /// The error's name in the protocol.
        name: ErrorName,
        /// What a person needs to know to mend the request; never a secret.
        detail: Cow<'static, str>,
    },
    /// The caller has used up what it may have for now (`RATE_LIMITED`).
    #[error("rate limited: {0:?}")]
    RateLimited(RateLimit),
    /// The host's store did not answer, or not in time. The caller may try again; the operator is
    /// told what the store said.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// Something that cannot be in a sound installation: a setting, a row, a key that cannot be
    /// used. The caller is told nothing of it, the operator everything.
    #[error("{0}")]
    Fault(String),
}

/// A limit that a request met, as `RateLimit` and `RateLimit-Policy` tell it
/// (draft-ietf-httpapi-ratelimit-headers).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// The policy's name.
    pub name: &'static str,
    /// How many there may be.
    pub quota: u64,
    /// In how many seconds; `None` where they do not come back by themselves.
    pub window_s: Option<u32>,
    /// When the caller may try again, in seconds from now.
    pub retry_after_s: u32,
}

impl RateLimit {
    /// For the caller.
    pub fn detail(&self) -> String {
        let Self { name, quota, .. } = self;
        match self.window_s {
            Some(s) => format!("the limit {name} is {quota} in {s} seconds, and they are used up"),
            None => format!("the limit {name} is {quota}, and they are used up"),
        }
    }
}

impl Error {
    /// A refusal.
    pub fn refused(name: ErrorName, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused {
            name,
            detail: detail.into(),
        }
    }

    /// A fault of the installation or of this program.
    pub fn fault(what: impl Into<String>) -> Self {
        Self::Fault(what.into())
    }

    /// The name that the caller is told.
    pub fn name(&self) -> ErrorName {
        match self {
            Self::Refused { name, .. } => *name,
            Self::RateLimited(_) => ErrorName::RateLimited,
            Self::Unavailable(_) => ErrorName::StoreUnavailable,
            Self::Fault(_) => ErrorName::Internal,
        }
    }

    /// The refusal's name, if this is one.
    pub fn refusal(&self) -> Option<ErrorName> {
        match self {
            Self::Refused { .. } | Self::RateLimited(_) => Some(self.name()),
            Self::Unavailable(_) | Self::Fault(_) => None,
        }
    }
}
