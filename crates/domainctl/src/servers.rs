//! The servers that the command line names.

use std::path::PathBuf;

use anonymous_domains_client::{Client, ClientOptions, Console, RetryPolicy, Token, files};
use anonymous_domains_domainctl::{Admin, ServerUrl, cells, error::AdminError};
use anonymous_domains_protocol::ids::DomainName;

use crate::args::Arguments;

/// The environment variable that may hold the token.
const TOKEN_VARIABLE: &str = "DOMAINCTL_TOKEN";

/// The environment variable that may name the token's file.
const TOKEN_FILE_VARIABLE: &str = "DOMAINCTL_TOKEN_FILE";

/// Whether commands are for the one server that is named, or several are.
pub fn is_one(arguments: &Arguments) -> bool {
    urls(arguments).len() == 1
}

/// Each server's URL, once.
pub fn urls(arguments: &Arguments) -> Vec<&ServerUrl> {
    let mut urls: Vec<&ServerUrl> = Vec::new();
    for url in &arguments.servers {
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    urls
}

/// The interfaces of all servers. Warns if others could read the token on the way to one.
///
/// # Errors
///
/// If there is no token.
pub fn all(arguments: &Arguments) -> Result<Vec<Admin>, AdminError> {
    let token = token(arguments)?;
    urls(arguments)
        .into_iter()
        .map(|url| {
            if url.exposes_tokens() {
                console(arguments).warn_of_exposed_token(url);
            }
            server(arguments, url, Some(token.clone()))
        })
        .collect()
}

/// The only server's interface.
///
/// # Errors
///
/// If several are named, or there is no token.
pub fn only(arguments: &Arguments) -> Result<Admin, AdminError> {
    check_only(arguments)?;
    all(arguments)?.pop().ok_or_else(none)
}

/// The only server, without a token.
///
/// # Errors
///
/// If several are named.
pub fn only_public(arguments: &Arguments) -> Result<Admin, AdminError> {
    check_only(arguments)?;
    server(arguments, urls(arguments).pop().ok_or_else(none)?, None)
}

/// The interface of the server that has a domain, or of the only one.
///
/// # Errors
///
/// Those of [`cells::find`], and if there is no token.
pub fn of(arguments: &Arguments, domain: &DomainName) -> Result<Admin, AdminError> {
    let mut servers = all(arguments)?;
    if servers.len() > 1 {
        let url = cells::find(&servers, domain)?.server().clone();
        servers.retain(|server| *server.server() == url);
    }
    servers.pop().ok_or_else(none)
}

fn check_only(arguments: &Arguments) -> Result<(), AdminError> {
    match is_one(arguments) {
        true => Ok(()),
        false => Err(AdminError::Usage(
            "This command is for one server: name it alone with --server.".to_owned(),
        )),
    }
}

fn none() -> AdminError {
    AdminError::Usage("No server is named: use --server, or DOMAINCTL_SERVER.".to_owned())
}

/// A client for what needs no token and is asked once, by those who ask again themselves.
///
/// # Errors
///
/// If a file of the command line cannot be used.
pub fn probe(arguments: &Arguments) -> Result<Client, AdminError> {
    Ok(Client::new(ClientOptions {
        retry: RetryPolicy {
            attempts: 1,
            ..RetryPolicy::default()
        },
        ..options(arguments)?
    }))
}

/// A server, with a token where one is needed.
fn server(
    arguments: &Arguments,
    url: &ServerUrl,
    token: Option<Token>,
) -> Result<Admin, AdminError> {
    let client = Client::new(ClientOptions {
        token,
        ..options(arguments)?
    });
    Ok(Admin::new(url.clone(), client))
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

/// The command's output.
pub fn console(arguments: &Arguments) -> Console {
    Console::new("domainctl", arguments.json)
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
