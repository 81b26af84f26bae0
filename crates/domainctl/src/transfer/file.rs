//! Reading an export, whole and as it was written.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom},
    path::Path,
};

use anonymous_domains_protocol::{
    base64url,
    ids::DomainName,
    transfer::{FORMAT, Header, Trailer, VERSION},
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::error::AdminError;

/// The longest line: what a server takes as a body.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// An export that was found whole.
#[derive(Debug)]
pub struct ExportFile {
    file: BufReader<File>,
    name: String,
    /// Its first line.
    pub header: Header,
    /// Its last line.
    pub trailer: Trailer,
    /// How long it is.
    pub bytes: u64,
}

/// What a line says of itself.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    pub(super) part: Kind,
    pub(super) domain: DomainName,
    /// The text, with its line feed.
    #[serde(skip)]
    pub(super) text: String,
}

/// Which part of a domain a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Domain,
    Keys,
    Machines,
    End,
}

impl ExportFile {
    /// Opens an export and reads all of it.
    ///
    /// # Errors
    ///
    /// [`AdminError::Usage`] for a file that cannot be read, is no export of this version, was cut or
    /// changed, or lacks a part of a domain.
    pub fn open(path: &Path) -> Result<Self, AdminError> {
        let name = path.display().to_string();
        let wrong = |why: &str| AdminError::Usage(format!("{name} {why}"));
        let file = File::open(path).map_err(|error| wrong(&format!("cannot be read: {error}.")))?;
        let mut file = BufReader::new(file);
        let mut digest = Sha256::new();
        let (mut bytes, mut lines, mut domains) = (0, 0, 0);
        let mut header: Option<Header> = None;
        let mut seen = BTreeSet::new();
        let mut open: Option<(DomainName, Kind)> = None;
        let trailer = loop {
            let text = read_line(&mut file, &name)?;
            bytes += text.len() as u64;
            let is_whole = text.ends_with('\n');
            if let Some(header) = &header {
                if let Ok(trailer) = serde_json::from_str::<Trailer>(&text) {
                    break trailer;
                }
                let _ = header;
                if !is_whole {
                    return Err(wrong("was cut off: its last line is missing."));
                }
                let line = parse(&text, &name, lines)?;
                follow(&mut open, &line).map_err(|why| wrong(&at_line(lines, why)))?;
                if line.part == Kind::Domain && !seen.insert(line.domain.clone()) {
                    return Err(wrong(&at_line(
                        lines,
                        "there is a domain for the second time",
                    )));
                }
                domains += u64::from(line.part == Kind::End);
            } else {
                header = Some(parse_header(&text).map_err(wrong)?);
            }
            digest.update(text.as_bytes());
            lines += 1;
        };
        let rest = file
            .read(&mut [0])
            .map_err(|error| wrong(&error.to_string()))?;
        if rest > 0 || open.is_some() || trailer.domains != domains || trailer.lines != lines {
            return Err(wrong(
                "was changed: its last line does not fit what is before it.",
            ));
        }
        if trailer.sha256 != base64url::encode(&digest.finalize()) {
            return Err(wrong(
                "was changed since it was written: its digest does not fit.",
            ));
        }
        let Some(header) = header else {
            return Err(wrong("is empty."));
        };
        Ok(Self {
            file,
            name,
            header,
            trailer,
            bytes,
        })
    }

    /// Calls `take` with each line about a domain.
    pub(super) fn lines(
        &mut self,
        mut take: impl FnMut(Line) -> Result<(), AdminError>,
    ) -> Result<(), AdminError> {
        self.file.seek(SeekFrom::Start(0)).map_err(|error| {
            AdminError::Usage(format!("{} cannot be read: {error}.", self.name))
        })?;
        read_line(&mut self.file, &self.name)?;
        for number in 1..self.trailer.lines {
            let text = read_line(&mut self.file, &self.name)?;
            let mut line = parse(&text, &self.name, number)?;
            line.text = text;
            take(line)?;
        }
        Ok(())
    }
}

fn read_line(file: &mut BufReader<File>, name: &str) -> Result<String, AdminError> {
    let mut text = String::new();
    let read = file.take(MAX_LINE_BYTES + 1).read_line(&mut text);
    match read {
        Ok(read) if read as u64 <= MAX_LINE_BYTES => Ok(text),
        Ok(_) => Err(AdminError::Usage(format!(
            "{name} has a line that is too long to be one of an export."
        ))),
        Err(error) => Err(AdminError::Usage(format!(
            "{name} cannot be read: {error}."
        ))),
    }
}

fn parse_header(text: &str) -> Result<Header, &'static str> {
    /// What the first line of every version has.
    #[derive(Deserialize)]
    struct AnyHeader {
        format: String,
        version: u32,
    }
    const NONE: &str = "is no export: its first line is not that of a file from domainctl export.";
    let any: AnyHeader = serde_json::from_str(text).map_err(|_| NONE)?;
    if any.format != FORMAT {
        return Err(NONE);
    }
    if any.version != VERSION {
        return Err("is an export of another version, which this program does not know.");
    }
    serde_json::from_str(text).map_err(|_| NONE)
}

fn parse(text: &str, name: &str, lines: u64) -> Result<Line, AdminError> {
    serde_json::from_str(text).map_err(|_| {
        let why = at_line(lines, "that is no line of an export");
        AdminError::Usage(format!("{name} {why}"))
    })
}

/// `lines` is how many there are before.
fn at_line(lines: u64, why: &str) -> String {
    format!("was changed: line {}: {why}.", lines + 1)
}

/// Checks that a line may follow the one before, which `open` has.
fn follow(open: &mut Option<(DomainName, Kind)>, line: &Line) -> Result<(), &'static str> {
    let follows = match open {
        None => line.part == Kind::Domain,
        Some((domain, before)) => {
            let is_next = match line.part {
                Kind::Domain => false,
                Kind::Keys => *before != Kind::Machines,
                Kind::Machines | Kind::End => true,
            };
            is_next && *domain == line.domain
        }
    };
    if !follows {
        return Err("it does not follow the line before");
    }
    *open = match line.part {
        Kind::End => None,
        part => Some((line.domain.clone(), part)),
    };
    Ok(())
}
