//! What can go wrong, sorted by whose turn it is.

use crate::advice;
use anonymous_domains_protocol::ids::DomainName;
use anonymous_domains_protocol::problem::{ErrorName, Problem};

/// An operation did not succeed. Its text is a sentence or two for a person: what happened and
/// what to do. It holds no secrets.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// What was asked for makes no sense as it is.
    #[error("{0}")]
    Usage(String),
    /// The server understood and said no. It changed nothing.
    #[error("{}", advice::sentence(domain, problem))]
    Refused {
        /// The domain that was asked about.
        domain: DomainName,
        /// What the server answered.
        problem: Box<Problem>,
    },
    /// The server could not be reached, or did not get to an answer in any attempt.
    #[error("{0}")]
    Unreachable(String),
    /// Something answered, but not as a domain server does.
    #[error("{0}")]
    UnusableAnswer(String),
    /// This device's own directory is the trouble.
    #[error("{0}")]
    Local(String),
    /// Credentials did not stand up to being checked; they were not stored.
    #[error("{0}")]
    Untrusted(String),
    /// The server agreed that the device leaves and its credentials are deleted, but whether it was
    /// removed there is not known yet.
    #[error(
        "{0} The credentials of the domain are already deleted here: run leave again to finish."
    )]
    LeaveUnfinished(Box<DeviceError>),
}

impl DeviceError {
    /// The server's problem document, where it refused.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused { problem, .. } => Some(problem),
            Self::LeaveUnfinished(cause) => cause.problem(),
            _ => None,
        }
    }

    /// Whether the server refused with this error.
    pub fn is_refusal(&self, error: ErrorName) -> bool {
        self.problem().and_then(Problem::error_name) == Some(error)
    }

    /// A name for programs: the server's error where it refused, a word of this crate otherwise.
    pub fn name(&self) -> &str {
        match self {
            Self::Usage(_) => "USAGE",
            Self::Refused { problem, .. } => &problem.error,
            Self::Unreachable(_) => "UNREACHABLE",
            Self::UnusableAnswer(_) => "UNUSABLE_ANSWER",
            Self::Local(_) => "LOCAL",
            Self::Untrusted(_) => "UNTRUSTED",
            Self::LeaveUnfinished(cause) => cause.name(),
        }
    }
}
