//! What can go wrong, by who has to act.

use anonymous_domains_client::{CommandError, ErrorKind};
use anonymous_domains_protocol::{ids::DomainName, problem::Problem};

use crate::advice;

/// An operation did not succeed. Its text is a sentence or two for a person: what happened and
/// what to do. It holds no secrets.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The arguments are wrong.
    #[error("{0}")]
    Usage(String),
    /// The server understood and refused. It changed nothing, unless it failed or its store did
    /// (`INTERNAL`, `STORE_UNAVAILABLE`): then the request may have had its effect.
    #[error("{}", advice::sentence(domain, problem))]
    Refused {
        /// The domain of the request.
        domain: DomainName,
        /// What the server answered.
        problem: Box<Problem>,
    },
    /// The server could not be reached, or did not answer in any attempt.
    #[error("{0}")]
    Unreachable(String),
    /// The answer is not that of a domain server.
    #[error("{0}")]
    UnusableAnswer(String),
    /// The state directory is missing something, is damaged, or cannot be used.
    #[error("{0}")]
    Local(String),
    /// Credentials did not verify, and were not stored.
    #[error("{0}")]
    Untrusted(String),
    /// The server agreed to the leave and the credentials are deleted, but it is not known yet
    /// whether the server removed the device.
    #[error("{0} The credentials of the domain are already deleted: run leave again to finish.")]
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
