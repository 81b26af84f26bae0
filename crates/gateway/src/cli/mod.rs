//! The command line.

mod config_file;
mod limits;
mod mistakes;
mod store;
mod testing;
mod tls;
mod units;
mod watching;

use std::{
    ffi::OsString,
    net::SocketAddr,
    num::NonZeroU16,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{
    ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum,
    parser::ValueSource,
};
use thiserror::Error;

use crate::{settings::Settings, store::address::Address};
use anonymous_domains_manual::{Manual, examples};
use config_file::ConfigFile;
pub use limits::LimitArguments;
pub use store::StoreArguments;
pub use testing::TestArguments;
pub use tls::{TlsArguments, TlsSource};
use units::{address, duration, size};
pub use watching::WatchArguments;

/// Serves the Anonymous Domains component over HTTP, with its tables in a SQLite file, a
/// PostgreSQL or a Redis.
#[derive(Debug, Parser)]
#[command(name = "gateway", version, after_long_help = AFTER_HELP)]
#[command(mut_subcommand("completions", Manual::examples_of("gateway")))]
#[command(args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(flatten)]
    serve: Arguments,

    #[command(subcommand)]
    other: Option<Other>,
}

/// What the gateway does besides serving.
#[derive(Debug, Subcommand)]
enum Other {
    /// Says whether a start with these flags would succeed, and why not; changes nothing
    #[command(after_help = examples![
        "gateway check-config --config gateway.toml",
        "gateway check-config --state /var/lib/anonymous-domains --set domain_key_type=EC-P256"
    ])]
    CheckConfig(Box<Arguments>),
    /// Copies the store's file, also while a gateway serves it
    ///
    /// The copy is one state of the store, and complete: with all that was answered before. It is
    /// checked before it gets its name. The secrets of the state directory are not in it.
    #[command(after_help = examples![
        "gateway backup /backup/store.db --state /var/lib/anonymous-domains",
        "gateway backup /backup/store.db --config gateway.toml"
    ])]
    Backup(Box<Backup>),
    /// Prints the SQL that makes the table of a PostgreSQL --store
    ///
    /// The gateway makes the table itself where its user may. Otherwise give this to one who may,
    /// and let the gateway's user SELECT, INSERT, UPDATE and DELETE.
    #[command(after_help = examples![
        "gateway schema",
        "gateway schema | psql postgres://postgres@localhost/domains"
    ])]
    Schema,
    /// What this command says of itself
    #[command(flatten)]
    Manual(Manual),
}

/// Where to copy the store, and where it is.
#[derive(Debug, Args)]
struct Backup {
    /// The copy, which must not exist yet; it gets mode 0600
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    arguments: Arguments,
}

/// What to do.
#[derive(Clone, Debug)]
pub enum Action {
    /// Serve.
    Serve,
    /// Say whether a start would succeed.
    CheckConfig,
    /// Copy the store to this file.
    Backup(PathBuf),
    /// Print the table's definition.
    Schema,
    /// Say what the command is.
    Manual(Manual),
}

/// The definition of the command.
pub fn command() -> clap::Command {
    CommandLine::command()
}

/// Why a command line cannot be followed.
#[derive(Debug, Error)]
pub enum Unusable {
    /// It is wrong, or asks for help.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// The file of `--config` is wrong. Shows no value of it.
    #[error("{0:#}")]
    File(anyhow::Error),
}

