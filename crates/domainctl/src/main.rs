//! `domainctl`: the operator's command for a server's `/admin/v1`, for people and for scripts.

#![forbid(unsafe_code)]

mod args;
mod certificate;
mod checks;
mod progress;
mod report;
mod rotate;
mod table;
mod transfers;

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anonymous_domains_client::{
    Client, ClientOptions, CommandError as _, Console, RetryPolicy, Token, files, printable,
};
use anonymous_domains_domainctl::{Admin, SetOutcome, SettingsChange, audit, error::AdminError};
use anonymous_domains_protocol::ids::{DomainName, MachineGuid};
use args::{
    Arguments, AuditCommand, CaCommand, Command, DomainCommand, KeyEncryptionKeyCommand,
    MemberCommand, SettingsArguments,
};
use clap::{CommandFactory as _, Parser as _};
use report::{Listed, Report, Stop};
use serde_json::json;

/// The environment variable that may hold the token.
const TOKEN_VARIABLE: &str = "DOMAINCTL_TOKEN";

/// The environment variable that may name the token's file.
const TOKEN_FILE_VARIABLE: &str = "DOMAINCTL_TOKEN_FILE";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = Report::new(console(&arguments));
    let code = match run(&arguments, &report) {
        Ok(Listed::Whole) => 0,
        Ok(Listed::BrokenOff(error)) => error.exit_code(),
        Ok(Listed::Wrong) => 1,
        Err(stop) => report.stop(&stop),
    };
    ExitCode::from(code)
}

fn console(arguments: &Arguments) -> Console {
    Console::new("domainctl", arguments.json)
}

fn run(arguments: &Arguments, report: &Report) -> Result<Listed, Stop> {
    match &arguments.command {
        Command::Domain(command) => domain(arguments, command, report),
        Command::Member(command) => member(arguments, command, report),
        Command::Keys { domain } => {
            let keys = admin(arguments)?.keys(domain)?;
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
            admin(arguments)?.roll_over(domain)?;
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
            let verdict = audit::verify(files, &noted).map_err(|(file, error)| {
                AdminError::Usage(format!("{} cannot be read: {error}.", file.display()))
            })?;
            let text = report::audit_text(&verdict);
            report.check(&text, json!(verdict), verdict.is_whole())
        }
        Command::Export(wanted) => transfers::export(&admin(arguments)?, wanted, report),
        Command::Import(wanted) => transfers::import(&admin(arguments)?, wanted, report),
        Command::Check { mend } => checks::check(&admin(arguments)?, *mend, report),
        Command::KeyEncryptionKey(KeyEncryptionKeyCommand::Reseal) => {
            rotate::reseal(&admin(arguments)?, report)?;
            Ok(Listed::Whole)
        }
        Command::Ca(CaCommand::Reissue(domains)) => {
            rotate::reissue(&admin(arguments)?, domains, report)?;
            Ok(Listed::Whole)
        }
        Command::Ca(CaCommand::Show) => {
            rotate::show(&server(arguments, None)?, report)?;
            Ok(Listed::Whole)
        }
        Command::Health => {
            let client = Client::new(ClientOptions {
                // It is for probes, which ask again themselves.
                retry: RetryPolicy {
                    attempts: 1,
                    ..RetryPolicy::default()
                },
                ..options(arguments)?
            });
            let health = anonymous_domains_domainctl::health(&arguments.server, &client)?;
            let text = match &health.detail {
                Some(detail) => format!("ok: {}", printable(detail)),
                None => "ok".to_owned(),
            };
            report.say(&text, json!(health))?;
            Ok(Listed::Whole)
        }
        Command::Manual(manual) => {
            manual.write(Arguments::command())?;
            Ok(Listed::Whole)
        }
    }
}

fn domain(arguments: &Arguments, command: &DomainCommand, report: &Report) -> Result<Listed, Stop> {
    let admin = admin(arguments)?;
    match command {
        DomainCommand::List { part } => {
            return report.list(
                admin.domains(part.into()),
                "domains",
                "there are no domains",
                report::DOMAIN_HEADER,
                report::domain_cells,
            );
        }
        DomainCommand::Show { domain } => {
            let found = admin.domain(domain)?.domain;
            report.say(&report::domain_text(&found), json!(found))?;
        }
        DomainCommand::Set {
            domain,
            settings,
            force,
        } => set(&admin, domain, settings, *force, report)?,
        DomainCommand::Delete { domain, yes } => {
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
    let admin = admin(arguments)?;
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

/// The server's interface. Warns if others could read the token on the way to it.
fn admin(arguments: &Arguments) -> Result<Admin, AdminError> {
    let token = token(arguments)?;
    if arguments.server.exposes_tokens() {
        console(arguments).warn_of_exposed_token(&arguments.server);
    }
    server(arguments, Some(token))
}

/// The server, with a token where one is needed.
fn server(arguments: &Arguments, token: Option<Token>) -> Result<Admin, AdminError> {
    let client = Client::new(ClientOptions {
        token,
        ..options(arguments)?
    });
    Ok(Admin::new(arguments.server.clone(), client))
}

/// How servers are asked, without a token.
fn options(arguments: &Arguments) -> Result<ClientOptions, AdminError> {
    let tls_roots = arguments
        .ca_file
        .as_deref()
        .map(files::certificates)
        .transpose()
        .map_err(AdminError::Usage)?;
    Ok(ClientOptions {
        tls_roots,
        notice: Some(console(arguments).notice()),
        user_agent: concat!("domainctl/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..ClientOptions::default()
    })
}

fn token(arguments: &Arguments) -> Result<Token, AdminError> {
    let in_file = |path: PathBuf| files::token_in_file(&path).map_err(AdminError::Usage);
    if let Some(path) = &arguments.token_file {
        return in_file(path.clone());
    }
    if let Some(token) = files::token_in_variable(TOKEN_VARIABLE).map_err(AdminError::Usage)? {
        return Ok(token);
    }
    match std::env::var_os(TOKEN_FILE_VARIABLE) {
        Some(path) => in_file(path.into()),
        None => Err(AdminError::Usage(format!(
            "The server's admin token is missing: name its file with --token-file or {TOKEN_FILE_VARIABLE}, or put the token into {TOKEN_VARIABLE}. If no token is set, a gateway makes one, in the file admin-token of its state directory."
        ))),
    }
}
