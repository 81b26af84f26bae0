//! `domainctl`: the operator's command for a server's `/admin/v1`, for people and for scripts.

#![forbid(unsafe_code)]

mod args;
mod certificate;
mod checks;
mod progress;
mod report;
mod rotate;
mod servers;
mod table;
mod transfers;

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use anonymous_domains_client::CommandError as _;
use anonymous_domains_domainctl::{
    Admin, SetOutcome, SettingsChange, audit, cells, error::AdminError,
};
use anonymous_domains_protocol::{
    ids::{DomainName, MachineGuid},
    problem::ErrorName,
};
use anonymous_domains_terminal::Progress;
use args::{
    Arguments, AuditCommand, CaCommand, Command, DomainCommand, KeyEncryptionKeyCommand,
    MemberCommand, SettingsArguments,
};
use clap::{CommandFactory as _, Parser as _};
use report::{Listed, Report, Stop};
use serde_json::json;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = Report::new(servers::console(&arguments));
    let code = match run(&arguments, &report) {
        Ok(Listed::Whole) => 0,
        Ok(Listed::BrokenOff(error)) => error.exit_code(),
        Ok(Listed::Wrong) => 1,
        Err(stop) => report.stop(&stop),
    };
    ExitCode::from(code)
}

fn run(arguments: &Arguments, report: &Report) -> Result<Listed, Stop> {
    match &arguments.command {
        Command::Domain(command) => domain(arguments, command, report),
        Command::Member(command) => member(arguments, command, report),
        Command::Keys { domain } => {
            let keys = servers::of(arguments, domain)?.keys(domain)?;
            report.table(
                &keys,
                "keys",
                &format!("{domain} has no key yet: it gets one with its first member"),
                ["VERSION", "KID", "CREATED", "GOOD UNTIL", "ISSUER"],
                |key| {
                    let (good_until, issuer) = certificate::validity_and_issuer(key)
                        .unwrap_or_else(|| ("unreadable".to_owned(), String::new()));
                    [
                        key.key_version.to_string(),
                        key.kid.clone(),
                        key.created_at.clone(),
                        good_until,
                        issuer,
                    ]
                },
            )?;
            Ok(Listed::Whole)
        }
        Command::Rollover { domain } => {
            servers::of(arguments, domain)?.roll_over(domain)?;
            report.say(
                &format!("{domain} gets a new key at the next registration"),
                json!({ "domain": domain, "outcome": "rollover-required" }),
            )?;
            Ok(Listed::Whole)
        }
        Command::Audit(AuditCommand::Verify {
            files,
            expect_seq,
            expect_hash,
        }) => {
            let noted = audit::Noted {
                seq: *expect_seq,
                hash: expect_hash.clone(),
            };
            let line = Progress::start(report.is_json());
            let sizes = files.iter().flat_map(std::fs::metadata);
            let size = sizes.map(|file| file.len()).sum();
            let verdict = audit::verify(files, &noted, |records, bytes| {
                line.show(|| {
                    let records = report::many(records, "record");
                    format!("{records}{}", progress::of_file(bytes, size))
                });
            });
            drop(line);
            let verdict = verdict.map_err(|(file, error)| {
                AdminError::Usage(format!("{} cannot be read: {error}.", file.display()))
            })?;
            let text = report::audit_text(&verdict);
            report.check(&text, json!(verdict), verdict.is_whole())
        }
        Command::Export(wanted) => transfers::export(&servers::only(arguments)?, wanted, report),
        Command::Import(wanted) => transfers::import(&servers::only(arguments)?, wanted, report),
        Command::Check { mend } => checks::check(&servers::all(arguments)?, *mend, report),
        Command::KeyEncryptionKey(KeyEncryptionKeyCommand::Reseal) => {
            rotate::reseal(&servers::only(arguments)?, report)?;
            Ok(Listed::Whole)
        }
        Command::Ca(CaCommand::Reissue(domains)) => {
            let server = match &domains.domain {
                Some(domain) => servers::of(arguments, domain)?,
                None => servers::only(arguments)?,
            };
            rotate::reissue(&server, domains, report)?;
            Ok(Listed::Whole)
        }
        Command::Ca(CaCommand::Show) => {
            rotate::show(&servers::only_public(arguments)?, report)?;
            Ok(Listed::Whole)
        }
        Command::Health => {
            let client = servers::probe(arguments)?;
            checks::health(&servers::urls(arguments), &client, report)
        }
        Command::Manual(manual) => {
            manual.write(Arguments::command())?;
            Ok(Listed::Whole)
        }
    }
}

fn domain(arguments: &Arguments, command: &DomainCommand, report: &Report) -> Result<Listed, Stop> {
    match command {
        DomainCommand::List { part } => return list(arguments, part, report),
        DomainCommand::Show { domain } => {
            let found = servers::of(arguments, domain)?.domain(domain)?.domain;
            report.say(&report::domain_text(&found), json!(found))?;
        }
        DomainCommand::Set {
            domain,
            settings,
            force,
        } => {
            let admin =
                servers::of(arguments, domain).map_err(|error| not_for_us(error, domain))?;
            set(&admin, domain, settings, *force, report)?;
        }
        DomainCommand::Delete { domain, yes } => {
            let admin = servers::of(arguments, domain)?;
            if !yes {
                confirm_deletion(&admin, domain)?;
            }
            admin.delete(domain)?;
            report.say(
                &format!("deleted {domain}"),
                json!({ "domain": domain, "outcome": "deleted" }),
            )?;
        }
    }
    Ok(Listed::Whole)
}

