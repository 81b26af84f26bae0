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
    /// The host's store did not answer, or not in time. The caller may try again; the operator is
    /// told what the store said.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// Something that cannot be in a sound installation: a setting, a row, a key that cannot be
    /// used. The caller is told nothing of it, the operator everything.
    #[error("{0}")]
    Fault(String),
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

    /// The refusal's name, if this is one.
    pub fn refusal(&self) -> Option<ErrorName> {
        match self {
            Self::Refused { name, .. } => Some(*name),
            _ => None,
        }
    }
}
