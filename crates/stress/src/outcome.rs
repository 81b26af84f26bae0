//! What an answer means for the history.

use anonymous_domains_protocol::problem::{ErrorName, Problem};
use bytes::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::{
    history::{Lost, Outcome},
    http::Reply,
};

/// The outcome of a reply. `parse` reads the body of one with the status `expected`.
pub fn granted(
    reply: Reply,
    expected: StatusCode,
    parse: impl FnOnce(&Bytes) -> Result<Outcome, String>,
) -> Outcome {
    let unknown = |why| Outcome::Unknown { why, until: 0 };
    let (status, body) = match reply {
        Reply::Answer { status, body } => (status, body),
        Reply::NotSent => return Outcome::NotSent,
        Reply::Lost => return unknown(Lost::Connection),
        Reply::TimedOut => return unknown(Lost::TimedOut),
    };
    if status == expected {
        return parse(&body).unwrap_or_else(Outcome::Wrong);
    }
    let error = serde_json::from_slice(&body)
        .ok()
        .and_then(|problem: Problem| problem.error_name());
    match error {
        Some(error) if error.status() != status.as_u16() => {
            Outcome::Wrong(format!("{error} came with HTTP {status}"))
        }
        Some(
            error @ (ErrorName::Internal | ErrorName::StoreUnavailable | ErrorName::RateLimited),
        ) => unknown(Lost::Failed(error)),
        Some(error) => Outcome::Refused(error),
        None => unknown(Lost::Status(status.as_u16())),
    }
}

/// A body of JSON, or what is wrong with it.
pub fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("it is not as the protocol says: {error}"))
}
