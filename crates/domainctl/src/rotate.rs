//! The commands that replace the server's secrets.

use std::io::{self, IsTerminal as _};

use anonymous_domains_client::CommandError as _;
use anonymous_domains_domainctl::{Admin, Paging, error::AdminError};
use anonymous_domains_protocol::{ids::DomainName, problem::ErrorName};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::{
    args::Domains,
    certificate::{self, Role},
    report::{Report, Stop},
};

/// `key-encryption-key reseal`.
pub fn reseal(admin: &Admin, report: &Report) -> Result<(), Stop> {
    let bar = bar(report, 0);
    let mut total = None;
    let done = admin.reseal(|progress| {
        // How many there are is known from the first page on, as far as that came.
        let total = *total.get_or_insert(progress.remaining);
        if total > 0 {
            bar.set_length(total);
            bar.set_position(total.saturating_sub(progress.remaining));
        }
    });
    bar.finish_and_clear();
    let done = done?;
    report.say(
        &format!(
            "resealed {} keys; nothing remains, and the server needs its first key-encryption key alone",
            done.resealed
        ),
        json!({ "resealed": done.resealed, "remaining": done.remaining }),
    )
}

/// `ca reissue`.
pub fn reissue(admin: &Admin, domains: &Domains, report: &Report) -> Result<(), Stop> {
    let names = match &domains.domain {
        Some(name) => vec![name.clone()],
        None => names(admin, domains.after.clone())?,
    };
    let bar = bar(report, names.len() as u64);
    let (mut reissued, mut looked_at) = (0, 0);
    for name in &names {
        match admin.reissue(name) {
            Ok(certificates) => {
                reissued += certificates;
                looked_at += 1;
            }
            // It was deleted meanwhile.
            Err(error) if domains.all && error.is_refusal(ErrorName::UnknownDomain) => {}
            Err(error) => {
                bar.finish_and_clear();
                if domains.all {
                    report.note(&resumption(
                        names.iter().take_while(|it| *it != name).last(),
                        domains,
                    ));
                }
                return Err(error.into());
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    report.say(
        &format!("reissued {reissued} certificates of {looked_at} domains"),
        json!({ "domains": looked_at, "reissued": reissued }),
    )
}

/// How to go on after the last domain that was done.
fn resumption(last: Option<&DomainName>, domains: &Domains) -> String {
    let last = last.map(DomainName::as_str).or(domains.after.as_deref());
    match last {
        Some(last) => format!("go on with ca reissue --all --after {last}"),
        None => "no domain is done".to_owned(),
    }
}

fn names(admin: &Admin, after: Option<String>) -> Result<Vec<DomainName>, AdminError> {
    let unusable = |name: &str| {
        AdminError::UnusableAnswer(format!(
            "The server lists a domain {name:?}, which is no name."
        ))
    };
    admin
        .domains(Paging { limit: None, after })
        .map(|domain| {
            let name = domain?.domain;
            DomainName::parse(&name).map_err(|_| unusable(&name))
        })
        .collect()
}

/// `ca show`.
pub fn show(admin: &Admin, report: &Report) -> Result<(), Stop> {
    let unusable = |name: &str| {
        AdminError::UnusableAnswer(format!("The server's {name} holds no certificates in PEM."))
    };
    let mut certificates = certificate::describe(&admin.ca_certificates()?, Role::Current)
        .ok_or_else(|| unusable("ca.pem"))?;
    if let Some(next) = admin.next_ca_certificates()? {
        let next = certificate::describe(&next, Role::Next);
        certificates.extend(next.ok_or_else(|| unusable("ca-next.pem"))?);
    }
    report.table(
        &certificates,
        "certificates",
        "the server has no CA certificate",
        [
            "ROLE",
            "SUBJECT",
            "SERIAL",
            "KEY",
            "NOT BEFORE",
            "NOT AFTER",
            "SHA-256",
        ],
        certificate::CaCertificate::cells,
    )
}

/// A bar on a terminal; nothing elsewhere, or where the output is for programs.
fn bar(report: &Report, length: u64) -> ProgressBar {
    if report.is_json() || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} domains, {eta} left")
        .expect("the template is one");
    ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr()).with_style(style)
}
