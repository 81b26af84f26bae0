//! Connects the parts, and serves until a signal comes.

use std::{io::Write as _, net::IpAddr, pin::pin, sync::Arc, time::Instant};

use anyhow::Context as _;
use clap::CommandFactory as _;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{
    cli::{Arguments, TlsSource},
    domains::{Builder, Domains},
    http::serve::{Connections, serve},
    jwks::{AUTH_JWKS, KeySource},
    reload::Reloader,
    settings::{self, Settings},
    state::StateDirectory,
    storage::Location,
    systemd,
    telemetry::LogFilter,
    tls::{self, Tls, self_signed},
};

/// Serves until SIGTERM or SIGINT, and then until the requests in flight have ended or the grace
/// period is over. Prints `listening on http://ADDR` (or `https://`) on standard output when it can
/// serve.
///
/// # Errors
///
/// If it cannot begin to serve.
pub async fn run(arguments: Arguments, log: LogFilter) -> anyhow::Result<()> {
    let start = Instant::now();
    // Before everything slow, so that no signal is lost.
    let mut shutdown = pin!(shutdown_signal()?);
    let hangup = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;

    let tls = arguments.tls.source()?;
    warn_of_unknown_variables();
    let configured = arguments.configured()?;
    let begin = async {
        let (settings, keys) = with_keys(&arguments, configured.clone()).await?;
        let domains = builder(&arguments, settings)?.build().await?;
        anyhow::Ok((domains, keys))
    };
    let (domains, keys) = tokio::select! {
        begun = begin => begun?,
        // Waiting for a store may take long.
        () = &mut shutdown => return Ok(()),
    };
    let address = listener.local_addr()?;
    let tls = match tls {
        Some(source) => Some(load_tls(source, &arguments, address.ip()).await?),
        None => None,
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    if let Some(tls) = &tls {
        tokio::spawn(Arc::clone(tls).watch());
    }
    let connections = Connections {
        tls: tls.clone(),
        max: usize::from(arguments.max_connections.get()),
        max_per_client: arguments.max_connections_per_client,
        shutdown_grace: arguments.shutdown_grace,
    };
    tracing::info!(%address, scheme, ready_ms = start.elapsed().as_millis() as u64, "serving");
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on {scheme}://{address}")?;
    out.flush()?;
    drop(out);
    let limits = &arguments.limits;
    let service = domains
        .into_service()
        .limited(limits.rates(), limits.trusted_proxies.clone());
    if keys.is_some() {
        service.set_key_source(keys).await?;
    }
    let reloader = Reloader {
        service: service.clone(),
        tls,
        log,
        configured,
    };
    tokio::spawn(reloader.run(hangup));
    tokio::spawn(systemd::keep_alive());
    systemd::ready();
    let shutdown = async {
        shutdown.await;
        systemd::stopping();
    };
    serve(listener, service, connections, shutdown).await;
    Ok(())
}

/// The settings, with the keys in place of their URL.
pub(crate) async fn with_keys(
    arguments: &Arguments,
    mut settings: Settings,
) -> anyhow::Result<(Settings, Option<Arc<KeySource>>)> {
    let ca = arguments.jwks_ca.as_deref();
    let source = KeySource::open(&settings, ca, &arguments.state).await?;
    if let Some(source) = &source {
        settings.set(AUTH_JWKS, source.text())?;
    }
    Ok((settings, source))
}

/// The certificate for the address that is listened on.
pub(crate) async fn load_tls(
    source: TlsSource,
    arguments: &Arguments,
    address: IpAddr,
) -> anyhow::Result<Arc<Tls>> {
    let state = arguments.state.clone();
    let load = move || {
        let files = match source {
            TlsSource::Files { certificate, key } => tls::Files { certificate, key },
            TlsSource::SelfSigned => self_signed::files(&StateDirectory::at(&state)?, address)?,
        };
        Tls::load(files)
    };
    tokio::task::spawn_blocking(load).await?
}

/// What the arguments say of everything but connections.
pub(crate) fn builder(arguments: &Arguments, configured: Settings) -> anyhow::Result<Builder> {
    let mut builder = Domains::builder()
        .state_directory(&arguments.state)
        .settings(configured)
        .max_concurrent_requests(arguments.max_concurrent_requests)
        .request_timeout(arguments.request_timeout)
        .max_memory(arguments.max_memory);
    if let Some(component) = &arguments.component {
        builder = builder.component(component);
    }
    if let Some(address) = arguments.store.address()? {
        let location = Location::Redis(Box::new(address), arguments.store.connect_timeout);
        builder = builder.location(Ok(location));
    }
    Ok(builder)
}

/// Warns of environment variables that look like settings but are not used.
fn warn_of_unknown_variables() {
    let command = Arguments::command();
    let flags: Vec<_> = command
        .get_arguments()
        .filter_map(|argument| argument.get_env()?.to_str())
        .collect();
    let names: Vec<_> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .collect();
    for name in settings::unknown_variables(names.iter().map(String::as_str), &flags) {
        tracing::warn!(variable = %name, "this environment variable is no setting");
    }
}

/// Ready at the first SIGTERM or SIGINT. A second one ends the process at once.
fn shutdown_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::warn!("a second signal: stopping at once");
            std::process::exit(1);
        });
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_have_the_builders_defaults() {
        let (_, arguments) = Arguments::from_words(["gateway"]).unwrap();
        let builder = builder(&arguments, Settings::default()).unwrap();
        assert_eq!(format!("{builder:?}"), format!("{:?}", Domains::builder()));
    }
}
