//! The commands that replace the server's secrets.

use anonymous_domains_client::CommandError as _;
use anonymous_domains_domainctl::{Admin, Paging, error::AdminError};
use anonymous_domains_protocol::{ids::DomainName, problem::ErrorName};
use anonymous_domains_terminal::Progress;
use serde_json::json;

use crate::{
    args::Domains,
    certificate::{self, Role},
    progress::part,
    report::{Report, Stop, many},
};

/// `key-encryption-key reseal`.
pub fn reseal(admin: &Admin, report: &Report) -> Result<(), Stop> {
    let line = Progress::start(report.is_json());
    let done = admin.reseal(|so_far| {
        line.show(|| {
            let remaining = many(so_far.remaining, "domain");
            format!(
                "{remaining} to go, {} resealed",
                many(so_far.resealed, "key")
            )
        });
    });
    drop(line);
    let done = done?;
    report.say(
        &format!(
            "resealed {}; nothing remains, and the server needs its first key-encryption key alone",
            many(done.resealed, "key")
        ),
        json!({ "resealed": done.resealed, "remaining": done.remaining }),
    )
}

/// `ca reissue`.
pub fn reissue(admin: &Admin, domains: &Domains, report: &Report) -> Result<(), Stop> {
    let line = Progress::start(report.is_json());
    let names = match &domains.domain {
        Some(name) => vec![name.clone()],
        None => names(admin, domains.after.clone(), &line)?,
    };
    let (mut reissued, mut looked_at) = (0, 0);
    for (done, name) in (0..).zip(&names) {
        line.show(|| part(done, Some(names.len() as u64), "domain"));
        match admin.reissue(name) {
            Ok(certificates) => {
                reissued += certificates;
                looked_at += 1;
            }
            // It was deleted meanwhile.
            Err(error) if domains.all && error.is_refusal(ErrorName::UnknownDomain) => {}
            Err(error) => {
                if domains.all {
                    report.note(&resumption(
                        names.iter().take_while(|it| *it != name).last(),
                        domains,
                    ));
                }
                return Err(error.into());
            }
        }
    }
    drop(line);
    report.say(
        &format!(
            "reissued {} of {}",
            many(reissued, "certificate"),
            many(looked_at, "domain")
        ),
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

fn names(
    admin: &Admin,
    after: Option<String>,
    line: &Progress,
) -> Result<Vec<DomainName>, AdminError> {
    let unusable = |name: &str| {
        AdminError::UnusableAnswer(format!(
            "The server lists a domain {name:?}, which is no name."
        ))
    };
    admin
        .domains(Paging { limit: None, after })
        .zip(1..)
        .map(|(domain, found)| {
            line.show(|| format!("{} found", part(found, None, "domain")));
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
