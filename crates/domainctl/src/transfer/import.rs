//! Sending an export to a server.

use anonymous_domains_protocol::{
    ids::DomainName,
    transfer::{self as wire, Header, ImportState, Part},
};
use http::{Request, header};

use super::{
    Event, ExportFile, Watch,
    file::{Kind, Line},
};
use crate::{
    admin::{Admin, path, read},
    advice::Subject,
    error::AdminError,
};

/// What was imported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Domains.
    pub domains: u64,
    /// Their members.
    pub members: u64,
    /// Domains that an earlier run has imported from the same file.
    pub earlier: u64,
}

/// Imports the domains of a file, or those that are named. What an earlier run has imported from the
/// same file is left as it is; a domain that it has begun is completed. Where `replace` is set, a
/// domain that is there otherwise is deleted first.
///
/// # Errors
///
/// [`AdminError::Usage`] when the server has none of the key-encryption keys of the export, or a
/// domain that is named is not in the file; [`AdminError::Refused`] with `PRECONDITION_FAILED` when a
/// domain is there, and the errors of every call. The domains before are imported then, and the one
/// that was begun is of no use to anybody until it is.
pub fn import(
    admin: &Admin,
    file: &mut ExportFile,
    named: &[DomainName],
    replace: bool,
    watch: Watch<'_>,
) -> Result<Imported, AdminError> {
    let theirs: Header = admin.get(&Subject::Server, "/export")?;
    let opens = |key: &String| theirs.key_encryption_keys.contains(key);
    if !file.header.key_encryption_keys.iter().any(opens) {
        return Err(AdminError::Usage(
            "The server cannot open the private keys of this export: it has another key_encryption_key than the one that they were sealed under. Nothing was imported.".to_owned(),
        ));
    }
    let import = Import {
        admin,
        id: file.trailer.sha256.clone(),
        replace,
    };
    let mut imported = Imported::default();
    let mut missing: Vec<&DomainName> = named.iter().collect();
    let mut is_wanted = false;
    file.lines(|line| {
        let bytes = line.text.len() as u64;
        if line.part == Kind::Domain {
            is_wanted = named.is_empty() || named.contains(&line.domain);
            missing.retain(|name| **name != line.domain);
            watch(Event::Domain);
        }
        if is_wanted {
            let state = import.send(&line)?;
            match (line.part, state) {
                (Kind::Domain, ImportState::Imported) => {
                    imported.earlier += 1;
                    is_wanted = false;
                }
                (Kind::End, _) => {
                    import.finish(&line, state)?;
                    imported.domains += 1;
                    if let Part::End(end) = serde_json::from_str(&line.text).map_err(unreadable)? {
                        imported.members += end.members;
                    }
                }
                _ => {}
            }
        }
        watch(Event::Bytes(bytes));
        Ok(())
    })?;
    if let Some(name) = missing.first() {
        return Err(AdminError::Usage(format!(
            "There is no domain {name} in the file."
        )));
    }
    Ok(imported)
}

fn unreadable(error: serde_json::Error) -> AdminError {
    AdminError::Usage(format!("The file has a line that cannot be read: {error}."))
}

struct Import<'a> {
    admin: &'a Admin,
    id: String,
    replace: bool,
}

impl Import<'_> {
    fn send(&self, line: &Line) -> Result<ImportState, AdminError> {
        let subject = Subject::Import(line.domain.clone());
        let replace = if self.replace { "&replace=true" } else { "" };
        let path = path(
            &line.domain,
            &format!("/import?import={}{replace}", self.id),
        );
        let answer = self.admin.request(&subject, || {
            Request::put(self.admin.url(&path)?)
                .header(header::CONTENT_TYPE, "application/json")
                .body(Some(line.text.clone()))
        })?;
        let imported: wire::Imported = read(&subject, &answer)?;
        Ok(imported.state)
    }

    /// Sends the last line until the server has counted the members.
    fn finish(&self, line: &Line, mut state: ImportState) -> Result<(), AdminError> {
        while state == ImportState::Importing {
            state = self.send(line)?;
        }
        Ok(())
    }
}
