//! The files of exports, as `domainctl` reads them.

use std::{cell::RefCell, io::Write as _};

use anonymous_domains_domainctl::transfer::ExportFile;
use anonymous_domains_protocol::{base64url, transfer::Part};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::{Target, requests};
use crate::input::{self, seed};

/// A byte chooses whether the rest is a whole file, or the lines of one whose last line fits them.
pub const EXPORT_FILE: Target = Target {
    name: "export_file",
    about: "files of exports: one that was cut or changed is refused",
    run,
    seeds,
    mutations: 2_000,
};

fn run(bytes: &[u8]) {
    let (kind, rest) = input::choice(bytes);
    let mut text = rest.to_vec();
    if kind % 2 == 1 {
        text.extend(last_line(rest).into_bytes());
    }
    for line in text.split(|byte| *byte == b'\n') {
        part(line);
    }
    let opened = with_file(&text, ExportFile::open);
    let Ok(file) = opened else { return };
    let end = text.iter().rposition(|byte| *byte == b'\n');
    let body = text.strip_suffix(b"\n").unwrap_or(&text);
    let before = body.iter().rposition(|byte| *byte == b'\n');
    let before = before.map_or(0, |at| at + 1);
    assert!(end.is_some(), "there is a first line");
    let digest = base64url::encode(&Sha256::digest(&text[..before]));
    assert_eq!(file.trailer.sha256, digest);
    assert_eq!(file.bytes, text.len() as u64);
}

/// A line, as a server reads it.
fn part(line: &[u8]) {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(line) else {
        return;
    };
    let Ok(part) = Part::from_value(value.clone()) else {
        return;
    };
    let printed = serde_json::to_value(&part).expect("a line");
    assert_eq!(Part::from_value(printed).ok().as_ref(), Some(&part));
    let derived: Part = serde_json::from_value(value).expect("it reads either way");
    assert_eq!(derived, part);
}

fn last_line(lines: &[u8]) -> String {
    let is_end = |line: &&[u8]| {
        let line = serde_json::from_slice::<serde_json::Value>(line);
        line.is_ok_and(|line| line["part"] == "end")
    };
    let all: Vec<_> = lines.split(|byte| *byte == b'\n').collect();
    let domains = all.iter().filter(|line| is_end(line)).count();
    let count = all.len() - 1;
    let digest = base64url::encode(&Sha256::digest(lines));
    format!("{{\"domains\":{domains},\"lines\":{count},\"sha256\":\"{digest}\"}}\n")
}

/// Calls `read` with the path of a file that has these bytes.
pub(super) fn with_file<R>(bytes: &[u8], read: impl FnOnce(&std::path::Path) -> R) -> R {
    thread_local! {
        static FILE: RefCell<NamedTempFile> =
            RefCell::new(NamedTempFile::new().expect("there is a place for temporary files"));
    }
    FILE.with_borrow_mut(|file| {
        let same = file.as_file_mut();
        std::io::Seek::rewind(same)
            .and_then(|()| same.set_len(0))
            .and_then(|()| same.write_all(bytes))
            .expect("the file can be written");
        read(file.path())
    })
}

fn seeds() -> Vec<Vec<u8>> {
    let header = "{\"format\":\"anonymous-domains export\",\"version\":1,\"createdAt\":\"2026-11-22T19:41:28Z\",\"keyEncryptionKeys\":[]}\n";
    let lines: String = requests::exported()
        .into_iter()
        .map(|line| line + "\n")
        .collect();
    let whole = format!("{header}{lines}");
    vec![
        seed(&[&[1], whole.as_bytes()]),
        seed(&[
            &[0],
            whole.as_bytes(),
            last_line(whole.as_bytes()).as_bytes(),
        ]),
        seed(&[&[1], header.as_bytes()]),
        seed(&[&[1], header.as_bytes(), lines.as_bytes(), lines.as_bytes()]),
        vec![0],
    ]
}
