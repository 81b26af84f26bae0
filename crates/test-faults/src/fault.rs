//! One fault, and the text that asks for it.

use std::{fmt, str::FromStr, time::Duration};

use anonymous_domains_protocol::problem::ErrorName;
use http::{HeaderMap, HeaderName, StatusCode};
use serde::Deserialize;

/// The header field in which a request asks for a fault, and an answer names the one it has.
pub const TEST_FAULT: HeaderName = HeaderName::from_static("test-fault");

/// The longest delay.
const MAX_DELAY: Duration = Duration::from_secs(600);

/// What happens to a request.
///
/// Its text has one or more of these, with commas between them: `delay=DURATION`, and one of
/// `error=NAME`, `status=NUMBER`, `disconnect=before`, `disconnect=after`, `disconnect=halfway` and
/// `old-key-set`. An error and a status may have `retry-after=SECONDS`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct Fault {
    /// How long the answer, or the end of the connection, waits. What the request does is done before.
    pub delay: Duration,
    /// What then happens.
    pub outcome: Outcome,
}

/// What happens to a request in the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The server handles it.
    Handled,
    /// The answer is this error, and the request has no effect.
    Error {
        /// The error.
        name: ErrorName,
        /// When to try again, in seconds.
        retry_after: Option<u32>,
    },
    /// The answer is an HTTP error as a proxy makes it, and the request has no effect.
    Status {
        /// 400 to 599.
        status: StatusCode,
        /// When to try again, in seconds.
        retry_after: Option<u32>,
    },
    /// The connection ends; with HTTP/2 only the request's stream.
    Disconnected(Disconnect),
    /// The answer to a registration is what the device got when the domain's key was an older one.
    OldKeySet,
}

/// When a connection ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Disconnect {
    /// Before the request has an effect.
    Before,
    /// When it has taken effect, without an answer.
    After,
    /// When it has taken effect, after half of the answer's body.
    Halfway,
}

/// A text asks for no fault that there is.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidFault(String);

impl Fault {
    /// The fault that a request's header asks for.
    ///
    /// # Errors
    ///
    /// If the header is there more than once, or asks for nothing that there is.
    pub fn asked_for(headers: &HeaderMap) -> Result<Option<Self>, InvalidFault> {
        let mut values = headers.get_all(TEST_FAULT).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => {
                let text = value.to_str();
                let text = text.map_err(|_| InvalidFault("it is not ASCII text".into()))?;
                text.parse().map(Some)
            }
            _ => Err(InvalidFault("it is there more than once".into())),
        }
    }
}

impl FromStr for Fault {
    type Err = InvalidFault;

    fn from_str(text: &str) -> Result<Self, InvalidFault> {
        let mut delay = None;
        let mut retry_after = None;
        let mut outcome = None;
        for part in text.split(',').map(str::trim) {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim(), value.trim()),
                None => (part, ""),
            };
            let is_new = match name {
                "delay" => delay.replace(duration(value)?).is_none(),
                "retry-after" => {
                    let seconds = value.parse().map_err(|_| wrong(part, "whole seconds"))?;
                    retry_after.replace(seconds).is_none()
                }
                _ => outcome.replace(outcome_of(part, name, value)?).is_none(),
            };
            if !is_new {
                return Err(InvalidFault(format!(
                    "{part:?} comes after another of its kind"
                )));
            }
        }
        let mut outcome = outcome.unwrap_or(Outcome::Handled);
        if retry_after.is_some() {
            match &mut outcome {
                Outcome::Error {
                    retry_after: to, ..
                }
                | Outcome::Status {
                    retry_after: to, ..
                } => *to = retry_after,
                _ => {
                    return Err(InvalidFault(
                        "retry-after belongs to an error or a status".into(),
                    ));
                }
            }
        }
        Ok(Self {
            delay: delay.unwrap_or_default(),
            outcome,
        })
    }
}

fn wrong(part: &str, expected: &str) -> InvalidFault {
    InvalidFault(format!("{part:?} is not a fault; expected {expected}"))
}

