//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Serves the Anonymous Domains component over HTTP, with its tables in a SQLite file.
#[derive(Debug, Parser)]
#[command(name = "gateway", version, after_long_help = AFTER_HELP)]
pub struct Arguments {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, env = "ANONYMOUS_DOMAINS_LISTEN", value_name = "ADDR:PORT")]
    #[arg(default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,

    /// Directory for the store, and for the CA and secrets that the first start makes
    #[arg(long, env = "ANONYMOUS_DOMAINS_STATE", value_name = "DIR")]
    #[arg(default_value = "./state")]
    pub state: PathBuf,

    /// The component to serve, or a directory with its builds, of which the fastest is taken
    /// [default: target/wasm32-wasip2/release, or beside the gateway]
    #[arg(long, env = "ANONYMOUS_DOMAINS_COMPONENT", value_name = "FILE|DIR")]
    pub component: Option<PathBuf>,

    /// Sets one of the component's settings; name=@FILE takes a file's content (repeatable)
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub settings: Vec<String>,

    /// File with settings of the component: a flat table in TOML
    #[arg(long, env = "ANONYMOUS_DOMAINS_VARIABLES", value_name = "FILE")]
    pub variables: Option<PathBuf>,

    /// Requests that the component handles at a time; more wait up to 5 s, then get 503
    #[arg(
        long,
        env = "ANONYMOUS_DOMAINS_MAX_CONCURRENT_REQUESTS",
        value_name = "N"
    )]
    #[arg(default_value = "128")]
    pub max_concurrent_requests: NonZeroU16,

    /// Connections open at a time; more wait to be accepted
    #[arg(long, env = "ANONYMOUS_DOMAINS_MAX_CONNECTIONS", value_name = "N")]
    #[arg(default_value = "1000")]
    pub max_connections: NonZeroU16,

    /// How long the component may take to answer a request, such as 30s or 500ms
    #[arg(
        long,
        env = "ANONYMOUS_DOMAINS_REQUEST_TIMEOUT",
        value_name = "DURATION"
    )]
    #[arg(default_value = "30s", value_parser = duration)]
    pub request_timeout: Duration,

    /// How long requests may go on after SIGTERM or SIGINT
    #[arg(
        long,
        env = "ANONYMOUS_DOMAINS_SHUTDOWN_GRACE",
        value_name = "DURATION"
    )]
    #[arg(default_value = "10s", value_parser = duration)]
    pub shutdown_grace: Duration,

    /// Form of the log, which goes to standard error
    #[arg(long, env = "ANONYMOUS_DOMAINS_LOG_FORMAT", value_name = "FORMAT")]
    #[arg(value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// What to log: off, error, warn, info, debug, or per target as in "info,access=off"
    #[arg(long, env = "ANONYMOUS_DOMAINS_LOG", value_name = "FILTER")]
    #[arg(default_value = "info")]
    pub log: String,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

const AFTER_HELP: &str = "\
Settings of the component:
  ca_certificate, ca_private_key, key_encryption_key, admin_token, public_origin,
  domain_key_type, credential_ttl_days, clock_tolerance, auto_create_domains,
  machine_trust_anchors, auth_jwks, auth_issuer, auth_audience, auth_namespace_claim

  Each comes from the first of these that has it:
    1. --set NAME=VALUE or --set NAME=@FILE (of several, the last)
    2. the environment: ANONYMOUS_DOMAINS_NAME, the name in upper case
    3. the --variables file
    4. the state directory: ca.pem, ca-key.pem, key-encryption-key and admin-token,
       which the first start makes where 1 to 3 have none

  ca_private_key, key_encryption_key and admin_token are secrets: the command line takes
  them only as NAME=@FILE.

Standard output gets one line, when requests can be served:
  listening on http://ADDR:PORT";

/// A time in seconds (`30`, `30s`), milliseconds (`500ms`) or minutes (`2m`), up to an hour.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 = digits
        .parse()
        .map_err(|_| "write a whole number and ms, s or m, such as 30s".to_owned())?;
    let milliseconds = match &text[digits.len()..] {
        "ms" => Some(number),
        "s" | "" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        unit => return Err(format!("{unit} is no unit; there are ms, s and m")),
    };
    match milliseconds {
        Some(ms) if (1..=3_600_000).contains(&ms) => Ok(Duration::from_millis(ms)),
        _ => Err("must be from 1ms to 60m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_help_names_every_setting() {
        let listed = AFTER_HELP.split("Each comes").next().unwrap();
        for name in crate::settings::NAMES {
            assert!(
                listed
                    .split(|c: char| !(c.is_ascii_lowercase() || c == '_'))
                    .any(|word| word == name),
                "{name}"
            );
        }
    }

    #[test]
    fn no_flag_takes_a_settings_variable() {
        let settings = crate::settings::NAMES.map(crate::settings::environment_name);
        for argument in Arguments::command().get_arguments() {
            if let Some(variable) = argument.get_env() {
                assert!(
                    !settings.iter().any(|s| s.as_str() == variable),
                    "{variable:?}"
                );
            }
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for text in [
            "",
            "s",
            "0",
            "-1s",
            "1.5s",
            "1h",
            "61m",
            "99999999999999999999",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
