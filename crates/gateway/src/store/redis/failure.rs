//! Why a command failed.

use redis::RedisError;

/// Why a command brought no result.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// There is no connection, and none could be made: nothing was sent.
    Away(String),
    /// The Redis does not let the gateway in: nothing was sent.
    Denied(String),
    /// The connection broke or the answer did not come: the command may have been executed.
    Lost(String),
    /// The Redis answered with an error.
    Refused(RedisError),
    /// Nodes of a cluster hand slots over, and so not every key can be found.
    Moving,
}

impl Failure {
    /// The failure that an error means where a connection was to be made.
    pub fn of_connect(error: &RedisError) -> Self {
        let denied = error.kind() == redis::ErrorKind::AuthenticationFailed
            || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"));
        if denied {
            Self::Denied(reason(error))
        } else {
            Self::Away(reason(error))
        }
    }

    /// What happened, in short and without credentials.
    pub fn reason(&self) -> String {
        match self {
            Self::Away(reason) | Self::Denied(reason) | Self::Lost(reason) => reason.clone(),
            Self::Refused(error) => reason(error),
            Self::Moving => "the cluster is moving slots".into(),
        }
    }
}

/// An error's text. A Redis that does not know a command quotes its arguments, and these may be a
/// password or a value, so they are cut off.
pub(super) fn reason(error: &RedisError) -> String {
    let text = error.to_string();
    match text.split_once(", with args") {
        Some((text, _)) => text.to_owned(),
        None => text,
    }
}
