//! What an operator does with a large domain, and how long it takes.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anonymous_domains_client::{Client, ClientOptions, CommandError as _, Token};
use anonymous_domains_domainctl::{Admin, ServerUrl, SettingsChange, error::AdminError};
use anonymous_domains_protocol::{ids::DomainName, problem::ErrorName};
use anyhow::{Context as _, anyhow};

use crate::server::Server;

/// The admin token of a state directory.
pub fn token(state: &Path) -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(state.join("admin-token"))?
        .trim()
        .to_owned())
}

/// The operator of a server with this state directory.
pub fn admin(server: &Server, state: &Path) -> anyhow::Result<Admin> {
    let token = Token::parse(&token(state)?).map_err(|_| anyhow!("it is no token"))?;
    let options = ClientOptions {
        token: Some(token),
        ..ClientOptions::default()
    };
    Ok(Admin::new(
        ServerUrl::parse(&server.origin)?,
        Client::new(options),
    ))
}

/// Sets the maximum of a domain, as often as it takes: a request goes on where the one before was
/// broken off. Returns how long that took, and the reported number of members.
pub fn set_maximum(
    admin: &Admin,
    domain: &str,
    maximum: Option<u64>,
) -> anyhow::Result<(Duration, u64)> {
    let domain = DomainName::parse(domain)?;
    let change = SettingsChange {
        max_membership: Some(maximum),
        ..SettingsChange::default()
    };
    let start = Instant::now();
    let outcome = loop {
        match admin.set(&domain, &change, true) {
            Err(AdminError::Unreachable(_)) => {}
            outcome => break outcome?,
        }
    };
    let took = start.elapsed();
    let told = outcome.domain().member_count;
    Ok((took, told.context("the answer has no number of members")?))
}

/// Deletes a domain, as often as it takes: a request goes on where the one before was broken off.
/// Returns how long that took.
pub fn delete(admin: &Admin, domain: &str) -> anyhow::Result<Duration> {
    let domain = DomainName::parse(domain)?;
    let start = Instant::now();
    loop {
        match admin.delete(&domain) {
            Ok(()) => return Ok(start.elapsed()),
            Err(AdminError::Unreachable(_)) => {}
            Err(error) if error.is_refusal(ErrorName::UnknownDomain) => return Ok(start.elapsed()),
            Err(error) => return Err(error.into()),
        }
    }
}
