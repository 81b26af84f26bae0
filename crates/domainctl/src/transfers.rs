//! The commands that move domains.

use std::io::{self, BufWriter, IsTerminal as _};

use anonymous_domains_domainctl::{
    Admin,
    transfer::{self, ExportFile},
};
use serde_json::json;

use crate::{
    args::{ExportArguments, ImportArguments},
    progress::Transfer,
    report::{Listed, Report, Stop, many},
};

/// Exports to standard output.
pub fn export(admin: &Admin, wanted: &ExportArguments, report: &Report) -> Result<Listed, Stop> {
    let mut out = BufWriter::new(io::stdout().lock());
    let named = wanted.domains.len() as u64;
    // The lines of the export may go to the same terminal.
    let quiet = report.is_json() || io::stdout().is_terminal();
    let progress = Transfer::start(quiet, (named > 0).then_some(named), None);
    let exported = transfer::export::<Stop>(admin, &wanted.domains, &mut out, &|event| {
        progress.show(event);
    });
    drop(progress);
    let exported = exported?;
    report.note(&format!(
        "exported {}, with {} and {}",
        many(exported.domains, "domain"),
        many(exported.members, "member"),
        many(exported.keys, "key version")
    ));
    Ok(Listed::Whole)
}

/// Imports from a file.
pub fn import(admin: &Admin, wanted: &ImportArguments, report: &Report) -> Result<Listed, Stop> {
    let mut file = ExportFile::open(&wanted.file)?;
    let of_domains = Some(file.trailer.domains);
    let progress = Transfer::start(report.is_json(), of_domains, Some(file.bytes));
    let (domains, replace) = (&wanted.domains, wanted.replace);
    let imported = transfer::import(admin, &mut file, domains, replace, &|event| {
        progress.show(event);
    });
    drop(progress);
    let imported = imported?;
    let mut text = format!(
        "imported {} with {}",
        many(imported.domains, "domain"),
        many(imported.members, "member")
    );
    if imported.earlier > 0 {
        let earlier = many(imported.earlier, "domain");
        text += &format!("; left as it is what an earlier run had imported: {earlier}");
    }
    report.say(
        &text,
        json!({
            "domains": imported.domains,
            "members": imported.members,
            "importedEarlier": imported.earlier,
            "exportedAt": file.header.created_at,
        }),
    )?;
    Ok(Listed::Whole)
}
