//! What can go wrong, by who has to act.

use crate::advice;
use anonymous_domains_client::{CommandError, ErrorKind};
use anonymous_domains_protocol::ids::DomainName;
use anonymous_domains_protocol::problem::Problem;

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

impl CommandError for DeviceError {
    fn kind(&self) -> ErrorKind<'_> {
        match self {
            Self::Usage(_) => ErrorKind::Usage,
            Self::Refused { problem, .. } => ErrorKind::Refused(problem),
            Self::Unreachable(_) => ErrorKind::Unreachable,
            Self::UnusableAnswer(_) => ErrorKind::UnusableAnswer,
            Self::Local(_) => ErrorKind::Local,
            Self::Untrusted(_) => ErrorKind::Untrusted,
            Self::LeaveUnfinished(cause) => cause.kind(),
        }
    }
}
