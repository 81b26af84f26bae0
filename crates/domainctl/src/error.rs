//! What can go wrong, by who has to act.

use anonymous_domains_client::{CommandError, ErrorKind, Failure};
use anonymous_domains_protocol::problem::Problem;

use crate::advice::{self, Subject};

/// An operation did not succeed. Its text is a sentence or two for a person: what happened and
/// what to do. It holds no secrets.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The arguments are wrong.
    #[error("{0}")]
    Usage(String),
    /// The server understood and refused.
    #[error("{}", advice::sentence(subject, problem))]
    Refused {
        /// What the request was about.
        subject: Subject,
        /// What the server answered.
        problem: Box<Problem>,
        /// Whether the server may have acted on an earlier attempt whose answer was lost.
        after_lost_answer: bool,
    },
    /// The server could not be reached, or did not answer in any attempt.
    #[error("{0}")]
    Unreachable(String),
    /// The answer is not that of a domain server.
    #[error("{0}")]
    UnusableAnswer(String),
    /// One of several servers, or all of them.
    #[error("{server}: {error}")]
    At {
        /// Their URLs.
        server: String,
        /// What happened there.
        error: Box<AdminError>,
    },
}

impl AdminError {
    /// The error of one of several servers.
    pub fn at(self, server: impl ToString) -> Self {
        Self::At {
            server: server.to_string(),
            error: Box::new(self),
        }
    }

    /// An error about `subject`.
    pub(crate) fn about(subject: &Subject, failure: Failure) -> Self {
        match failure {
            Failure::Refused {
                problem,
                after_lost_answer,
            } => Self::Refused {
                subject: subject.clone(),
                problem,
                after_lost_answer,
            },
            Failure::Unreachable(text) => Self::Unreachable(text),
            Failure::UnusableAnswer(text) => Self::UnusableAnswer(text),
        }
    }
}

impl CommandError for AdminError {
    fn kind(&self) -> ErrorKind<'_> {
        match self {
            Self::Usage(_) => ErrorKind::Usage,
            Self::Refused { problem, .. } => ErrorKind::Refused(problem),
            Self::Unreachable(_) => ErrorKind::Unreachable,
            Self::UnusableAnswer(_) => ErrorKind::UnusableAnswer,
            Self::At { error, .. } => error.kind(),
        }
    }
}
