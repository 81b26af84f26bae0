//! Why the server cannot be built.

use std::{error::Error, fmt};

/// Why the server cannot be built. `Display` shows the outermost reason, and the
/// [source](Error::source) says more. Neither shows a secret.
pub struct BuildError {
    kind: BuildErrorKind,
    reason: anyhow::Error,
}

/// What a [`BuildError`] is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BuildErrorKind {
    /// A setting is unknown.
    Settings,
    /// The state directory, the one for compiled code, or the audit log cannot be used.
    Directory,
    /// The store cannot be opened, or a secret that its content needs is missing or different.
    Store,
    /// The component cannot be found, compiled or run.
    Component,
}

impl BuildError {
    /// What it is about.
    pub fn kind(&self) -> BuildErrorKind {
        self.kind
    }
}

/// Turns the results of the parts into those of the builder.
pub(super) trait OrBuildError<T> {
    /// Says what an error is about.
    fn or_build_error(self, kind: BuildErrorKind) -> Result<T, BuildError>;
}

impl<T, E: Into<anyhow::Error>> OrBuildError<T> for Result<T, E> {
    fn or_build_error(self, kind: BuildErrorKind) -> Result<T, BuildError> {
        self.map_err(|reason| BuildError {
            kind,
            reason: reason.into(),
        })
    }
}

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {:#}", self.kind, self.reason)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.reason.source()
    }
}
