//! Writing an export.

use std::{
    io::{self, Read as _, Seek as _, SeekFrom, Write},
    time::Duration,
};

use anonymous_domains_client::CommandError as _;
use anonymous_domains_protocol::{
    base64url,
    ids::DomainName,
    problem::ErrorName,
    transfer::{EndPart, ExportPage, Part, Trailer},
};
use http::Method;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tempfile::SpooledTempFile;

use super::{Event, Watch};
use crate::{
    admin::{Admin, path, read},
    advice::Subject,
    error::AdminError,
    pages::{Paging, query},
};

/// Entries of a page: its line has some hundred kilobytes at most.
const PAGE_LIMIT: u32 = 1000;

/// So much of a domain is kept in memory before it is written; the rest in a temporary file.
const SPOOLED_BYTES: usize = 8 * 1024 * 1024;

/// How often the export of a domain begins again.
const ATTEMPTS: u32 = 20;

/// How long it waits longer each time.
const PAUSE: Duration = Duration::from_millis(100);

/// What was exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Domains.
    pub domains: u64,
    /// Their members.
    pub members: u64,
    /// Their key versions.
    pub keys: u64,
}

/// Writes all domains, or those that are named, to `out`. A domain that is deleted meanwhile is left
/// out, unless it is named.
///
/// # Errors
///
/// Those of every call, and of `out`. What was written then lacks its last line, and cannot be
/// imported.
pub fn export<E: From<AdminError> + From<io::Error>>(
    admin: &Admin,
    named: &[DomainName],
    out: &mut impl Write,
    watch: Watch<'_>,
) -> Result<Exported, E> {
    let mut lines = Lines {
        out,
        written: 0,
        digest: Sha256::new(),
    };
    let header: Box<RawValue> = admin.get(&Subject::Server, "/export")?;
    lines.write(header.get())?;
    let mut exported = Exported::default();
    let mut add = |lines: &mut Lines<'_, _>, name: &DomainName| -> Result<bool, E> {
        let Some((mut spool, end)) = domain::<E>(admin, name, watch)? else {
            return Ok(false);
        };
        lines.copy(&mut spool)?;
        exported.domains += 1;
        exported.members += end.members;
        exported.keys += u64::from(end.keys);
        Ok(true)
    };
    if named.is_empty() {
        for domain in admin.domains(Paging::default()) {
            let name = domain?.domain;
            let name = DomainName::parse(&name).map_err(|error| {
                AdminError::UnusableAnswer(format!("The server has a domain {name:?}: {error}."))
            })?;
            add(&mut lines, &name)?;
        }
    }
    for name in named {
        if !add(&mut lines, name)? {
            // The refusal says that there is none.
            admin.domain(name)?;
        }
    }
    let trailer = Trailer {
        domains: exported.domains,
        lines: lines.written,
        sha256: base64url::encode(&lines.digest.clone().finalize()),
    };
    let trailer = serde_json::to_string(&trailer).map_err(io::Error::from)?;
    lines.write(&trailer)?;
    lines.out.flush()?;
    Ok(exported)
}

/// The lines of a domain; `None` when it was deleted.
fn domain<E: From<AdminError> + From<io::Error>>(
    admin: &Admin,
    name: &DomainName,
    watch: Watch<'_>,
) -> Result<Option<(SpooledTempFile, EndPart)>, E> {
    watch(Event::Domain);
    let mut attempt = 1;
    loop {
        match attempt_domain::<E>(admin, name, watch)? {
            Ok(done) => return Ok(Some(done)),
            Err(error) if error.is_refusal(ErrorName::UnknownDomain) => return Ok(None),
            Err(error) if error.is_refusal(ErrorName::PreconditionFailed) && attempt < ATTEMPTS => {
                std::thread::sleep(PAUSE * attempt);
                attempt += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The outer error is that of the temporary file, the inner one the server's.
fn attempt_domain<E: From<io::Error>>(
    admin: &Admin,
    name: &DomainName,
    watch: Watch<'_>,
) -> Result<Result<(SpooledTempFile, EndPart), AdminError>, E> {
    let subject = Subject::Export(name.clone());
    let mut spool = SpooledTempFile::new(SPOOLED_BYTES);
    let mut after: Option<String> = None;
    loop {
        let path = path(
            name,
            &format!("/export{}", query(after.as_deref(), PAGE_LIMIT)),
        );
        let page = admin
            .call(&subject, Method::POST, &path)
            .and_then(|answer| read::<ExportPage<Box<RawValue>>>(&subject, &answer));
        let page = match page {
            Ok(page) => page,
            Err(error) => return Ok(Err(error)),
        };
        let part = serde_json::from_str::<Part>(page.part.get());
        let unusable = |why: &str| Ok(Err(AdminError::UnusableAnswer(why.to_owned())));
        spool.write_all(page.part.get().as_bytes())?;
        spool.write_all(b"\n")?;
        match (part, page.next) {
            (Ok(Part::End(end)), None) => return Ok(Ok((spool, end))),
            (Ok(Part::Machines(part)), Some(next)) if after.as_ref() != Some(&next) => {
                watch(Event::Machines(part.members.len() as u64));
                after = Some(next);
            }
            (Ok(Part::Domain(_) | Part::Keys(_)), Some(next)) if after.as_ref() != Some(&next) => {
                after = Some(next);
            }
            (Ok(_), _) => return unusable("The server's export leads nowhere."),
            (Err(_), _) => {
                return unusable(
                    "The server exports what this program does not know. Check that the versions of both match.",
                );
            }
        }
    }
}

/// The lines of the export, and the digest of them.
struct Lines<'a, W> {
    out: &'a mut W,
    written: u64,
    digest: Sha256,
}

impl<W: Write> Lines<'_, W> {
    fn write(&mut self, line: &str) -> io::Result<()> {
        self.put(line.as_bytes())?;
        self.put(b"\n")
    }

    fn copy(&mut self, spool: &mut SpooledTempFile) -> io::Result<()> {
        spool.seek(SeekFrom::Start(0))?;
        let mut bytes = vec![0; 64 * 1024];
        loop {
            match spool.read(&mut bytes)? {
                0 => return Ok(()),
                read => self.put(&bytes[..read])?,
            }
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.written += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.out.write_all(bytes)
    }
}
