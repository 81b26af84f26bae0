//! Whether an audit log of a gateway is whole.
//!
//! Each line is a JSON object with `seq`, the number of the record from 1, and `prev`, the SHA-256
//! of the line before in hexadecimal, without its line break; 64 zeros in the first. So a record
//! that was changed does not fit the next one, and one that was removed is missing in the numbers.
//! What is missing at the end cannot be seen from the log alone, nor whether all of it was written
//! anew: that takes a number and a hash that were noted elsewhere.

use std::{
    fmt::{self, Write as _},
    fs::File,
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What was noted elsewhere of a log.
#[derive(Clone, Debug, Default)]
pub struct Noted {
    /// The number of a record that it must have.
    pub seq: Option<u64>,
    /// The SHA-256 in hexadecimal of that record, or, without a number, of any record.
    pub hash: Option<String>,
}

/// What a check of a log found.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// How many records there are.
    pub records: u64,
    /// The number of the first record.
    pub first_seq: Option<u64>,
    /// The number of the last record.
    pub last_seq: Option<u64>,
    /// The SHA-256 of the last record in hexadecimal.
    pub last_hash: Option<String>,
    /// Where the chain breaks. If nowhere, it is whole as far as it reaches.
    pub breaks: Vec<Break>,
}

/// A place where a log is not as it was written.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Break {
    /// What happened.
    pub kind: BreakKind,
    /// The number of the first record that is concerned.
    pub seq: u64,
    /// The number of the last one.
    pub through: u64,
    /// Where it shows.
    pub file: PathBuf,
    /// The line there, from 1; 0 for the end of the log.
    pub line: u64,
}

/// What happened to a log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakKind {
    /// Records were removed.
    Removed,
    /// A record was changed, or is none.
    Changed,
    /// A record comes again, or another chain begins.
    OutOfOrder,
    /// The last line has no end.
    Torn,
    /// Records at the end are missing, as what was noted shows.
    TailCut,
    /// The log is not the one of which something was noted.
    NotAsNoted,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seq, through) = (self.seq, self.through);
        let records = if seq == through {
            format!("record {seq}")
        } else {
            format!("records {seq} to {through}")
        };
        match self.line {
            0 => write!(f, "{}: ", self.file.display())?,
            line => write!(f, "{}, line {line}: ", self.file.display())?,
        }
        match self.kind {
            BreakKind::Removed => write!(f, "{records} removed"),
            BreakKind::Changed => write!(f, "{records} changed"),
            BreakKind::OutOfOrder => write!(f, "{records} out of order, or of another chain"),
            BreakKind::Torn => write!(
                f,
                "the last line is cut off (the gateway's next start repairs it)"
            ),
            BreakKind::TailCut => write!(f, "the tail was cut: {records} missing"),
            BreakKind::NotAsNoted => write!(f, "{records} not as noted: the log was written anew"),
        }
    }
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.breaks.is_empty()
    }
}

/// What every record has.
#[derive(Deserialize)]
struct Link {
    seq: u64,
    prev: String,
}

/// How often a check says how far it is, in records.
const STEP: u64 = 1000;

/// Checks the log in these files, the oldest first. Now and then calls `watch` with how many records
/// and bytes were read.
///
/// # Errors
///
/// If a file cannot be read, with its name.
pub fn verify(
    files: &[PathBuf],
    noted: &Noted,
    mut watch: impl FnMut(u64, u64),
) -> Result<Verdict, (PathBuf, io::Error)> {
    let mut check = Check::new(noted);
    let mut bytes = 0;
    for file in files {
        let watch = |check: &Check<'_>, more| {
            bytes += more;
            if check.verdict.records % STEP == 1 {
                watch(check.verdict.records, bytes);
            }
        };
        check
            .file(file, watch)
            .map_err(|error| (file.clone(), error))?;
    }
    Ok(check.end(files.last().map(PathBuf::as_path)))
}

