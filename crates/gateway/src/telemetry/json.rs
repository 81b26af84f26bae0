//! The log as JSON lines. The fields of an event and of the spans around it are all members of the
//! line itself: so a line of a request has its `request_id` where a log's reader looks first.

use std::fmt::{self, Write as _};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormattedFields,
        format::{JsonFields, Writer},
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// Writes an event as one JSON object: `timestamp`, `level`, the fields of the event, `target`, and
/// the fields of its spans.
pub(super) struct Json;

impl<S> FormatEvent<S, JsonFields> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let metadata = event.metadata();
        let mut line = Members(String::from("{"));
        line.text("timestamp", &time);
        line.text("level", metadata.level().as_str());
        event.record(&mut line);
        line.text("target", metadata.target());
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            if let Some(fields) = extensions.get::<FormattedFields<JsonFields>>() {
                line.object(&fields.fields);
            }
        }
        line.0.push_str("}\n");
        writer.write_str(&line.0)
    }
}

/// An object that is open.
struct Members(String);

impl Members {
    fn member(&mut self, name: &str, value: impl fmt::Display) {
        self.separate();
        // Writing to a text cannot fail.
        let _ = write!(self.0, "{}:{value}", quoted(name));
    }

    fn text(&mut self, name: &str, value: &str) {
        self.member(name, quoted(value));
    }

    /// Adds the members of another object.
    fn object(&mut self, json: &str) {
        let members = json.trim().trim_start_matches('{').trim_end_matches('}');
        if !members.is_empty() {
            self.separate();
            self.0.push_str(members);
        }
    }

    fn separate(&mut self) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Visit for Members {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field.name(), serde_json::Value::from(value));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_fields_of_events_and_spans_are_members_of_the_line() {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonFields::new())
            .event_format(Json)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let empty = tracing::field::Empty;
            let span = tracing::error_span!("request", request_id = %"r-1", trace_id = empty);
            let _entered = span.enter();
            tracing::info!(target: "access", path = %"/\"", status = 200, duration_ms = 0.5, "a\nb");
            span.record("trace_id", "abc");
            tracing::warn!(yes = true);
        });
        let bytes = buffer.0.lock().unwrap().clone();
        let lines: Vec<serde_json::Value> = std::str::from_utf8(&bytes)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let [first, second] = &lines[..] else {
            panic!("{lines:?}");
        };
        assert!(first["timestamp"].as_str().unwrap().ends_with('Z'));
        let mut first = first.clone();
        first.as_object_mut().unwrap().remove("timestamp");
        let expected = serde_json::json!({
            "level": "INFO", "message": "a\nb", "path": "/\"", "status": 200, "duration_ms": 0.5,
            "target": "access", "request_id": "r-1",
        });
        assert_eq!(first, expected);
        assert_eq!(second["trace_id"], "abc");
        assert_eq!(second["request_id"], "r-1");
        assert_eq!(second["yes"], true);
    }
}
