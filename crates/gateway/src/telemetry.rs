//! The log, on standard error.

mod json;

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::{EnvFilter, fmt::format::JsonFields};

use crate::cli::LogFormat;

/// Libraries that would log header fields, and so tokens, at more verbose levels.
const NEVER_VERBOSE: [&str; 5] = [
    "h2=warn",
    "hyper=warn",
    "wasmtime=warn",
    "wasmtime_wasi=warn",
    "wasmtime_wasi_http=warn",
];

/// Starts the log.
///
/// # Errors
///
/// If `filter` is invalid, or a log was started before.
pub fn start(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let mut filter = EnvFilter::builder()
        .parse(filter)
        .context("--log is no log filter")?;
    for directive in NEVER_VERBOSE {
        filter = filter.add_directive(directive.parse()?);
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder
            .fmt_fields(JsonFields::new())
            .event_format(json::Json)
            .try_init(),
    }
    .map_err(|error| anyhow::anyhow!("cannot start the log: {error}"))
}
