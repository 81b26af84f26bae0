//! Addresses, durations and sizes as flags take them.

use std::{net::SocketAddr, time::Duration};

/// An IP address and a port.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let advice = "write an IP address and a port, such as 127.0.0.1:3000 or [::]:3000";
    text.parse().map_err(|_| advice.to_owned())
}

/// A time such as `30s`, `500ms` or `1m 30s`, or in seconds (`30`), from 1 ms to an hour.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => humantime::parse_duration(text).map_err(|error| error.to_string())?,
    };
    if (Duration::from_millis(1)..=Duration::from_hours(1)).contains(&duration) {
        Ok(duration)
    } else {
        Err("must be from 1ms to 1h".to_owned())
    }
}

/// As [`duration`], or no time at all.
pub(super) fn delay(text: &str) -> Result<Duration, String> {
    match text.trim_end_matches(|c: char| c.is_ascii_alphabetic()) {
        "0" => Ok(Duration::ZERO),
        _ => duration(text),
    }
}

/// A part of something, from 0 to 1.
pub(super) fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text
        .parse()
        .ok()
        .filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "must be from 0 to 1".to_owned())
}

/// A size in MiB or GiB (`512MiB`, `2GiB`), in bytes, up to 1024 GiB.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: usize = digits
        .parse()
        .map_err(|_| "write a whole number and MiB or GiB, such as 512MiB".to_owned())?;
    let mebibytes = match &text[digits.len()..] {
        "MiB" => Some(number),
        "GiB" => number.checked_mul(1024),
        unit => return Err(format!("\"{unit}\" is no unit; there are MiB and GiB")),
    };
    match mebibytes {
        Some(mebibytes) if (1..=1024 * 1024).contains(&mebibytes) => Ok(mebibytes * 1024 * 1024),
        _ => Err("must be from 1MiB to 1024GiB".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        for text in [
            "",
            "s",
            "0",
            "-1s",
            "2h",
            "61m",
            "3600001ms",
            "99999999999999999999",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("1MiB"), Ok(1 << 20));
        assert_eq!(size("512MiB"), Ok(512 << 20));
        assert_eq!(size("1024GiB"), Ok(1 << 40));
        for text in [
            "",
            "MiB",
            "0MiB",
            "-1MiB",
            "1.5GiB",
            "512",
            "1GB",
            "1025GiB",
            "99999999999999GiB",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
