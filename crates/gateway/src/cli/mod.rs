//! The command line.

mod store;
mod units;
mod watching;

use std::{ffi::OsString, net::SocketAddr, num::NonZeroU16, path::PathBuf, time::Duration};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, ValueEnum, parser::ValueSource};

use crate::store::redis::Address;
pub use store::StoreArguments;
use units::{duration, size};
pub use watching::WatchArguments;

/// Serves the Anonymous Domains component over HTTP, with its tables in a SQLite file or a Redis.
#[derive(Debug, Parser)]
#[command(name = "gateway", version, after_long_help = AFTER_HELP)]
pub struct Arguments {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, env = "ANONYMOUS_DOMAINS_LISTEN", value_name = "ADDR:PORT")]
    #[arg(default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,

    /// Directory for the store's file, and for the CA and secrets that the first start makes
    #[arg(long, env = "ANONYMOUS_DOMAINS_STATE", value_name = "DIR")]
    #[arg(default_value = "./state")]
    pub state: PathBuf,

    /// Where the tables are
    #[command(flatten)]
    pub store: StoreArguments,

    /// The component to serve, or a directory with its builds, of which the fastest is taken
    /// [default: target/wasm32-wasip2/component, or beside the gateway]
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

    /// Memory that the component's instances may have together, such as 512MiB or 2GiB; a request
    /// for which there is none left gets 503
    #[arg(long, env = "ANONYMOUS_DOMAINS_MAX_MEMORY", value_name = "SIZE")]
    #[arg(default_value = "1GiB", value_parser = size)]
    pub max_memory: usize,

    /// Connections open at a time; more wait to be accepted
    #[arg(long, env = "ANONYMOUS_DOMAINS_MAX_CONNECTIONS", value_name = "N")]
    #[arg(default_value = "1000")]
    pub max_connections: NonZeroU16,

    /// Connections open at a time from one IPv4 address or IPv6 /64; more are closed at once
    /// [default: as many as others leave, so half for one client; any number from this machine,
    /// where a reverse proxy may be]
    #[arg(
        long,
        env = "ANONYMOUS_DOMAINS_MAX_CONNECTIONS_PER_CLIENT",
        value_name = "N"
    )]
    pub max_connections_per_client: Option<NonZeroU16>,

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

    /// What operators can watch
    #[command(flatten)]
    pub watching: WatchArguments,

    /// Form of the log, which goes to standard error
    #[arg(long, env = "ANONYMOUS_DOMAINS_LOG_FORMAT", value_name = "FORMAT")]
    #[arg(value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// What to log: off, error, warn, info, debug, or per target as in "info,access=off"
    #[arg(long, env = "ANONYMOUS_DOMAINS_LOG", value_name = "FILTER")]
    #[arg(default_value = "info")]
    pub log: String,
}

impl Arguments {
    /// The command line and the environment. Ends the process if they are invalid, or ask for help.
    pub fn read() -> Self {
        Self::from_words(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    pub(crate) fn from_words<T: Into<OsString> + Clone>(
        words: impl IntoIterator<Item = T>,
    ) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(words)?;
        let arguments = Self::from_arg_matches(&matches)?;
        let url = arguments.store.url.as_deref();
        if matches.value_source("url") == Some(ValueSource::CommandLine)
            && url.is_some_and(Address::has_password)
        {
            return Err(command.error(
                clap::error::ErrorKind::ValueValidation,
                "the password of the --store is a secret, and the command line is not: give it \
                 with --store-password-file FILE, or the whole URL in the environment variable \
                 ANONYMOUS_DOMAINS_STORE",
            ));
        }
        Ok(arguments)
    }
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
  ca_certificate, ca_private_key, key_encryption_key, admin_token, admin_read_token,
  public_origin, public_path_prefix, domain_key_type, credential_ttl_days, clock_tolerance,
  auto_create_domains, machine_trust_anchors, auth_jwks, auth_issuer, auth_audience,
  auth_namespace_claim, max_domains, max_key_versions_per_day, request_timeout

  Each comes from the first of these that has it:
    1. --set NAME=VALUE or --set NAME=@FILE (of several, the last)
    2. the environment: ANONYMOUS_DOMAINS_NAME, the name in upper case
    3. the --variables file
    4. the state directory: ca.pem, ca-key.pem, key-encryption-key and admin-token,
       which the first start makes where 1 to 3 have none
  But request_timeout is what --request-timeout says, in whole seconds, unless 1 or 3 has it.

  ca_private_key, key_encryption_key, admin_token and admin_read_token are secrets: the command
  line takes them only as NAME=@FILE. Nor does it take a --store with a password; the environment does.

Gateways that share a --store need the same CA and the same key-encryption key. Only the first
on an empty store may make them.

Standard output gets one line, when requests can be served, and a second one with
--internal-listen:
  listening on http://ADDR:PORT
  internal listener on http://ADDR:PORT";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    const PAGE: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/settings.md"
    );

