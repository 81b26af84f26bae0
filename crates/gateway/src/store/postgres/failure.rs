//! Why a statement failed.

use std::error::Error as _;

use tokio_postgres::{Error, error::SqlState};

/// Why a statement brought no result.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// There is no connection to a primary, and none could be made: nothing was sent.
    Away(String),
    /// The server does not let the gateway in: nothing was sent.
    Denied(String),
    /// The server would lose what it acknowledges: nothing was sent.
    Unsafe(String),
    /// All connections are in use, or the row was locked for too long: nothing was written.
    Busy,
    /// The connection broke, the answer did not come, or it is uncertain whether a standby has the
    /// write: it may have been executed.
    Lost(String),
    /// The server answered with an error, and wrote nothing.
    Refused {
        /// Its five characters, as in the standard.
        code: SqlState,
        /// The server's words, without the values of rows.
        message: String,
    },
}

impl Failure {
    /// The failure that an error means where a connection was to be made.
    pub fn of_connect(error: &Error) -> Self {
        match error.code() {
            Some(code) if is_denial(code) => Self::Denied(reason(error)),
            _ => Self::Away(reason(error)),
        }
    }

    /// The failure that an error of a statement means.
    pub fn of_statement(error: &Error) -> Self {
        let Some(server) = error.as_db_error() else {
            return Self::Lost(reason(error));
        };
        let code = server.code();
        if *code == SqlState::LOCK_NOT_AVAILABLE {
            Self::Busy
        } else if ends_connection(code) {
            Self::Lost(reason(error))
        } else {
            Self::Refused {
                code: code.clone(),
                message: reason(error),
            }
        }
    }

    /// What happened, in short and without credentials.
    pub fn reason(&self) -> &str {
        match self {
            Self::Busy => "it is busy",
            Self::Away(reason) | Self::Denied(reason) | Self::Unsafe(reason) => reason,
            Self::Lost(reason) => reason,
            Self::Refused { message, .. } => message,
        }
    }
}

/// Whether trying again cannot help: a wrong password, or no such user or database.
fn is_denial(code: &SqlState) -> bool {
    [
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_CATALOG_NAME,
        SqlState::INSUFFICIENT_PRIVILEGE,
    ]
    .contains(code)
}

/// Whether the server, or a pooler before it, gives the connection up; or whether the server has
/// become a standby, so that another one must be looked for. Of a commit that was going on nothing is
/// known then.
fn ends_connection(code: &SqlState) -> bool {
    // Class 08: connection exceptions, which poolers use too. Class 57P: the operator's interventions.
    code.code().starts_with("08")
        || code.code().starts_with("57P")
        || *code == SqlState::READ_ONLY_SQL_TRANSACTION
        || *code == SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
        || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
}

/// An error's text: the library's words and the server's message. Not the server's details, which may
/// quote a row.
pub(super) fn reason(error: &Error) -> String {
    if let Some(server) = error.as_db_error() {
        return format!("{} ({})", server.message(), server.code().code());
    }
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
