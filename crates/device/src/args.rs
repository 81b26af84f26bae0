//! The command line.

use std::{env, path::PathBuf};

use anonymous_domains_device::error::DeviceError;
use anonymous_domains_manual::{Manual, examples};
use anonymous_domains_protocol::jwk::KeyType;
use clap::{Parser, Subcommand};

const AFTER_HELP: &str = "\
Exit codes:
  0  success
  1  the server refused
  2  the command line, or a file that it names, is wrong
  3  the server could not be reached, or did not answer like a domain server
  4  a problem with the device's state directory
  5  credentials did not verify

Environment:
  DOMAIN_DEVICE_DIR    same as --dir
  DOMAIN_DEVICE_TOKEN  the token itself, instead of --token-file

Examples:
  domain-device join https://example.org/flashaccess/domainserver/living-room/
  domain-device show
  domain-device leave https://example.org/flashaccess/domainserver/living-room/";

const ABOUT: &str = "\
Joins and leaves domains as a device, and keeps their credentials

URL is a domain server URL: https://example.org/flashaccess/domainserver/living-room/";

/// The whole command line; its help texts are the doc comments.
#[derive(Parser)]
#[command(name = "domain-device", version, about = ABOUT, long_about = None, after_help = AFTER_HELP)]
#[command(mut_subcommand("completions", Manual::examples_of("domain-device")))]
pub struct Arguments {
    /// What to do
    #[command(subcommand)]
    pub command: Command,

    /// The state directory, which holds the identity and the credentials [default: domain-device in
    /// $XDG_DATA_HOME or ~/.local/share]
    #[arg(long, global = true, env = "DOMAIN_DEVICE_DIR", hide_env = true)]
    pub dir: Option<PathBuf>,

    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    pub json: bool,

    /// Print each HTTP request and answer to standard error, without tokens
    #[arg(long, global = true)]
    pub trace: bool,

    /// The type of the device's key, which is generated at the first join: EC-P256, RSA-2048,
    /// RSA-3072 or RSA-4096 [default: EC-P256]
    #[arg(long, global = true, value_name = "TYPE")]
    pub key_type: Option<KeyType>,

    /// Trust these domain CA certificates (PEM), instead of the one seen at the first join
    #[arg(long, global = true, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Trust these CA certificates (PEM) for https, instead of the public ones
    #[arg(long, global = true, value_name = "FILE")]
    pub tls_ca_file: Option<PathBuf>,

    /// A file with the authentication token, for domains that require one
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Something with the device
    #[command(flatten)]
    Device(DeviceCommand),
    /// What this command says of itself
    #[command(flatten)]
    Manual(Manual),
}

/// What to do with the device.
#[derive(Subcommand)]
pub enum DeviceCommand {
    /// Join a domain, or fetch its credentials again
    #[command(after_help = examples![
        "domain-device join https://example.org/flashaccess/domainserver/living-room/",
        "domain-device join https://example.org/flashaccess/domainserver/living-room/ --token-file token",
        "domain-device join https://example.org/flashaccess/domainserver/living-room/ --update"
    ])]
    Join {
        /// The domain server URL
        url: String,
        /// Ask only for key versions that are newer than those on this device
        #[arg(long)]
        update: bool,
    },
    /// Leave a domain: ask, delete its credentials, and then be removed by the server
    #[command(after_help = examples![
        "domain-device leave https://example.org/flashaccess/domainserver/living-room/ --preview",
        "domain-device leave https://example.org/flashaccess/domainserver/living-room/"
    ])]
    Leave {
        /// The domain server URL
        url: String,
        /// Only ask whether the device may leave
        #[arg(long)]
        preview: bool,
        /// Delete the domain's credentials even if the device is no longer a member
        #[arg(long, conflicts_with = "preview")]
        forget: bool,
    },
    /// Show the device's identity and its domains; works offline
    #[command(after_help = examples![
        "domain-device show",
        "domain-device show --json | jq -r .machineGuid"
    ])]
    Show {
        /// Only this domain
        url: Option<String>,
    },
    /// Verify the credentials: chain, dates, and that each private key fits; works offline
    #[command(after_help = examples![
        "domain-device verify",
        "domain-device verify https://example.org/flashaccess/domainserver/living-room/ --ca-file ca.pem"
    ])]
    Verify {
        /// Only this domain
        url: Option<String>,
    },
    /// Decrypt what was encrypted to a domain's key, a compact JWE, to standard output; works offline
    #[command(after_help = examples![
        "domain-device decrypt film.jwe > film.key",
        "cat film.jwe | domain-device decrypt - https://example.org/flashaccess/domainserver/living-room/"
    ])]
    Decrypt {
        /// The file with the JWE; - for standard input
        file: PathBuf,
        /// Only with keys of this domain
        url: Option<String>,
    },
}

impl Arguments {
    /// The device's state directory.
    pub fn state_directory(&self) -> Result<PathBuf, DeviceError> {
        if let Some(dir) = &self.dir {
            return Ok(dir.clone());
        }
        // The XDG specification says that relative paths are ignored.
        env::var_os("XDG_DATA_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| env::home_dir().map(|home| home.join(".local/share")))
            .map(|data| data.join("domain-device"))
            .ok_or_else(|| DeviceError::Usage("There is no home directory: use --dir.".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use anonymous_domains_testkit::assert_command;
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_its_examples_are_true() {
        assert_command(Arguments::command(), &[]);
    }
}
