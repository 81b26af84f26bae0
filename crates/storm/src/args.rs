//! The command line.

use clap::Parser;
use std::path::PathBuf;

/// Storms a running server, or gateways of its own, with requests from many machines and an
/// operator, then checks from outside what the server promises.
///
/// With --url the server is somebody's: its domains named storm-... are made by the storm, and
/// stay. Without, gateways are started for the storm, in a directory that is removed at the end.
/// Their programs come from ANONYMOUS_DOMAINS_GATEWAY and ANONYMOUS_DOMAINS_COMPONENT.
#[derive(Debug, Parser)]
#[command(name = "storm", version, after_long_help = AFTER_HELP)]
pub struct Arguments {
    /// The server's origin, its scheme, host and port; several share their tables
    #[arg(long, value_name = "URL")]
    pub url: Vec<String>,

    /// File with the admin token; without it nothing is asked that only operators may
    #[arg(long, value_name = "FILE", requires = "url")]
    pub admin_token_file: Option<PathBuf>,

    /// Certificates (PEM) of the authorities that vouch for an https server
    #[arg(long, value_name = "FILE", requires = "url")]
    pub ca_file: Option<PathBuf>,

    /// Machines
    #[arg(long, value_name = "N", default_value_t = 200)]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub machines: u32,

    /// Domains at a time; half of the machines are in the first
    #[arg(long, value_name = "N", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub domains: u32,

    /// Requests under way at a time
    #[arg(long, value_name = "N", default_value_t = 32)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub concurrency: u32,

    /// How long to storm [default: 30, where nothing else says]
    #[arg(long, value_name = "S")]
    pub seconds: Option<u64>,

    /// How many operations to storm with
    #[arg(long, value_name = "N")]
    pub operations: Option<usize>,

    /// Key versions after which a domain is left for a new one
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub versions: u64,

    /// Draws the requests; a storm's course also hangs on the server, so it does not repeat
    #[arg(long, value_name = "SEED")]
    pub seed: Option<u64>,

    /// Lets N machines join a fresh domain at once, one leave, and all ask again at once
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=100_000))]
    pub herd: Option<u32>,

    /// How long to wait for an answer, and after which a request without one is over; more than the
    /// server's own limits
    #[arg(long, value_name = "S", default_value_t = 75)]
    pub timeout: u64,

    /// Kills the storm's own gateways with SIGKILL so often under load
    #[arg(long, value_name = "N", conflicts_with_all = ["url", "seconds", "operations"])]
    pub kill: Option<usize>,

    /// Gateways of its own on one store, killed in turn
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "url")]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=16))]
    pub gateways: u8,

    /// Their store: sqlite, redis (a redis-server from PATH is started), or a redis:// URL
    #[arg(
        long,
        value_name = "STORE",
        default_value = "sqlite",
        conflicts_with = "url"
    )]
    pub store: String,

    /// A setting of the component in them, such as domain_key_type=EC-P256 (repeatable)
    #[arg(long = "set", value_name = "NAME=VALUE", conflicts_with = "url")]
    pub settings: Vec<String>,
}

const AFTER_HELP: &str = "\
Exit status:
  0  everything that was promised held
  1  something did not: what, and the requests that show it, are printed
  2  the command line makes no sense
  3  the storm could not be made, such as when no server answers";
