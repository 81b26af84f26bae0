//! Connects the parts, and serves until a signal comes.

use std::{
    io::{self, ErrorKind, Write as _},
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use clap::CommandFactory as _;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    task::JoinHandle,
    time::MissedTickBehavior,
};

use crate::{
    cli::{Arguments, TlsSource},
    domains::{Builder, Domains},
    http::{
        faulty::{Faults, FaultyService},
        listen::listen,
        serve::{Connections, serve},
    },
    jwks::{AUTH_JWKS, KeySource},
    observation::{AuditLog, Traces},
    reload::{CHANGEABLE, Reloader},
    settings::{self, Settings},
    state::StateDirectory,
    storage::Location,
    systemd,
    telemetry::LogFilter,
    tls::{self, Tls, self_signed},
};

/// How often the audit log is written to the disk.
const AUDIT_SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// How many connections the internal listener has open at a time.
const INTERNAL_CONNECTIONS: usize = 64;

/// Serves until SIGTERM or SIGINT, and then until the requests in flight have ended or the grace
/// period is over. Prints `listening on http://ADDR` (or `https://`) on standard output when it can
/// serve, and `internal listener on http://ADDR` if there is one.
///
/// # Errors
///
/// If it cannot begin to serve.
pub async fn run(mut arguments: Arguments, log: LogFilter) -> anyhow::Result<()> {
    let start = Instant::now();
    // Before everything slow, so that no signal is lost.
    let mut shutdown = pin!(shutdown_signal()?);
    let hangup = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
    let listen_on =
        |address: SocketAddr| listen(address).map_err(|error| cannot_listen(address, &error));
    let listener = listen_on(arguments.listen)?;
    let internal_listener = arguments.watching.internal_listen.map(listen_on);
    let internal_listener = internal_listener.transpose()?;
    let watching = &arguments.watching;
    let traces = match &watching.otlp_endpoint {
        Some(endpoint) => Some(Traces::new(endpoint, watching.otlp_sample_ratio)?),
        None => None,
    };

    let tls = arguments.tls.source()?;
    warn_of_unknown_variables();
    let configured = arguments.configured()?;
    // They are among those that are configured, and may be replaced.
    arguments.file_settings = Settings::default();
    let begin = async {
        let (settings, keys) = with_keys(&arguments, configured.clone()).await?;
        let mut builder = builder(&arguments, settings)?;
        if let Some(traces) = traces.clone() {
            builder = builder.traces(traces);
        }
        anyhow::Ok((builder.build().await?, keys))
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
    let limits = &arguments.limits;
    let service = domains
        .into_service()
        .limited(limits.rates(), limits.trusted_proxies.clone());
    if keys.is_some() {
        service.set_key_source(keys).await?;
    }
    let audit = service.observer().audit.clone();
    let kept = audit.clone().map(keep_audit_log).transpose()?;
    let faults = arguments.testing.rules()?.map(|rules| {
        let faults = Faults::default();
        faults.set_rules(rules);
        faults
    });
    let reloader = Reloader {
        service: service.clone(),
        faults: faults.clone(),
        tls,
        log,
        configured: configured.without(&CHANGEABLE),
    };
    let (service, internal) = match internal_listener {
        Some(listener) => {
            let (public, service, notice) = service.split();
            (public, Some((listener, service, notice)))
        }
        None => (service, None),
    };
    tracing::info!(%address, scheme, ready_ms = start.elapsed().as_millis() as u64, "serving");
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on {scheme}://{address}")?;
    if let Some((listener, ..)) = &internal {
        let address = listener.local_addr()?;
        writeln!(out, "internal listener on http://{address}")?;
    }
    out.flush()?;
    drop(out);
    tokio::spawn(reloader.run(hangup));
    tokio::spawn(systemd::keep_alive());
    systemd::ready();

    let (stop_internal, stopped) = oneshot::channel::<()>();
    let (internal, notice) = match internal {
        Some((listener, service, notice)) => {
            let connections = Connections {
                tls: None,
                max: INTERNAL_CONNECTIONS,
                max_per_client: None,
                shutdown_grace: connections.shutdown_grace,
            };
            // An error, too, means that it shall stop.
            let stop = async move {
                let _ = stopped.await;
            };
            let internal = tokio::spawn(serve(listener, service, connections, stop));
            (Some(internal), Some(notice))
        }
        None => (None, None),
    };
    let shutdown = async {
        shutdown.await;
        systemd::stopping();
        if let Some(notice) = notice {
            notice.give();
        }
        tokio::time::sleep(arguments.watching.shutdown_delay).await;
    };
    match faults {
        None => serve(listener, service, connections, shutdown).await,
        Some(faults) => {
            let service = FaultyService::new(service, faults);
            serve(listener, service, connections, shutdown).await;
        }
    }
    // The last to end, so that it can be watched how the other one ends.
    drop(stop_internal);
    if let Some(internal) = internal {
        internal.await?;
    }
    if let (Some(audit), Some(kept)) = (audit, kept) {
        kept.abort();
        tokio::task::spawn_blocking(move || audit.sync()).await?;
    }
    if let Some(traces) = traces {
        tokio::task::spawn_blocking(move || traces.end()).await?;
    }
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

/// Has the audit log written to the disk, and lets a renamed file go at SIGHUP.
fn keep_audit_log(audit: AuditLog) -> anyhow::Result<JoinHandle<()>> {
    let mut hangup = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
    let mut ticks = tokio::time::interval(AUDIT_SYNC_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Ok(tokio::spawn(async move {
        loop {
            let was_renamed = tokio::select! {
                _ = hangup.recv() => true,
                _ = ticks.tick() => false,
            };
            let audit = audit.clone();
            let work = tokio::task::spawn_blocking(move || {
                if was_renamed {
                    audit.reopen();
                }
                audit.sync();
            });
            if work.await.is_err() {
                tracing::error!("the audit log is not written to the disk");
            }
        }
    }))
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
    if let Some(file) = &arguments.watching.audit_log {
        builder = builder.audit_log(file.clone(), arguments.watching.audit_fail_open);
    }
    if let Some(address) = arguments.store.address()? {
        let location = Location::Shared(Box::new(address), arguments.store.connect_timeout);
        builder = builder.location(Ok(location));
    }
    Ok(builder)
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> anyhow::Error {
    let advice = match error.kind() {
        ErrorKind::AddrInUse => "; another program is using it, perhaps another gateway",
        ErrorKind::AddrNotAvailable => "; this machine has no such address",
        ErrorKind::PermissionDenied => "; ports below 1024 need root, or CAP_NET_BIND_SERVICE",
        _ => "",
    };
    anyhow!("cannot listen on {address}: {error}{advice}")
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

    #[test]
    fn an_address_in_use_is_told_with_what_may_use_it() {
        let address = SocketAddr::from(([127, 0, 0, 1], 3000));
        let told = cannot_listen(address, &ErrorKind::AddrInUse.into()).to_string();
        assert!(
            told.starts_with("cannot listen on 127.0.0.1:3000: "),
            "{told}"
        );
        assert!(
            told.ends_with("; another program is using it, perhaps another gateway"),
            "{told}"
        );
    }
}
