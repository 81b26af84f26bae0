//! Checking a store: all rows that the directory leads to are read, and held against each other.
//!
//! A check goes through the store in steps of some rows, domain by domain, each roster leaf by leaf;
//! the server keeps nothing between two steps. Machines may join and leave meanwhile: what can only
//! be said of a domain at rest is said only if nothing changed. A check writes nothing. Mending does
//! what the next request would do that meets the same; it never removes a key or a member.

mod domain;

use anonymous_domains_protocol::{
    base64url,
    check::{CheckPage, Finding, FindingKind},
    ids::MachineGuid,
    problem::ErrorName,
};
use serde::{Deserialize, Serialize};

use crate::{
    credential::authority::DomainCa,
    environment::Environment,
    error::Error,
    store::{Store, root},
    tables::{Tables, directory},
};

/// A check of the store, for one request.
#[derive(Debug)]
pub struct Inspection<'a, S, E> {
    /// The three tables.
    pub tables: &'a Tables<S, E>,
    /// The domain CA, and what opens private keys.
    pub ca: &'a DomainCa,
    /// Whether to mend what can be mended.
    pub mend: bool,
}

/// Where a check goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Cursor {
    /// After this domain.
    After(String),
    /// At this domain's name, or the next one above.
    At(String),
    /// In this domain.
    In(String, Walk),
}

/// How far the walk through a domain's roster is.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Walk {
    /// Which domain of its name it is, as text.
    generation: String,
    /// The leaf that comes next.
    from: Option<MachineGuid>,
    /// The members so far.
    members: u64,
    /// What the domain's row said of them when the walk began; `None` where it cannot be compared.
    start: Option<Counted>,
}

/// What a domain's row says of its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    members: u64,
    departures: u64,
}

/// What was found so far, and how much more may be read.
struct Report {
    page: CheckPage,
    rows_left: usize,
}

impl Report {
    fn add(&mut self, domain: Option<&str>, finding: FindingKind, detail: String, mended: bool) {
        self.page.findings.push(Finding {
            domain: domain.map(str::to_owned),
            finding,
            detail,
            mended,
        });
    }

    fn has_read(&mut self, rows: usize) {
        self.rows_left = self.rows_left.saturating_sub(rows);
    }
}

impl<S: Store, E: Environment> Inspection<'_, S, E> {
    /// The part of a check that comes after another, of about so many rows: those that lead to a
    /// domain are not counted, so that each part comes further.
    ///
    /// # Errors
    /// `INVALID_REQUEST` for an `after` that no page gave; `Unavailable` where the store does not
    /// answer.
    pub async fn page(&self, after: Option<&str>, rows: usize) -> Result<CheckPage, Error> {
        let mut cursor = after.map(parse).transpose()?;
        let mut report = Report {
            page: CheckPage::default(),
            rows_left: rows,
        };
        while report.rows_left > 0 {
            cursor = self.step(cursor, &mut report).await?;
            if cursor.is_none() {
                return Ok(report.page);
            }
        }
        report.page.next = cursor.as_ref().map(text).transpose()?;
        Ok(report.page)
    }

    /// Checks the domains of one leaf of the directory; gives where to go on.
    async fn step(
        &self,
        cursor: Option<Cursor>,
        report: &mut Report,
    ) -> Result<Option<Cursor>, Error> {
        let (from, mut walk) = match &cursor {
            None => (None, None),
            Some(Cursor::After(name) | Cursor::At(name)) => (Some(name), None),
            Some(Cursor::In(name, walk)) => (Some(name), Some(walk.clone())),
        };
        let Some(leaf) = directory::inspect(self.tables, from).await? else {
            return Ok(None);
        };
        let domains = match leaf.domains {
            Ok(domains) => domains,
            Err(error) => {
                let detail = format!("in the directory of domains: {error}");
                report.add(None, FindingKind::UnreadableRow, detail, false);
                return Ok(leaf.upper.map(Cursor::At));
            }
        };
        let is_next = |name: &String| match &cursor {
            None => true,
            Some(Cursor::After(after)) => name > after,
            Some(Cursor::At(at) | Cursor::In(at, _)) => name >= at,
        };
        for (name, id) in domains.into_iter().filter(|(name, _)| is_next(name)) {
            if report.rows_left == 0 {
                return Ok(Some(Cursor::At(name)));
            }
            let in_this = matches!(&cursor, Some(Cursor::In(at, _)) if *at == name);
            let walk = walk.take().filter(|_| in_this);
            if let Some(walk) = self.domain(&name, id, walk, report).await? {
                return Ok(Some(Cursor::In(name, walk)));
            }
            report.page.domains += 1;
        }
        Ok(leaf.upper.map(Cursor::At))
    }

    /// Whether a row cannot be read, rather than the store: then the error is the row's.
    async fn is_the_rows(&self) -> Result<(), Error> {
        Ok(root::check_store(&self.tables.store).await?)
    }
}

fn text(cursor: &Cursor) -> Result<String, Error> {
    let bytes = postcard::to_allocvec(cursor)
        .map_err(|error| Error::fault(format!("a cursor cannot be written: {error}")))?;
    Ok(base64url::encode(&bytes))
}

fn parse(text: &str) -> Result<Cursor, Error> {
    let bytes = base64url::decode(text).ok();
    bytes
        .and_then(|bytes| postcard::from_bytes(&bytes).ok())
        .ok_or_else(|| {
            Error::refused(
                ErrorName::InvalidRequest,
                "after is not what a page of a check gave as its next",
            )
        })
}
