//! The flags for what operators watch.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;

use super::units::{address, delay, ratio};

/// What operators can watch, and where.
#[derive(Args, Debug)]
pub struct WatchArguments {
    /// Address and port for operators only: /metrics, /livez and /readyz, and then /admin/v1 and
    /// /console/ too, which are nowhere else [default: none]
    #[arg(long, env = "ANONYMOUS_DOMAINS_INTERNAL_LISTEN")]
    #[arg(value_name = "ADDR:PORT", value_parser = address)]
    pub internal_listen: Option<SocketAddr>,

    /// How long all requests are still served after SIGTERM or SIGINT while /readyz already says
    /// 503, so that load balancers can turn away
    #[arg(long, env = "ANONYMOUS_DOMAINS_SHUTDOWN_DELAY")]
    #[arg(value_name = "DURATION", default_value = "0s", value_parser = delay)]
    pub shutdown_delay: Duration,

    /// File for a record of everything that the server decides, as JSON lines; created with mode
    /// 0600. Renamed files are let go at SIGHUP [default: none]
    #[arg(long, env = "ANONYMOUS_DOMAINS_AUDIT_LOG", value_name = "FILE")]
    pub audit_log: Option<PathBuf>,

    /// Answers requests that change something although the --audit-log cannot be written; without
    /// this they get INTERNAL
    #[arg(long, env = "ANONYMOUS_DOMAINS_AUDIT_FAIL_OPEN")]
    #[arg(requires = "audit_log")]
    pub audit_fail_open: bool,

    /// OpenTelemetry collector for traces, over OTLP/HTTP, such as http://localhost:4318
    /// [default: none]
    #[arg(long, env = "ANONYMOUS_DOMAINS_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// Which part of the traces that begin here is sent, from 0 to 1; clients decide about theirs
    #[arg(long, env = "ANONYMOUS_DOMAINS_OTLP_SAMPLE_RATIO")]
    #[arg(value_name = "RATIO", default_value = "1", value_parser = ratio)]
    pub otlp_sample_ratio: f64,
}