    /// Set to anything, it has the test write the page instead of comparing it.
    const REWRITE: &str = "UPDATE_SETTINGS_MD";

    #[test]
    fn the_documented_flags_are_those_there_are() {
        let mut list = String::new();
        for argument in Arguments::command().get_arguments() {
            let flag = argument.get_long().unwrap();
            if let Some(variable) = argument.get_env() {
                let name = flag.to_uppercase().replace('-', "_");
                assert_eq!(variable, format!("ANONYMOUS_DOMAINS_{name}").as_str());
            }
            // A flag without a value shows no name for it.
            let takes_value = argument.get_action().takes_values();
            let names = argument.get_value_names().filter(|_| takes_value);
            let names = names.unwrap_or_default().iter();
            let value: String = names.map(|name| format!(" {name}")).collect();
            let mut values: Vec<_> = argument
                .get_possible_values()
                .iter()
                .map(|value| format!("`{}`", value.get_name()))
                .collect();
            for default in argument.get_default_values() {
                values.push(format!("default `{}`", default.display()));
            }
            let values = match values.join(", ") {
                values if values.is_empty() => values,
                values => format!(" ({values})"),
            };
            let help = argument.get_help().unwrap();
            list += &format!("- `--{flag}{value}`{values}: {help}\n");
        }
        let (begin, end) = ("<!-- begin flags -->\n", "<!-- end flags -->");
        let page = std::fs::read_to_string(PAGE).unwrap();
        let (before, rest) = page.split_once(begin).unwrap();
        let (_, after) = rest.split_once(end).unwrap();
        let generated = format!("{before}{begin}\n{list}\n{end}{after}");
        if std::env::var_os(REWRITE).is_some() {
            std::fs::write(PAGE, generated).unwrap();
            return;
        }
        assert!(
            page == generated,
            "{PAGE} is not what the flags are: run this test with {REWRITE}=1 to write it"
        );
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
        // The setting that follows from the flag.
        let of_the_gateway = crate::settings::environment_name("request_timeout");
        for argument in Arguments::command().get_arguments() {
            if let Some(variable) = argument.get_env() {
                assert!(
                    variable == of_the_gateway.as_str()
                        || !settings.iter().any(|s| s.as_str() == variable),
                    "{variable:?}"
                );
            }
        }
    }

    #[test]
    fn a_password_on_the_command_line_is_refused_and_not_repeated() {
        let parse = |url: &str| Arguments::from_words(["gateway", "--store", url]);
        for url in [
            "redis://:hunter2@localhost",
            "redis+unix:///run/redis.sock?pass=hunter2",
            "nonsense://user:hunter2@localhost",
        ] {
            let text = parse(url).unwrap_err().to_string();
            assert!(text.contains("--store-password-file"), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
        let arguments = parse("redis://gateway@localhost/1").unwrap();
        let address = arguments.store.address().unwrap().unwrap();
        assert_eq!(address.to_string(), "redis://localhost/1");
    }

    #[test]
    fn a_password_may_come_from_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("password");
        let words = [
            "gateway",
            "--store=redis://localhost",
            "--store-password-file",
            file.to_str().unwrap(),
        ];
        let address = || Arguments::from_words(words).unwrap().store.address();
        assert!(address().is_err(), "there is no file");
        std::fs::write(&file, "\n").unwrap();
        assert!(address().is_err(), "an empty password");
        std::fs::write(&file, "hunter2\n").unwrap();
        assert!(!format!("{:?}", address().unwrap()).contains("hunter2"));
        let no_store = ["gateway", "--store-ca", "ca.pem"];
        let arguments = Arguments::from_words(no_store).unwrap();
        assert!(arguments.store.address().is_err());
    }
}
