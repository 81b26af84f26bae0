//! `domain-device`: the device's side of anonymous domains, for people and for scripts.

#![forbid(unsafe_code)]

mod args;
mod report;

use std::{io::Write as _, path::Path, process::ExitCode};

use anonymous_domains_client::{CommandError as _, Console, files};
use anonymous_domains_device::{
    Device, JoinOptions,
    client::{Client, ClientOptions, Token},
    domain_url::DomainUrl,
    error::DeviceError,
    state_directory::StateDirectory,
};
use anonymous_domains_protocol::{base64url, problem::ErrorName};
use args::{Arguments, Command, DeviceCommand};
use clap::{CommandFactory as _, Parser as _};
use report::Report;
use serde_json::json;

/// The environment variable that may hold the token.
const TOKEN_VARIABLE: &str = "DOMAIN_DEVICE_TOKEN";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let console = Console::new("domain-device", arguments.json);
    let result = match &arguments.command {
        Command::Device(command) => run(&arguments, command, console),
        Command::Manual(manual) => manual
            .write(Arguments::command())
            .map(|()| 0)
            .map_err(|error| DeviceError::Usage(format!("cannot write: {error}"))),
    };
    ExitCode::from(result.unwrap_or_else(|error| console.fail_with(&error)))
}

/// Does what the command says, prints what came of it, and returns the exit code.
fn run(
    arguments: &Arguments,
    command: &DeviceCommand,
    console: Console,
) -> Result<u8, DeviceError> {
    let device = device(arguments, console)?;
    let report = match command {
        DeviceCommand::Join { url, update } => {
            let options = JoinOptions {
                key_type: arguments.key_type,
                update: *update,
            };
            let joined = device.join(&target(arguments, url, console)?, options)?;
            Report::of_join(&joined)
        }
        DeviceCommand::Leave {
            url,
            preview,
            forget,
        } => {
            let url = target(arguments, url, console)?;
            match device.leave(&url, *preview) {
                Err(error) if *forget && error.is_refusal(ErrorName::DeregDenied) => {
                    device.forget(&url)?;
                    Report::of_forget(&url)
                }
                left => Report::of_leave(&url, left?),
            }
        }
        DeviceCommand::Show { url } => {
            let url = url.as_deref().map(DomainUrl::parse).transpose()?;
            let memberships = device.memberships(url.as_ref())?;
            let identity = device.state_directory().identity()?;
            Report::of_show(
                device.state_directory().path(),
                identity.as_ref(),
                &memberships,
            )
        }
        DeviceCommand::Verify { url } => {
            let url = url.as_deref().map(DomainUrl::parse).transpose()?;
            Report::of_verify(&device.verify(url.as_ref())?)
        }
        DeviceCommand::Decrypt { file, url } => {
            decrypt(&device, file, url.as_deref(), console)?;
            return Ok(0);
        }
    };
    Ok(report.print(console))
}

/// Writes the content of a JWE as it is, or in base64url within JSON.
fn decrypt(
    device: &Device,
    file: &Path,
    url: Option<&str>,
    console: Console,
) -> Result<(), DeviceError> {
    let url = url.map(DomainUrl::parse).transpose()?;
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    let text = text
        .map_err(|error| DeviceError::Usage(format!("Cannot read {}: {error}.", file.display())))?;
    let content = device.decrypt(url.as_ref(), text.trim())?;
    let written = if console.is_json() {
        let content = base64url::encode_secret(&content);
        console.say("", &json!({ "ok": true, "content": *content }))
    } else {
        std::io::stdout().write_all(&content)
    };
    written.map_err(|error| DeviceError::Usage(format!("Cannot write the content: {error}.")))
}

/// The domain server URL. Warns if others could read the token on the way to it.
fn target(arguments: &Arguments, url: &str, console: Console) -> Result<DomainUrl, DeviceError> {
    let url = DomainUrl::parse(url)?;
    if url.exposes_tokens() && token(arguments)?.is_some() {
        console.warn_of_exposed_token(&url);
    }
    Ok(url)
}

fn device(arguments: &Arguments, console: Console) -> Result<Device, DeviceError> {
    let client = Client::new(ClientOptions {
        token: token(arguments)?,
        tls_roots: certificates(arguments.tls_ca_file.as_deref())?,
        notice: Some(console.notice()),
        trace: arguments.trace.then(|| console.trace()),
        ..ClientOptions::default()
    });
    let device = Device::new(StateDirectory::new(arguments.state_directory()?), client);
    Ok(match certificates(arguments.ca_file.as_deref())? {
        Some(trusted) => device.trusting(trusted),
        None => device,
    })
}

fn token(arguments: &Arguments) -> Result<Option<Token>, DeviceError> {
    match &arguments.token_file {
        Some(path) => files::token_in_file(path).map(Some),
        None => files::token_in_variable(TOKEN_VARIABLE),
    }
    .map_err(DeviceError::Usage)
}

fn certificates(file: Option<&Path>) -> Result<Option<Vec<Vec<u8>>>, DeviceError> {
    file.map(files::certificates)
        .transpose()
        .map_err(DeviceError::Usage)
}
