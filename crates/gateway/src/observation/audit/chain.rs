//! The chain of the audit log: every line has the SHA-256 of the line before, so that none can be
//! changed or removed without a trace in the next.

use std::{fmt::Write as _, time::SystemTime};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// The end of a chain: the number of its last line, and that line's SHA-256.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Head {
    /// The number of the last line; 0 if there is none.
    pub seq: u64,
    hash: [u8; 32],
}

/// What every line has.
#[derive(Deserialize)]
struct Link {
    seq: u64,
    prev: String,
}

impl Head {
    /// The end of a chain that ends with this line (without its line break); `None` if that is no
    /// line of an audit log.
    pub(super) fn of_line(line: &[u8]) -> Option<Self> {
        let Link { seq, prev } = serde_json::from_slice(line).ok()?;
        (prev.len() == 64 && seq > 0).then(|| Self {
            seq,
            hash: Sha256::digest(line).into(),
        })
    }

    /// The end after this line, if it is the next one.
    pub(super) fn follow(&self, line: &[u8]) -> Option<Self> {
        let Link { seq, prev } = serde_json::from_slice(line).ok()?;
        (seq == self.seq + 1 && prev == self.hex()).then(|| Self {
            seq,
            hash: Sha256::digest(line).into(),
        })
    }

    /// The next line, with its line break, and the end after it. `members` is the text of a JSON
    /// object on one line, which has neither `seq` nor `prev`.
    pub(super) fn next(&self, members: &str) -> (String, Self) {
        let seq = self.seq + 1;
        let rest = members.strip_prefix('{').unwrap_or(members);
        let mut line = format!("{{\"seq\":{seq},\"prev\":\"{}\",{rest}", self.hex());
        let hash = Sha256::digest(&line).into();
        line.push('\n');
        (line, Self { seq, hash })
    }

    /// The SHA-256 of the last line in hexadecimal; 64 zeros if there is none.
    pub(super) fn hex(&self) -> String {
        let mut text = String::with_capacity(64);
        for byte in self.hash {
            // Writing to a text cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

/// The members of a record of the log's own.
pub(super) fn own(event: &str, name: &str, value: serde_json::Value) -> String {
    let time = humantime::format_rfc3339_seconds(SystemTime::now());
    let name = serde_json::Value::from(name);
    format!("{{\"event\":\"{event}\",{name}:{value},\"time\":\"{time}\"}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_the_hash_of_the_one_before() {
        let start = Head::default();
        assert_eq!(start.hex(), "0".repeat(64));
        let (first, head) = start.next(r#"{"event":"x"}"#);
        assert_eq!(
            first,
            format!(
                "{{\"seq\":1,\"prev\":\"{}\",\"event\":\"x\"}}\n",
                start.hex()
            )
        );
        let first = first.trim_end().as_bytes();
        assert_eq!(Head::of_line(first), Some(head));
        assert_eq!(start.follow(first), Some(head));
        assert_eq!(head.follow(first), None);
        let (second, _) = head.next(r#"{"event":"y"}"#);
        assert!(second.contains(&head.hex()));
        assert_eq!(Head::of_line(b"{\"event\":\"x\"}"), None);
        assert_eq!(Head::of_line(b"no JSON"), None);
    }
}