/// The flags with which the gateway serves.
#[derive(Debug, Parser)]
pub struct Arguments {
    /// TOML file with flags by their names, and the component's settings in its table settings;
    /// the command line and the environment come first
    #[arg(long, env = "ANONYMOUS_DOMAINS_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// The table settings of the --config
    #[arg(skip)]
    pub file_settings: Settings,

    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, env = "ANONYMOUS_DOMAINS_LISTEN", value_name = "ADDR:PORT")]
    #[arg(default_value = "127.0.0.1:3000", value_parser = address)]
    pub listen: SocketAddr,

    /// TLS
    #[command(flatten)]
    pub tls: TlsArguments,

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

    /// CA certificates (PEM) to believe, besides the system's, where the setting auth_jwks is a URL
    #[arg(long, env = "ANONYMOUS_DOMAINS_JWKS_CA", value_name = "FILE")]
    pub jwks_ca: Option<PathBuf>,

    /// Requests that the component handles at a time, at most half of them for one client; more wait
    /// up to 5 s, then get 503
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

    /// Limits of rates
    #[command(flatten)]
    pub limits: LimitArguments,

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

    /// Tests of clients
    #[command(flatten)]
    pub testing: TestArguments,

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
    /// The command line, the environment and the file that they name. Ends the process if they are
    /// invalid, or ask for help.
    pub fn read() -> (Action, Self) {
        let unusable = match Self::from_words(std::env::args_os()) {
            Ok(read) => return read,
            Err(unusable) => unusable,
        };
        match unusable {
            Unusable::CommandLine(error) => error.exit(),
            Unusable::File(_) => {
                eprintln!("gateway: {unusable}");
                std::process::exit(1)
            }
        }
    }

    /// As [`Arguments::read`], once more: the file may have changed.
    ///
    /// # Errors
    ///
    /// If it is no longer valid.
    pub fn read_again() -> Result<Self, Unusable> {
        Self::from_words(std::env::args_os()).map(|(_, arguments)| arguments)
    }

    /// As [`Arguments::read`], of these words, of which the first is the command's own name.
    ///
    /// # Errors
    ///
    /// If they are wrong, or ask for help.
    pub fn from_words<T: Into<OsString> + Clone>(
        words: impl IntoIterator<Item = T>,
    ) -> Result<(Action, Self), Unusable> {
        let mut words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        let mut command = CommandLine::command();
        let matches = command.try_get_matches_from_mut(&words);
        let matches = matches.map_err(mistakes::explained)?;
        let (given, flags_begin) = match matches.subcommand() {
            Some((_, given)) => (given, 2),
            None => (&matches, 1),
        };
        // Some subcommands have no flags.
        let url = given.try_get_one::<String>("url").ok().flatten();
        if is_from(given, "url", &[ValueSource::CommandLine])
            && url.is_some_and(|url| Address::has_password(url))
        {
            return Err(Unusable::CommandLine(command.error(
                clap::error::ErrorKind::ValueValidation,
                "the password of the --store is a secret, and the command line is not: give it \
                 with --store-password-file FILE, or the whole URL in the environment variable \
                 ANONYMOUS_DOMAINS_STORE",
            )));
        }
        let mut settings = Settings::default();
        let mut matches = matches.clone();
        let config = given.try_get_one::<PathBuf>("config").ok().flatten();
        if let Some(path) = config {
            let file = Self::read_file(path)?;
            let flags = Arguments::command();
            let is_open = |flag: &str| {
                flags
                    .get_arguments()
                    .find(|argument| argument.get_long() == Some(flag))
                    .is_some_and(|argument| {
                        let stronger = [ValueSource::CommandLine, ValueSource::EnvVariable];
                        !is_from(given, argument.get_id().as_str(), &stronger)
                    })
            };
            words.splice(flags_begin..flags_begin, file.words(is_open));
            matches = CommandLine::command().try_get_matches_from(&words)?;
            settings = file.settings;
        }
        let CommandLine { serve, other } = CommandLine::from_arg_matches(&matches)?;
        let (action, arguments) = match other {
            None => (Action::Serve, serve),
            Some(Other::CheckConfig(arguments)) => (Action::CheckConfig, *arguments),
            Some(Other::Backup(wanted)) => (Action::Backup(wanted.file), wanted.arguments),
            Some(Other::Schema) => (Action::Schema, serve),
            Some(Other::Manual(manual)) => (Action::Manual(manual), serve),
        };
        Ok((
            action,
            Self {
                file_settings: settings,
                ..arguments
            },
        ))
    }

    /// The settings from the command line, the environment and the files.
    ///
    /// # Errors
    ///
    /// If a name is unknown, or a file cannot be used. No error shows a value.
    pub fn configured(&self) -> anyhow::Result<Settings> {
        let from_arguments = Settings::from_arguments(&self.settings)?;
        let from_environment = Settings::from_environment(|name| std::env::var_os(name))?;
        let from_file = match &self.variables {
            Some(path) => Settings::from_file(path)?,
            None => Settings::default(),
        };
        let from_config = self.file_settings.clone();
        let from_files = from_file.or(from_config);
        Ok(from_arguments.or(from_environment).or(from_files))
    }

    fn read_file(path: &Path) -> Result<ConfigFile, Unusable> {
        ConfigFile::read(path, &Arguments::command()).map_err(Unusable::File)
    }
}

/// Whether a flag has its value from one of these.
fn is_from(matches: &ArgMatches, id: &str, sources: &[ValueSource]) -> bool {
    let source = matches.try_contains_id(id).ok();
    source
        .and_then(|_| matches.value_source(id))
        .is_some_and(|source| sources.contains(&source))
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
  ca_certificate, ca_certificate_next, ca_private_key, key_encryption_key, admin_token,
  admin_read_token,
  public_origin, public_path_prefix, cors_origins, domain_key_type, credential_ttl_days,
  clock_tolerance, auto_create_domains, machine_trust_anchors, auth_jwks, auth_issuer,
  auth_audience, auth_namespace_claim, max_domains, max_key_versions_per_day, request_timeout

  Each comes from the first of these that has it:
    1. --set NAME=VALUE or --set NAME=@FILE (of several, the last)
    2. the environment: ANONYMOUS_DOMAINS_NAME, the name in upper case
    3. the --variables file
    4. the table [settings] of the --config file, where @FILE takes a file's content too
    5. the state directory: ca.pem, ca-key.pem, key-encryption-key and admin-token,
       which the first start makes where 1 to 4 have none
  But request_timeout is what --request-timeout says, in whole seconds, unless 1, 3 or 4 has it.

  auth_jwks may be an https URL here (http for this machine), from which the set is fetched at
  the start, when it has been used for as long as the answer said, and when a token names an
  unknown key.

  ca_private_key, key_encryption_key, admin_token and admin_read_token are secrets: the command
  line takes them only as NAME=@FILE. Nor does it take a --store with a password; the environment does.

Gateways that share a --store need the same CA and the same key-encryption keys. Only the first
on an empty store may make them.

Standard output gets one line, when requests can be served, and a second one with
--internal-listen:
  listening on http://ADDR:PORT, or https:// with TLS
  internal listener on http://ADDR:PORT

Examples:
  gateway --state /var/lib/anonymous-domains --set public_origin=https://domains.example
  gateway --listen 0.0.0.0:443 --tls-certificate fullchain.pem --tls-key key.pem
  gateway --config gateway.toml
  gateway --test-faults faults.toml --i-know-this-is-a-test-server";

#[cfg(test)]
mod tests;
