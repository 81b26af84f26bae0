//! The commands that check servers and their stores.

use std::io::{self, Write as _};

use anonymous_domains_client::{Client, CommandError as _, printable};
use anonymous_domains_domainctl::{Admin, ServerUrl, check, error::AdminError};
use anonymous_domains_protocol::{check::Finding, response::Health};
use anonymous_domains_terminal::{Progress, aside};
use serde_json::{Value, json};

use crate::report::{Listed, Report, Stop, many};

/// Checks the stores, and prints one finding a line. One that cannot be checked to its end is told
/// after the others.
pub fn check(servers: &[Admin], mend: bool, report: &Report) -> Result<Listed, Stop> {
    let is_one = servers.len() == 1;
    let progress = Progress::start(report.is_json());
    let (mut findings, mut wrong) = (Vec::new(), 0_u64);
    let (mut domains, mut members) = (0, 0);
    let mut failed = None;
    for server in servers {
        let url = server.server().to_string();
        let checked = check::check::<Stop>(server, mend, |page| {
            domains += page.domains;
            members += page.members;
            progress.show(|| format!("{}, {}", many(domains, "domain"), many(members, "member")));
            for finding in page.findings {
                wrong += u64::from(!finding.mended);
                if report.is_json() {
                    let mut finding = json!(finding);
                    if !is_one {
                        finding["server"] = json!(url);
                    }
                    findings.push(finding);
                } else {
                    let place = if is_one { "" } else { &format!("{url} ") };
                    let text = text(&finding);
                    aside(|| writeln!(io::stdout(), "{place}{text}"))?;
                }
            }
            Ok(())
        });
        match checked {
            Ok(()) => {}
            Err(Stop::Failed(error)) if !is_one => {
                failed.get_or_insert(error.at(url));
            }
            Err(stop) => return Err(stop),
        }
    }
    drop(progress);
    let summary = format!(
        "checked {} with {}",
        many(domains, "domain"),
        many(members, "member")
    );
    if report.is_json() {
        let mut json = match &failed {
            Some(error) => error.to_json(),
            None => json!({ "ok": wrong == 0 }),
        };
        json["domains"] = json!(domains);
        json["members"] = json!(members);
        json["findings"] = Value::Array(findings);
        writeln!(io::stdout(), "{json}")?;
    }
    match wrong {
        0 if failed.is_some() => report.note(&summary),
        0 => report.note(&format!("{summary}: nothing is wrong")),
        wrong => report.note(&format!("{summary}: {}", many(wrong, "finding"))),
    }
    match failed {
        Some(error) => report.broken_off(error),
        None if wrong == 0 => Ok(Listed::Whole),
        None => Ok(Listed::Wrong),
    }
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

/// Asks each server once whether it can work.
pub fn health(servers: &[&ServerUrl], client: &Client, report: &Report) -> Result<Listed, Stop> {
    if let [server] = servers {
        let health = anonymous_domains_domainctl::health(server, client)?;
        report.say(&health_text(&health), json!(health))?;
        return Ok(Listed::Whole);
    }
    let (mut lines, mut all, mut failed) = (Vec::new(), Vec::new(), None::<AdminError>);
    for server in servers {
        let mut told = match anonymous_domains_domainctl::health(server, client) {
            Ok(health) => {
                lines.push(format!("{server}: {}", health_text(&health)));
                let mut told = json!(health);
                told["ok"] = true.into();
                told
            }
            Err(error) => {
                lines.push(format!("{server}: {error}"));
                let told = error.to_json();
                failed.get_or_insert(error);
                told
            }
        };
        told["server"] = json!(server.to_string());
        all.push(told);
    }
    report.check(
        &lines.join("\n"),
        json!({ "servers": all }),
        failed.is_none(),
    )?;
    Ok(failed.map_or(Listed::Whole, Listed::BrokenOff))
}

fn health_text(health: &Health) -> String {
    match &health.detail {
        Some(detail) => format!("ok: {}", printable(detail)),
        None => "ok".to_owned(),
    }
}
