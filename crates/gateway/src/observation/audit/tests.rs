//! The audit log in real files.

use std::{fs, os::unix::fs::PermissionsExt as _};

use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::*;

fn id() -> RequestId {
    let mut headers = HeaderMap::new();
    headers.insert("x-request-id", HeaderValue::from_static("r-1"));
    RequestId::of(&headers)
}

fn record(log: &AuditLog, name: &str) -> bool {
    let line = format!("{{\"event\":\"{name}\",\"domain\":\"d\"}}");
    log.record(&Event::parse(line.as_bytes()).unwrap(), Some(&id()))
}

/// The records of files in order, whose chain is whole.
fn records(paths: &[&Path]) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    let mut prev = "0".repeat(64);
    for path in paths {
        for line in fs::read_to_string(path).unwrap().lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            assert_eq!(record["seq"], found.len() + 1);
            assert_eq!(record["prev"], prev);
            let digest: [u8; 32] = Sha256::digest(line).into();
            prev = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            found.push(record);
        }
    }
    found
}

fn names(paths: &[&Path]) -> Vec<String> {
    let name = |record: &Value| record["event"].as_str().unwrap().to_owned();
    records(paths).iter().map(name).collect()
}

#[test]
fn records_are_chained_also_over_starts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    for names in [["a", "b"], ["c", "d"]] {
        let log = AuditLog::open(&path, false).unwrap();
        for name in names {
            assert!(record(&log, name));
        }
        log.sync();
        let error = AuditLog::open(&path, false).unwrap_err();
        assert!(error.to_string().contains("another process"), "{error}");
    }
    assert_eq!(names(&[&path]), ["a", "b", "c", "d"]);
    assert_eq!(records(&[&path])[0]["request_id"], "r-1");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_line_that_was_cut_off_is_completed_or_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    let log = AuditLog::open(&path, false).unwrap();
    assert!(record(&log, "a") && record(&log, "b"));
    drop(log);
    let whole = fs::read(&path).unwrap();

    // Only the line break is missing.
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert!(record(&AuditLog::open(&path, false).unwrap(), "c"));
    assert_eq!(names(&[&path]), ["a", "b", "c"]);

    // More is.
    fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    assert!(record(&AuditLog::open(&path, false).unwrap(), "c"));
    assert_eq!(names(&[&path]), ["a", "log_repaired", "c"]);
    let removed = records(&[&path])[1]["removed"].as_str().unwrap().to_owned();
    assert!(removed.starts_with("{\"seq\":2,"), "{removed}");

    // All that there was.
    fs::write(&path, "{\"seq\"").unwrap();
    drop(AuditLog::open(&path, false).unwrap());
    assert_eq!(names(&[&path]), ["log_repaired"]);
}

#[test]
fn another_file_is_not_continued() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    fs::write(&path, "Dear diary\n").unwrap();
    let error = format!("{:#}", AuditLog::open(&path, false).unwrap_err());
    assert!(error.contains("is no audit log"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "Dear diary\n");
    assert!(AuditLog::open(directory.path(), false).is_err());
}

#[test]
fn the_chain_goes_on_in_a_new_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    let old = directory.path().join("audit.log.1");
    let log = AuditLog::open(&path, false).unwrap();
    assert!(record(&log, "a"));
    log.reopen();
    assert_eq!(names(&[&path]), ["a"], "it is the same file");
    fs::rename(&path, &old).unwrap();
    assert!(record(&log, "b"), "nobody said so yet");
    log.reopen();
    assert!(record(&log, "c"));
    assert_eq!(names(&[&old, &path]), ["a", "b", "log_rotated", "c"]);

    // A start goes on with the new file alone.
    drop(log);
    let log = AuditLog::open(&path, false).unwrap();
    assert!(record(&log, "d"));
    assert_eq!(names(&[&old, &path])[4], "d");

    // What is there already is not overwritten.
    fs::rename(&path, directory.path().join("audit.log.2")).unwrap();
    fs::write(&path, "mine\n").unwrap();
    log.reopen();
    assert!(record(&log, "e"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine\n");
}

#[test]
#[cfg(target_os = "linux")]
fn without_the_log_nothing_is_changed_unless_that_was_chosen() {
    // A device that is always full.
    for (fail_open, answered) in [(false, false), (true, true)] {
        let log = AuditLog::open(Path::new("/dev/full"), fail_open).unwrap();
        assert!(log.may_change(), "it is not known yet");
        assert_eq!(record(&log, "a"), answered);
        assert_eq!(log.may_change(), answered);
    }
}
