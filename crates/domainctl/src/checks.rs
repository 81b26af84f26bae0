//! The command that checks a store.

use std::io::{self, Write as _};

use anonymous_domains_client::printable;
use anonymous_domains_domainctl::{Admin, check};
use anonymous_domains_protocol::check::Finding;
use serde_json::{Value, json};

use crate::{
    progress::Progress,
    report::{Listed, Report, Stop, many},
};

/// Checks the store, and prints one finding a line.
pub fn check(admin: &Admin, mend: bool, report: &Report) -> Result<Listed, Stop> {
    let progress = Progress::of_unknown_length();
    let (mut findings, mut wrong) = (Vec::new(), 0_u64);
    let (mut domains, mut members) = (0, 0);
    check::check::<Stop>(admin, mend, |page| {
        domains += page.domains;
        members += page.members;
        progress.checked(domains, members);
        for finding in page.findings {
            wrong += u64::from(!finding.mended);
            if report.is_json() {
                findings.push(json!(finding));
            } else {
                progress.aside(|| writeln!(io::stdout(), "{}", text(&finding)))?;
            }
        }
        Ok(())
    })?;
    drop(progress);
    let summary = format!(
        "checked {} with {}",
        many(domains, "domain"),
        many(members, "member")
    );
    let json = json!({
        "ok": wrong == 0,
        "domains": domains,
        "members": members,
        "findings": Value::Array(findings),
    });
    if report.is_json() {
        writeln!(io::stdout(), "{json}")?;
    }
    Ok(match wrong {
        0 => {
            report.note(&format!("{summary}: nothing is wrong"));
            Listed::Whole
        }
        wrong => {
            report.note(&format!("{summary}: {}", many(wrong, "finding")));
            Listed::Wrong
        }
    })
}

fn text(finding: &Finding) -> String {
    let domain = match &finding.domain {
        Some(domain) => printable(domain),
        None => "(directory)".to_owned(),
    };
    let mended = if finding.mended { " (mended)" } else { "" };
    let (kind, detail) = (finding.finding.as_str(), printable(&finding.detail));
    format!("{domain}: {kind}: {detail}{mended}")
}