fn list(arguments: &Arguments, part: &args::Part, report: &Report) -> Result<Listed, Stop> {
    let (name, none) = ("domains", "there are no domains");
    if servers::is_one(arguments) {
        let admin = servers::only(arguments)?;
        let domains = admin.domains(part.into());
        let (header, cells) = (report::DOMAIN_HEADER, report::domain_cells);
        return report.list(domains, name, none, header, cells);
    }
    let servers = servers::all(arguments)?;
    let domains = cells::Domains::new(&servers, &part.into());
    let (header, cells) = (report::PLACED_DOMAIN_HEADER, report::placed_domain_cells);
    report.list(domains, name, none, header, cells)
}

/// Which of several servers is to have a new domain is for what is in front of them to say.
fn not_for_us(error: AdminError, domain: &DomainName) -> AdminError {
    if !error.is_refusal(ErrorName::UnknownDomain) {
        return error;
    }
    AdminError::Usage(format!(
        "None of these servers has {domain}. To create it, name the one server that is to have it with --server, or what is in front of them."
    ))
}

fn set(
    admin: &Admin,
    domain: &DomainName,
    settings: &SettingsArguments,
    force: bool,
    report: &Report,
) -> Result<(), Stop> {
    let outcome = admin.set(domain, &SettingsChange::from(settings), force)?;
    let (verb, word) = match &outcome {
        SetOutcome::Created(_) => ("created", "created"),
        SetOutcome::Changed(_) => ("changed", "changed"),
        SetOutcome::Unchanged(_) => ("nothing to change in", "unchanged"),
    };
    let now = outcome.domain();
    let warning = (now.auth_namespace.is_some() && !now.authentication_required).then_some(
        "the auth namespace has no effect as long as authentication is not required: --authentication-required true",
    );
    let mut json = json!(now);
    json["outcome"] = word.into();
    json["warnings"] = json!(Vec::from_iter(warning));
    report.say(
        &format!("{verb} {domain}\n{}", report::domain_text(now)),
        json,
    )?;
    report.warn(warning);
    Ok(())
}

/// Asks for the domain's name on the terminal.
fn confirm_deletion(admin: &Admin, domain: &DomainName) -> Result<(), Stop> {
    let not_confirmed = |why: &str| {
        AdminError::Usage(format!(
            "{why}, so {domain} was not deleted. Deletion cannot be undone; with --yes there is no question."
        ))
    };
    if !io::stdin().is_terminal() {
        return Err(not_confirmed("There is no terminal to ask on").into());
    }
    let found = admin.domain(domain)?.domain;
    let members = match found.member_count {
        Some(1) => "its 1 member".to_owned(),
        Some(members) => format!("its {members} members"),
        None => "its members".to_owned(),
    };
    let keys = match found.key_version {
        None => "its settings",
        Some(1) => "its key",
        Some(_) => "all its keys",
    };
    eprint!(
        "This permanently deletes {domain} with {members} and {keys}.\nType its name to confirm: "
    );
    io::stderr().flush()?;
    let mut typed = String::new();
    io::stdin().read_line(&mut typed)?;
    if typed.trim() == domain.as_str() {
        return Ok(());
    }
    Err(not_confirmed("That is not its name").into())
}

fn member(arguments: &Arguments, command: &MemberCommand, report: &Report) -> Result<Listed, Stop> {
    let admin = servers::of(arguments, command.domain())?;
    let done = |domain: &DomainName, machine: MachineGuid, outcome: &str, text: &str| {
        report.say(
            text,
            json!({ "domain": domain, "machineGuid": machine, "outcome": outcome }),
        )?;
        Ok(Listed::Whole)
    };
    match command {
        MemberCommand::List {
            domain,
            blocked: true,
            part,
        } => report.list(
            admin.blocked(domain, part.into()),
            "blocked",
            &format!("no machine is blocked in {domain}"),
            ["MACHINE", "BLOCKED"],
            |machine| [machine.machine_guid.to_string(), machine.blocked_at.clone()],
        ),
        MemberCommand::List { domain, part, .. } => report.list(
            admin.members(domain, part.into()),
            "members",
            &format!("{domain} has no members"),
            ["MACHINE", "REGISTERED", "KEY THUMBPRINT"],
            |member| {
                [
                    member.machine_guid.to_string(),
                    member.registered_at.clone(),
                    member.key_thumbprint.clone(),
                ]
            },
        ),
        MemberCommand::Remove(args::Machine { domain, machine }) => {
            admin.remove(domain, *machine)?;
            let text = format!("removed {machine} from {domain}, which gets a new key");
            done(domain, *machine, "removed", &text)
        }
        MemberCommand::Block(args::Machine { domain, machine }) => {
            admin.block(domain, *machine)?;
            let text = format!("blocked {machine}: it is not a member of {domain} and cannot join");
            done(domain, *machine, "blocked", &text)
        }
        MemberCommand::Unblock(args::Machine { domain, machine }) => {
            admin.unblock(domain, *machine)?;
            let text = format!("{machine} is not blocked: it may join {domain}");
            done(domain, *machine, "unblocked", &text)
        }
    }
}
