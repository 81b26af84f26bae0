//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Stress-tests a running server, or gateways of its own, with requests from many machines and an
/// operator. Then checks from outside what the server guarantees.
///
/// With --url the test uses a server that is already running. It creates domains named stress-...
/// there, and they stay. Without --url it starts gateways of its own, in a directory that is removed
/// at the end. Their programs come from ANONYMOUS_DOMAINS_GATEWAY and ANONYMOUS_DOMAINS_COMPONENT.
#[derive(Debug, Parser)]
#[command(name = "stress", version, after_long_help = AFTER_HELP)]
pub struct Arguments {
    /// The server's origin, its scheme, host and port; several share their tables
    #[arg(long, value_name = "URL")]
    pub url: Vec<String>,

    /// File with the admin token; without it there are no operator's requests
    #[arg(long, value_name = "FILE", requires = "url")]
    pub admin_token_file: Option<PathBuf>,

    /// Certificates (PEM) of the authorities for an https server
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

    /// Requests at a time
    #[arg(long, value_name = "N", default_value_t = 32)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub concurrency: u32,

    /// How long to run [default: 30, unless another flag sets the end]
    #[arg(long, value_name = "S")]
    pub seconds: Option<u64>,

    /// How many operations to run
    #[arg(long, value_name = "N")]
    pub operations: Option<usize>,

    /// Key versions after which a domain is replaced by a new one
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub versions: u64,

    /// Seed for the choice of requests; a run also depends on the server, so it does not repeat exactly
    #[arg(long, value_name = "SEED")]
    pub seed: Option<u64>,

    /// Has N machines join a fresh domain at once, one leave, and all ask again at once
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=100_000))]
    pub herd: Option<u32>,

    /// How long to wait for an answer; a request without one has no effect after this time, so this
    /// must be more than the server's own limits
    #[arg(long, value_name = "S", default_value_t = 75)]
    pub timeout: u64,

    /// Kills the test's own gateways with SIGKILL under load, N times
    #[arg(long, value_name = "N", conflicts_with_all = ["url", "seconds", "operations"])]
    pub kill: Option<usize>,

    /// Fails the test's own PostgreSQL under load, N times, and promotes its synchronous standby: by
    /// turns the primary is killed, stalls and comes back, and is stopped
    #[arg(long, value_name = "N")]
    #[arg(conflicts_with_all = ["url", "kill", "seconds", "operations"])]
    pub failover: Option<usize>,

    /// Gateways of the test's own on one store, killed one after another [default: 1, with --failover
    /// 2]
    #[arg(long, value_name = "N", conflicts_with = "url")]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=16))]
    pub gateways: Option<u8>,

    /// Their store: sqlite, redis or postgres (a server is started for the test), or a redis:// or
    /// postgres:// URL [default: sqlite, with --failover postgres]
    #[arg(long, value_name = "STORE", conflicts_with = "url")]
    pub store: Option<String>,

    /// A setting of the component in them, such as domain_key_type=EC-P256 (repeatable)
    #[arg(long = "set", value_name = "NAME=VALUE", conflicts_with = "url")]
    pub settings: Vec<String>,
}

const AFTER_HELP: &str = "\
Exit status:
  0  every guarantee held
  1  a guarantee did not hold: which one, and the requests that show it, are printed
  2  the command line is invalid
  3  the test could not be run, such as when no server answers

Examples:
  cargo xtask stress --url http://127.0.0.1:3000 --admin-token-file state/admin-token
  cargo xtask stress --kill 100 --gateways 2 --store redis
  cargo xtask stress --failover 10";

#[cfg(test)]
mod tests {
    use anonymous_domains_testkit::assert_command;
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_its_examples_are_true() {
        assert_command(Arguments::command(), &[("cargo xtask stress", "stress")]);
    }
}