struct Check<'a> {
    noted: &'a Noted,
    verdict: Verdict,
    /// The number of the last record.
    seq: u64,
    /// What the next record must have as `prev`; `None` if that is not known.
    hash: Option<String>,
    /// Whether the link to the last record was broken, so that this one itself may be what changed.
    was_broken: bool,
    is_noted: bool,
}

impl<'a> Check<'a> {
    fn new(noted: &'a Noted) -> Self {
        Self {
            noted,
            verdict: Verdict::default(),
            seq: 0,
            hash: Some("0".repeat(64)),
            was_broken: false,
            is_noted: false,
        }
    }

    fn file(&mut self, path: &Path, mut watch: impl FnMut(&Self, u64)) -> io::Result<()> {
        let mut reader = BufReader::new(File::open(path)?);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            if line.pop_if(|byte| *byte == b'\n').is_none() {
                self.report(BreakKind::Torn, self.seq + 1, self.seq + 1, path, number);
                break;
            }
            self.line(&line, path, number);
            watch(self, read as u64);
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8], path: &Path, number: u64) {
        let hash = hex(&Sha256::digest(line));
        let Ok(Link { seq, prev }) = serde_json::from_slice(line) else {
            self.seq += 1;
            self.report(BreakKind::Changed, self.seq, self.seq, path, number);
            // Its hash may be right all the same, but nothing else of it is.
            (self.hash, self.was_broken) = (None, false);
            self.verdict.records += 1;
            return;
        };
        let is_first = self.verdict.records == 0;
        if is_first && seq > 1 {
            // Older files are gone, or not given.
            (self.seq, self.hash) = (seq - 1, None);
        }
        let fits = self.hash.as_ref().is_none_or(|hash| *hash == prev);
        let was_broken = std::mem::take(&mut self.was_broken);
        if seq <= self.seq {
            self.report(BreakKind::OutOfOrder, seq, seq, path, number);
        } else if seq > self.seq + 1 {
            self.report(BreakKind::Removed, self.seq + 1, seq - 1, path, number);
        } else if !fits && is_first {
            self.report(BreakKind::Changed, seq, seq, path, number);
        } else if !fits {
            // The last record was changed; or, if the link to that one does not fit either, that
            // was what changed in it, and it is reported.
            if !was_broken {
                self.report(BreakKind::Changed, self.seq, self.seq, path, number);
            }
            self.was_broken = !was_broken;
        }
        self.verdict.records += 1;
        self.verdict.first_seq.get_or_insert(seq);
        if self.noted.seq.is_none_or(|noted| noted == seq)
            && let Some(noted) = &self.noted.hash
            && noted.eq_ignore_ascii_case(&hash)
        {
            self.is_noted = true;
        } else if self.noted.hash.is_none() && self.noted.seq == Some(seq) {
            self.is_noted = true;
        }
        self.seq = seq;
        self.hash = Some(hash);
    }

    fn end(mut self, last: Option<&Path>) -> Verdict {
        if self.verdict.records > 0 {
            self.verdict.last_seq = Some(self.seq);
            self.verdict.last_hash.clone_from(&self.hash);
        }
        let last = last.unwrap_or(Path::new("")).to_owned();
        match (self.noted.seq, &self.noted.hash) {
            _ if self.is_noted => {}
            (None, None) => {}
            (Some(seq), _) if seq > self.seq => {
                self.report(BreakKind::TailCut, self.seq + 1, seq, &last, 0);
            }
            (Some(seq), _) => self.report(BreakKind::NotAsNoted, seq, seq, &last, 0),
            (None, Some(_)) => {
                let seq = self.seq + 1;
                self.report(BreakKind::TailCut, seq, seq, &last, 0);
            }
        }
        self.verdict
    }

    fn report(&mut self, kind: BreakKind, seq: u64, through: u64, path: &Path, line: u64) {
        self.verdict.breaks.push(Break {
            kind,
            seq,
            through,
            file: path.to_owned(),
            line,
        });
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests;
