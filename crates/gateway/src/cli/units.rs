//! Durations and sizes as flags take them.

use std::time::Duration;

/// A time in seconds (`30`, `30s`), milliseconds (`500ms`) or minutes (`2m`), up to an hour.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 = digits
        .parse()
        .map_err(|_| "write a whole number and ms, s or m, such as 30s".to_owned())?;
    let milliseconds = match &text[digits.len()..] {
        "ms" => Some(number),
        "s" | "" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        unit => return Err(format!("{unit} is no unit; there are ms, s and m")),
    };
    match milliseconds {
        Some(ms) if (1..=3_600_000).contains(&ms) => Ok(Duration::from_millis(ms)),
        _ => Err("must be from 1ms to 60m".to_owned()),
    }
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
        for text in [
            "",
            "s",
            "0",
            "-1s",
            "1.5s",
            "1h",
            "61m",
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
