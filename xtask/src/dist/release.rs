//! What is released: a version, at a time, from these sources.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{process, workspace::Workspace};

/// What every file of a release depends on.
pub struct Release {
    /// The repository's root.
    pub root: PathBuf,
    /// The workspace's version.
    pub version: String,
    /// The time that all is dated, in seconds since 1970.
    pub time: u64,
    /// What cargo knows of all packages: `cargo metadata`.
    pub metadata: Value,
}

impl Release {
    /// Reads the version, and the time: `SOURCE_DATE_EPOCH`, or that of the last commit.
    ///
    /// # Errors
    /// If there is neither.
    pub fn of(workspace: &Workspace) -> Result<Self> {
        let time = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(time) => time,
            Err(_) => process::output(Command::new("git").current_dir(&workspace.root).args([
                "log",
                "-1",
                "--format=%ct",
            ]))
            .context("without git, SOURCE_DATE_EPOCH must be set")?,
        };
        let metadata = process::output(process::cargo(&workspace.root).args([
            "metadata",
            "--format-version=1",
            "--locked",
        ]))?;
        let metadata: Value = serde_json::from_str(&metadata)?;
        let version = metadata["packages"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|package| package["name"] == "anonymous-domains")
            .and_then(|package| package["version"].as_str())
            .context("cargo metadata names no version")?
            .to_owned();
        Ok(Self {
            root: workspace.root.clone(),
            version,
            time: time
                .trim()
                .parse()
                .context("SOURCE_DATE_EPOCH is no time")?,
            metadata,
        })
    }

    /// The time as RFC 3339 writes it, in UTC.
    pub fn timestamp(&self) -> String {
        let (days, second) = (self.time / 86_400, self.time % 86_400);
        // Days of a year that begins in March, in eras of 400 years (Hinnant's civil_from_days).
        let days = days + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = era * 400 + year + u64::from(month <= 2);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339_has_them() {
        let expected = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_796_033_045, "2026-11-30T10:04:05Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
        ];
        for (time, text) in expected {
            let release = Release {
                root: PathBuf::new(),
                version: String::new(),
                time,
                metadata: Value::Null,
            };
            assert_eq!(release.timestamp(), text);
        }
    }
}