fn outcome_of(part: &str, name: &str, value: &str) -> Result<Outcome, InvalidFault> {
    let retry_after = None;
    match name {
        "error" => {
            let name = value
                .parse()
                .map_err(|_| wrong(part, "the name of an error, such as STORE_UNAVAILABLE"))?;
            Ok(Outcome::Error { name, retry_after })
        }
        "status" => {
            let status = value
                .parse()
                .ok()
                .filter(|status: &StatusCode| status.is_client_error() || status.is_server_error());
            let status = status.ok_or_else(|| wrong(part, "a status from 400 to 599"))?;
            Ok(Outcome::Status {
                status,
                retry_after,
            })
        }
        "disconnect" => match value {
            "before" => Ok(Disconnect::Before),
            "after" => Ok(Disconnect::After),
            "halfway" => Ok(Disconnect::Halfway),
            _ => Err(wrong(part, "disconnect=before, after or halfway")),
        }
        .map(Outcome::Disconnected),
        "old-key-set" if value.is_empty() => Ok(Outcome::OldKeySet),
        _ => Err(wrong(
            part,
            "delay=DURATION, error=NAME, status=NUMBER, retry-after=SECONDS, \
             disconnect=before|after|halfway or old-key-set",
        )),
    }
}

fn duration(text: &str) -> Result<Duration, InvalidFault> {
    let duration = humantime::parse_duration(text).ok();
    duration
        .filter(|duration| *duration <= MAX_DELAY)
        .ok_or_else(|| wrong(text, "a delay of at most 10min, such as 3s or 500ms"))
}

impl TryFrom<String> for Fault {
    type Error = InvalidFault;

    fn try_from(text: String) -> Result<Self, InvalidFault> {
        text.parse()
    }
}

/// The text that asks for it.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.delay.is_zero() || self.outcome == Outcome::Handled {
            parts.push(format!("delay={}", humantime::format_duration(self.delay)));
        }
        let again = match self.outcome {
            Outcome::Handled => None,
            Outcome::Error { name, retry_after } => {
                parts.push(format!("error={name}"));
                retry_after
            }
            Outcome::Status {
                status,
                retry_after,
            } => {
                parts.push(format!("status={}", status.as_u16()));
                retry_after
            }
            Outcome::Disconnected(when) => {
                let when = match when {
                    Disconnect::Before => "before",
                    Disconnect::After => "after",
                    Disconnect::Halfway => "halfway",
                };
                parts.push(format!("disconnect={when}"));
                None
            }
            Outcome::OldKeySet => {
                parts.push("old-key-set".into());
                None
            }
        };
        parts.extend(again.map(|seconds| format!("retry-after={seconds}")));
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_fault_is_written_as_it_is_read() {
        for text in [
            "delay=3s",
            "delay=1m 30s",
            "error=DOM_LIMIT_REACHED",
            "delay=500ms, error=STORE_UNAVAILABLE, retry-after=3",
            "status=502",
            "status=429, retry-after=0",
            "disconnect=before",
            "disconnect=after",
            "delay=10m, disconnect=halfway",
            "old-key-set",
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
        for error in ErrorName::ALL {
            let fault: Fault = format!("error={error}").parse().unwrap();
            let (name, retry_after) = (*error, None);
            assert_eq!(fault.outcome, Outcome::Error { name, retry_after });
        }
        let spaced: Fault = " error = INTERNAL ,delay= 1s".parse().unwrap();
        assert_eq!(spaced.to_string(), "delay=1s, error=INTERNAL");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, reason) in [
            ("", "expected delay=DURATION"),
            ("error=INTERNAL,", "expected delay=DURATION"),
            ("error", "the name of an error"),
            ("error=internal", "the name of an error"),
            ("status=200", "400 to 599"),
            ("status=600", "400 to 599"),
            ("status=1000", "400 to 599"),
            ("delay=11min", "at most 10min"),
            ("delay=3", "such as 3s"),
            ("disconnect", "before, after or halfway"),
            ("old-key-set=1", "expected delay=DURATION"),
            ("error=INTERNAL, status=500", "another of its kind"),
            ("delay=1s, delay=2s", "another of its kind"),
            ("retry-after=3", "belongs to an error"),
            ("retry-after=-3, error=INTERNAL", "whole seconds"),
            ("old-key-set, retry-after=3", "belongs to an error"),
        ] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_request_asks_once_or_not_at_all() {
        let mut headers = HeaderMap::new();
        assert_eq!(Fault::asked_for(&headers), Ok(None));
        headers.append(TEST_FAULT, HeaderValue::from_static("old-key-set"));
        let fault = Fault::asked_for(&headers).unwrap().unwrap();
        assert_eq!(fault.outcome, Outcome::OldKeySet);
        headers.append(TEST_FAULT, HeaderValue::from_static("old-key-set"));
        assert!(Fault::asked_for(&headers).is_err());
        headers.insert(TEST_FAULT, HeaderValue::from_bytes(b"\xffold").unwrap());
        assert!(Fault::asked_for(&headers).is_err());
    }
}
