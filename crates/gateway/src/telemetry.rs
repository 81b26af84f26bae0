//! The log, on standard error.

mod json;

use anonymous_domains_terminal::has_colours;
use anyhow::{Context as _, anyhow};
use tracing_subscriber::{
    EnvFilter, Registry,
    fmt::{self, format::JsonFields},
    layer::SubscriberExt as _,
    reload,
    util::SubscriberInitExt as _,
};

use crate::cli::LogFormat;

/// Libraries that would log header fields, and so tokens, at more verbose levels.
const NEVER_VERBOSE: [&str; 5] = [
    "h2=warn",
    "hyper=warn",
    "wasmtime=warn",
    "wasmtime_wasi=warn",
    "wasmtime_wasi_http=warn",
];

/// What is logged, which may change.
pub struct LogFilter(reload::Handle<EnvFilter, Registry>);

impl LogFilter {
    /// Logs this instead.
    ///
    /// # Errors
    ///
    /// If the log has ended.
    pub fn set(&self, filter: EnvFilter) -> anyhow::Result<()> {
        self.0
            .reload(filter)
            .context("cannot change the log filter")
    }
}

/// The filter that a text describes.
///
/// # Errors
///
/// If it is invalid.
pub fn filter(text: &str) -> anyhow::Result<EnvFilter> {
    let mut filter = EnvFilter::builder()
        .parse(text)
        // Its source says the same again.
        .map_err(|error| anyhow!("--log is no log filter, such as info or debug: {error}"))?;
    for directive in NEVER_VERBOSE {
        filter = filter.add_directive(directive.parse()?);
    }
    Ok(filter)
}

/// Starts the log.
///
/// # Errors
///
/// If a log was started before.
pub fn start(filter: EnvFilter, format: LogFormat) -> anyhow::Result<LogFilter> {
    let (filter, handle) = reload::Layer::new(filter);
    let layer = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(has_colours(&std::io::stderr()));
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => registry.with(layer).try_init(),
        LogFormat::Json => registry
            .with(layer.fmt_fields(JsonFields::new()).event_format(json::Json))
            .try_init(),
    }
    .context("cannot start the log")?;
    Ok(LogFilter(handle))
}
