//! The command's output: text for people, or one JSON object for programs.

use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};

use anonymous_domains_client::{CommandError as _, Console, printable};
use anonymous_domains_domainctl::{List, audit::Verdict, cells::At, error::AdminError};
use anonymous_domains_protocol::admin::Domain;
use anonymous_domains_terminal::grouped;
use serde::Serialize;
use serde_json::{Value, json};

use crate::table::Table;

/// Why a command ended early.
pub enum Stop {
    /// It did not succeed.
    Failed(AdminError),
    /// The output cannot be written.
    Output(io::Error),
}

impl From<AdminError> for Stop {
    fn from(error: AdminError) -> Self {
        Self::Failed(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Prints a command's output.
pub struct Report {
    console: Console,
}

impl Report {
    /// A report on this console.
    pub fn new(console: Console) -> Self {
        Self { console }
    }

    /// Prints one result: `text`, or `json` with `"ok": true`.
    ///
    /// # Errors
    ///
    /// [`Stop::Output`].
    pub fn say(&self, text: &str, mut json: Value) -> Result<(), Stop> {
        json["ok"] = true.into();
        Ok(self.console.say(text, &json)?)
    }

    /// Whether the output is for programs.
    pub fn is_json(&self) -> bool {
        self.console.is_json()
    }

    /// Tells people something besides the result.
    pub fn note(&self, text: &str) {
        self.console.note(text);
    }

    /// Prints what a check found: `text`, or `json` with whether all is well as `ok`.
    ///
    /// # Errors
    ///
    /// [`Stop::Output`].
    pub fn check(&self, text: &str, mut json: Value, is_well: bool) -> Result<Listed, Stop> {
        json["ok"] = is_well.into();
        self.console.say(text, &json)?;
        Ok(if is_well {
            Listed::Whole
        } else {
            Listed::Wrong
        })
    }

    /// Ends a command that printed all that it could, with what it could not: programs found that in
    /// the JSON.
    ///
    /// # Errors
    ///
    /// The error, for people.
    pub fn broken_off(&self, error: AdminError) -> Result<Listed, Stop> {
        match self.is_json() {
            true => Ok(Listed::BrokenOff(error)),
            false => Err(error.into()),
        }
    }

    /// Warns people; programs find it in the JSON.
    pub fn warn(&self, warning: Option<&str>) {
        if let Some(warning) = warning {
            self.console.note(warning);
        }
    }

    /// Prints a list while it arrives: a table, or an object with the entries as `name` and, as in
    /// the protocol, `next`. People read `none` if there are no entries.
    ///
    /// # Errors
    ///
    /// [`Stop::Failed`] if the list breaks off. In JSON, the object itself has the error if it
    /// already has an entry.
    pub fn list<T: Serialize, const N: usize>(
        &self,
        mut pages: impl List<Item = Result<T, AdminError>>,
        name: &str,
        none: &str,
        header: [&'static str; N],
        cells: impl Fn(&T) -> [String; N],
    ) -> Result<Listed, Stop> {
        // Nothing is printed before the first entry arrives, so that most failures stand alone.
        let first = pages.next().transpose()?;
        let empty = first.is_none();
        let entries = first.map(Ok).into_iter().chain(pages.by_ref());
        let mut out = BufWriter::new(io::stdout().lock());
        let broken = match self.console.is_json() {
            true => entries_as_json(&mut out, entries, name)?,
            false => entries_as_table(&mut out, entries, Table::new(header), cells)?,
        };
        let next = pages.next_after();
        if self.console.is_json() {
            let mut rest = match &broken {
                Some(error) => error.to_json(),
                None => json!({ "ok": true }),
            };
            rest["next"] = json!(next);
            // The object is still open after the entries; these are its other members.
            let rest = rest.to_string();
            writeln!(out, "],{}", rest.trim_start_matches('{'))?;
        }
        out.flush()?;
        drop(out);
        if let Some(error) = broken {
            return self.broken_off(error);
        }
        if empty {
            self.console.note(none);
        }
        if let Some(next) = next {
            let next = printable(next);
            self.console
                .note(&format!("there are more: go on with --after {next}"));
        }
        Ok(Listed::Whole)
    }

    /// Prints a whole list, in a JSON object as `name`.
    ///
    /// # Errors
    ///
    /// [`Stop::Output`].
    pub fn table<T: Serialize, const N: usize>(
        &self,
        entries: &[T],
        name: &str,
        none: &str,
        header: [&'static str; N],
        cells: impl Fn(&T) -> [String; N],
    ) -> Result<(), Stop> {
        if self.console.is_json() {
            return self.say("", json!({ name: entries }));
        }
        let mut out = BufWriter::new(io::stdout().lock());
        let mut table = Table::new(header);
        for entry in entries {
            table.row(&mut out, cells(entry))?;
        }
        table.flush(&mut out)?;
        out.flush()?;
        if entries.is_empty() {
            self.console.note(none);
        }
        Ok(())
    }

    /// Prints that the command failed, and returns the exit code of the process.
    pub fn stop(&self, stop: &Stop) -> u8 {
        match stop {
            Stop::Failed(error) => self.console.fail_with(error),
            // The reader is gone (`| head`) and wants no more.
            Stop::Output(error) if error.kind() == ErrorKind::BrokenPipe => 0,
            Stop::Output(error) => {
                self.console
                    .warn(&format!("The output cannot be written: {error}."));
                2
            }
        }
    }
}

/// How a command that prints much ended.
pub enum Listed {
    /// With its last entry, or the last one within the limit.
    Whole,
    /// With an error, which is printed already.
    BrokenOff(AdminError),
    /// With its end, and what it is about is not as it should be.
    Wrong,
}

type Out<'a> = BufWriter<StdoutLock<'a>>;

/// Writes `{"name":[` and the entries, one per line; returns the error that broke them off.
fn entries_as_json<T: Serialize>(
    out: &mut Out<'_>,
    entries: impl Iterator<Item = Result<T, AdminError>>,
    name: &str,
) -> io::Result<Option<AdminError>> {
    write!(out, "{{{}:[", json!(name))?;
    let mut separator = "\n";
    for entry in entries {
        match entry {
            Ok(entry) => {
                write!(out, "{separator}")?;
                serde_json::to_writer(&mut *out, &entry)?;
            }
            Err(error) => return Ok(Some(error)),
        }
        separator = ",\n";
    }
    Ok(None)
}

/// Writes the entries as a table; returns the error that broke them off.
fn entries_as_table<T, const N: usize>(
    out: &mut Out<'_>,
    entries: impl Iterator<Item = Result<T, AdminError>>,
    mut table: Table<N>,
    cells: impl Fn(&T) -> [String; N],
) -> io::Result<Option<AdminError>> {
    let mut broken = None;
    for entry in entries {
        match entry {
            Ok(entry) => table.row(out, cells(&entry))?,
            Err(error) => broken = Some(error),
        }
    }
    table.flush(out)?;
    Ok(broken)
}

/// A domain as text.
pub fn domain_text(domain: &Domain) -> String {
    let number = |number: Option<u64>, none: &str| {
        number.map_or_else(|| none.to_owned(), |number| number.to_string())
    };
    [
        ("domain", domain.domain.clone()),
        (
            "authentication required",
            yes_or_no(domain.authentication_required),
        ),
        ("auth namespace", namespace(domain)),
        ("max membership", number(domain.max_membership, "none")),
        ("members", number(domain.member_count, "unknown")),
        ("key version", number(domain.key_version, "none yet")),
        (
            "key rollover required",
            yes_or_no(domain.key_rollover_required),
        ),
        ("created", domain.created_at.clone()),
    ]
    .map(|(name, value)| format!("{name:<24}{}", printable(&value)))
    .join("\n")
}

/// What a check of an audit log found, as text.
pub fn audit_text(verdict: &Verdict) -> String {
    let mut lines: Vec<String> = verdict
        .breaks
        .iter()
        .map(|found| printable(&found.to_string()).to_string())
        .collect();
    lines.push(match (verdict.first_seq, verdict.last_seq) {
        _ if !verdict.is_whole() => "the chain is broken".to_owned(),
        (Some(1), Some(last)) => format!("the chain is whole: records 1 to {last}"),
        (Some(first), Some(last)) => format!(
            "the chain is whole: records {first} to {last}; those before {first} are not here"
        ),
        _ => "there are no records".to_owned(),
    });
    if let (Some(seq), Some(hash)) = (verdict.last_seq, &verdict.last_hash) {
        lines.push(format!("last record {seq}, SHA-256 {hash}"));
    }
    lines.join("\n")
}

/// A row of the table of domains.
pub fn domain_cells(domain: &Domain) -> [String; 7] {
    let number =
        |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    [
        domain.domain.clone(),
        yes_or_no(domain.authentication_required),
        namespace(domain),
        number(domain.max_membership),
        number(domain.key_version),
        yes_or_no(domain.key_rollover_required),
        domain.created_at.clone(),
    ]
}

/// A row of the table of several servers' domains.
pub fn placed_domain_cells(domain: &At<Domain>) -> [String; 8] {
    let [name, rest @ ..] = domain_cells(&domain.found);
    let [a, b, c, d, e, f] = rest;
    [name, domain.server.clone(), a, b, c, d, e, f]
}

/// The header of [`placed_domain_cells`].
pub const PLACED_DOMAIN_HEADER: [&str; 8] = [
    "DOMAIN",
    "SERVER",
    "AUTHENTICATION",
    "NAMESPACE",
    "MAXIMUM",
    "KEY",
    "ROLLOVER",
    "CREATED",
];

/// The header of [`domain_cells`].
pub const DOMAIN_HEADER: [&str; 7] = [
    "DOMAIN",
    "AUTHENTICATION",
    "NAMESPACE",
    "MAXIMUM",
    "KEY",
    "ROLLOVER",
    "CREATED",
];

/// So many of something.
pub fn many(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(number))
}

fn namespace(domain: &Domain) -> String {
    domain
        .auth_namespace
        .clone()
        .unwrap_or_else(|| "-".to_owned())
}

fn yes_or_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}
