//! The component's events: what it decided, one JSON object on a line of standard error.

use serde_json::{Map, Value};

use super::Metrics;

/// How every event begins, and no line of the component's log.
const BEGIN: &str = "{\"event\":\"";

/// A decision of the component.
#[derive(Debug)]
pub struct Event<'a> {
    text: &'a str,
    members: Map<String, Value>,
}

impl<'a> Event<'a> {
    /// The event on a line, if there is one.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        if !line.starts_with(BEGIN.as_bytes()) {
            return None;
        }
        let text = std::str::from_utf8(line).ok()?.trim_end();
        let members = serde_json::from_str(text).ok()?;
        Some(Self { text, members })
    }

    /// It as it was written.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Whether it has this member.
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    fn word(&self, name: &str) -> Option<&str> {
        self.members.get(name)?.as_str()
    }

    /// Counts it.
    pub(super) fn count(&self, metrics: &Metrics) {
        let outcome = || self.word("outcome").unwrap_or("unknown");
        match self.word("event") {
            Some("registration") => metrics.registration(outcome()),
            Some("deregistration") => metrics.deregistration(outcome()),
            Some("key_generated") => {
                let seconds = self.members.get("durationSeconds");
                let key_type = self.word("keyType").unwrap_or("unknown");
                metrics.key_generated(key_type, seconds.and_then(Value::as_f64));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_an_object_that_begins_with_its_name() {
        let line = b"{\"event\":\"registration\",\"outcome\":\"joined\"}\r\n";
        let event = Event::parse(line).unwrap();
        assert_eq!(
            event.text(),
            r#"{"event":"registration","outcome":"joined"}"#
        );
        assert!(event.has("outcome") && !event.has("request_id"));
        for line in [
            "",
            "error: {\"event\":\"x\"}",
            "{\"outcome\":\"joined\",\"event\":\"registration\"}",
            "{\"event\":\"registration\"",
            "{\"event\":\"registration\"} {}",
        ] {
            assert!(Event::parse(line.as_bytes()).is_none(), "{line}");
        }
        assert!(Event::parse(b"{\"event\":\"\xff\"}").is_none());
    }

    #[test]
    fn events_are_counted() {
        let metrics = Metrics::default();
        for line in [
            r#"{"event":"registration","outcome":"joined"}"#,
            r#"{"event":"registration","outcome":"DOM_REG_DENIED"}"#,
            r#"{"event":"deregistration","outcome":"preview"}"#,
            r#"{"event":"key_generated","keyType":"RSA-2048","durationSeconds":0.087}"#,
            r#"{"event":"machine_blocked"}"#,
        ] {
            Event::parse(line.as_bytes()).unwrap().count(&metrics);
        }
        let (_, page) = metrics.page("");
        for line in [
            r#"anonymous_domains_registrations_total{outcome="joined"} 1"#,
            r#"anonymous_domains_registrations_total{outcome="DOM_REG_DENIED"} 1"#,
            r#"anonymous_domains_deregistrations_total{outcome="preview"} 1"#,
            r#"anonymous_domains_keys_generated_total{type="RSA-2048"} 1"#,
            r#"anonymous_domains_key_generation_duration_seconds_sum 0.087"#,
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }
}
