//! Times as text and in JSON.

use std::time::Duration;

use serde_json::Value;
use x509_cert::der::DateTime;

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const LAST_SECOND: u64 = 253_402_300_799;

/// RFC 3339 in UTC with whole seconds, `2026-11-22T19:41:28Z`, of seconds since 1970-01-01T00:00:00Z.
///
/// Seconds outside of the years 1970 to 9999 are shown as the nearest second inside.
pub fn rfc3339(unix_seconds: i64) -> String {
    let seconds = u64::try_from(unix_seconds).unwrap_or(0).min(LAST_SECOND);
    DateTime::from_unix_duration(Duration::from_secs(seconds))
        .expect("DateTime reaches from 1970 to 9999")
        .to_string()
}

/// Seconds since 1970-01-01T00:00:00Z of what [`rfc3339`] writes; `None` for any other text.
pub fn unix_seconds(rfc3339: &str) -> Option<i64> {
    let time: DateTime = rfc3339.parse().ok()?;
    i64::try_from(time.unix_duration().as_secs()).ok()
}

/// A NumericDate (RFC 7519 section 2), which may have a fraction, in milliseconds since
/// 1970-01-01T00:00:00Z.
///
/// None for what is not a JSON number, or is outside of the years 1970 to 9999: no date of this
/// protocol is, and a larger number could not be computed with.
pub fn numeric_date_ms(value: &Value) -> Option<i64> {
    if let Some(seconds) = value.as_u64() {
        return (seconds <= LAST_SECOND).then(|| seconds as i64 * 1000);
    }
    value
        .as_f64()
        .filter(|seconds| (0.0..=LAST_SECOND as f64).contains(seconds))
        .map(|seconds| (seconds * 1000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{numeric_date_ms, rfc3339, unix_seconds};

    #[test]
    fn numeric_dates_are_within_the_calendar() {
        for (date, ms) in [
            (json!(0), 0),
            (json!(1_795_376_488), 1_795_376_488_000),
            (json!(1_795_376_488.25), 1_795_376_488_250),
            (json!(1.795_376_488e9), 1_795_376_488_000),
            (json!(253_402_300_799_u64), 253_402_300_799_000),
        ] {
            assert_eq!(numeric_date_ms(&date), Some(ms), "{date}");
        }
        for date in [
            json!(253_402_300_800_u64),
            json!(179_537_648_817_953_765_u64),
            json!(u64::MAX),
            json!(1e30),
            json!(-1),
            json!(-0.5),
            json!("1795376488"),
            json!(true),
            json!([1]),
            Value::Null,
        ] {
            assert_eq!(numeric_date_ms(&date), None, "{date}");
        }
    }

    #[test]
    fn seconds_become_text() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_376_488, "2026-11-22T19:41:28Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (i64::MAX, "9999-12-31T23:59:59Z"),
            (-1, "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }

    #[test]
    fn text_becomes_the_seconds_that_it_was_written_from() {
        for seconds in [0, 951_782_400, 1_795_376_488, 253_402_300_799] {
            assert_eq!(unix_seconds(&rfc3339(seconds)), Some(seconds));
        }
        for text in [
            "",
            "2026-11-22T19:41:28",
            "2026-11-22T19:41:28.5Z",
            "2026-11-22T19:41:28+01:00",
            "2026-13-22T19:41:28Z",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(unix_seconds(text), None, "{text}");
        }
    }
}
