//! What the server decided: one line an event, from which a host makes metrics and an audit log.
//!
//! A line is a JSON object that begins with `{"event":"`, which no other line of the log does. It
//! never has a key, a token or anything else of a request's body than the machine's GUID.

use std::fmt;

use anonymous_domains_protocol::{
    ids::{DomainName, MachineGuid},
    time::rfc3339,
};
use serde::{Serialize, Serializer};

use crate::environment::Environment;

/// Who caused an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A device.
    Machine,
    /// An operator, by the first bytes of the SHA-256 of the token.
    Operator([u8; 4]),
    /// Somebody without a valid token at the operators' interface.
    Anonymous,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine => f.write_str("machine"),
            Self::Operator(digest) => write!(f, "admin:{:08x}", u32::from_be_bytes(*digest)),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A device asked to join; the outcome is `joined`, `member` or an error's name.
    Registration,
    /// A device asked to leave; the outcome is `left`, `preview` or an error's name.
    Deregistration,
    /// A domain got a key version.
    KeyGenerated,
    /// A domain was created, by a registration or by an operator.
    DomainCreated,
    /// An operator replaced a domain's settings.
    DomainChanged,
    /// An operator deleted a domain.
    DomainDeleted,
    /// An operator removed a machine.
    MemberRemoved,
    /// An operator blocked a machine.
    MachineBlocked,
    /// An operator let a blocked machine join again.
    MachineUnblocked,
    /// An operator asked for a new key version.
    RolloverRequired,
    /// An operator's request was refused; the outcome is the error's name.
    AdminRefused,
}

/// An event. Members that do not apply are left out of its line.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event<'a> {
    /// What happened.
    #[serde(rename = "event")]
    pub kind: Kind,
    /// How it ended, where it can end in more than one way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'a str>,
    /// The domain's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<&'a DomainName>,
    /// The machine that it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_guid: Option<MachineGuid>,
    /// The newest key version that was handed out, or the one that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_version: Option<u64>,
    /// The type of the key that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_type: Option<&'a str>,
    /// How long it took to make the key and its certificate, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
}

impl Event<'_> {
    /// An event without particulars.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            outcome: None,
            domain: None,
            machine_guid: None,
            key_version: None,
            key_type: None,
            duration_seconds: None,
        }
    }
}

/// An event as it is written.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    event: &'a Event<'a>,
    request_id: &'a str,
    actor: Actor,
    time: String,
}

/// Where a request's events go.
#[derive(Debug)]
pub struct Journal<'a, E> {
    env: &'a E,
    request_id: &'a str,
    actor: Actor,
}

impl<E> Clone for Journal<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Journal<'_, E> {}

impl<'a, E: Environment> Journal<'a, E> {
    /// For the events of the request with this id, which `actor` sent.
    pub fn new(env: &'a E, request_id: &'a str, actor: Actor) -> Self {
        Self {
            env,
            request_id,
            actor,
        }
    }

    /// Writes an event: when it has happened, and before the answer goes out.
    pub fn record(&self, event: &Event<'_>) {
        let line = Line {
            event,
            request_id: self.request_id,
            actor: self.actor,
            time: rfc3339(self.env.now_s()),
        };
        // An event is plain data.
        let text = serde_json::to_string(&line).unwrap_or_default();
        self.env.log(&text);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[derive(Debug, Default)]
    struct Written(RefCell<Vec<String>>);

    impl Environment for Written {
        fn now_ms(&self) -> i64 {
            1_795_953_600_999
        }

        async fn sleep_ms(&self, _ms: u64) {}

        fn fill_random(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }

        fn log(&self, line: &str) {
            self.0.borrow_mut().push(line.to_owned());
        }
    }

    #[test]
    fn a_line_has_the_documented_members_in_order() {
        let domain = DomainName::from_path_segment("living-room").unwrap();
        let guid = MachineGuid::parse("0D4F0E6C-0000-4000-8000-000000000001").unwrap();
        let written = Written::default();
        let journal = Journal::new(&written, "r-1", Actor::Machine);
        journal.record(&Event {
            outcome: Some("joined"),
            domain: Some(&domain),
            machine_guid: Some(guid),
            key_version: Some(2),
            ..Event::new(Kind::Registration)
        });
        let operator = Actor::Operator([0, 0xab, 1, 2]);
        Journal::new(&written, "r-2", operator).record(&Event {
            domain: Some(&domain),
            key_version: Some(3),
            key_type: Some("RSA-2048"),
            duration_seconds: Some(0.087),
            ..Event::new(Kind::KeyGenerated)
        });
        assert_eq!(
            *written.0.borrow(),
            [
                r#"{"event":"registration","outcome":"joined","domain":"living-room","machineGuid":"0d4f0e6c-0000-4000-8000-000000000001","keyVersion":2,"request_id":"r-1","actor":"machine","time":"2026-11-29T12:00:00Z"}"#,
                r#"{"event":"key_generated","domain":"living-room","keyVersion":3,"keyType":"RSA-2048","durationSeconds":0.087,"request_id":"r-2","actor":"admin:00ab0102","time":"2026-11-29T12:00:00Z"}"#,
            ]
        );
    }
}
