//! Connects the parts, and serves until a signal comes.

use std::{
    io::Write as _,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::CommandFactory as _;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    task::JoinHandle,
    time::MissedTickBehavior,
};

use crate::{
    cli::Arguments,
    domains::{Builder, Domains},
    http::serve::{Connections, serve},
    observation::{AuditLog, Traces},
    settings::{self, Settings},
    storage::Location,
};

/// How often the audit log is written to the disk.
const AUDIT_SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// How many connections the internal listener has open at a time.
const INTERNAL_CONNECTIONS: usize = 64;

/// Serves until SIGTERM or SIGINT, and then until the requests in flight have ended or the grace
/// period is over. Prints `listening on http://ADDR` on standard output when it can serve, and
/// `internal listener on http://ADDR` if there is one.
///
/// # Errors
///
/// If it cannot begin to serve.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let start = Instant::now();
    // Before everything slow, so that no signal is lost.
    let mut shutdown = pin!(shutdown_signal()?);
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;

    let internal_listener = match arguments.watching.internal_listen {
        Some(address) => Some(
            TcpListener::bind(address)
                .await
                .with_context(|| format!("cannot listen on {address}"))?,
        ),
        None => None,
    };

    let mut builder = builder(&arguments)?;
    let watching = &arguments.watching;
    let traces = match &watching.otlp_endpoint {
        Some(endpoint) => Some(Traces::new(endpoint, watching.otlp_sample_ratio)?),
        None => None,
    };
    if let Some(traces) = traces.clone() {
        builder = builder.traces(traces);
    }
    let domains = tokio::select! {
        domains = builder.build() => domains?,
        // Waiting for a store may take long.
        () = &mut shutdown => return Ok(()),
    };
    let connections = Connections {
        max: usize::from(arguments.max_connections.get()),
        max_per_client: arguments.max_connections_per_client,
        shutdown_grace: arguments.shutdown_grace,
    };
    let service = domains.into_service();
    let audit = service.observer().audit.clone();
    let kept = audit.clone().map(keep_audit_log).transpose()?;
    let (service, internal) = match internal_listener {
        Some(listener) => {
            let (public, service, notice) = service.split();
            (public, Some((listener, service, notice)))
        }
        None => (service, None),
    };
    let address = listener.local_addr()?;
    tracing::info!(%address, ready_ms = start.elapsed().as_millis() as u64, "serving");
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on http://{address}")?;
    if let Some((listener, ..)) = &internal {
        writeln!(
            out,
            "internal listener on http://{}",
            listener.local_addr()?
        )?;
    }
    out.flush()?;
    drop(out);

    let (stop_internal, stopped) = oneshot::channel::<()>();
    let (internal, notice) = match internal {
        Some((listener, service, notice)) => {
            let connections = Connections {
                max: INTERNAL_CONNECTIONS,
                max_per_client: None,
                ..connections
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
        if let Some(notice) = notice {
            notice.give();
        }
        tokio::time::sleep(arguments.watching.shutdown_delay).await;
    };
    serve(listener, service, connections, shutdown).await;
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
fn builder(arguments: &Arguments) -> anyhow::Result<Builder> {
    let mut builder = Domains::builder()
        .state_directory(&arguments.state)
        .settings(configured(arguments)?)
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
        let location = Location::Redis(Box::new(address), arguments.store.connect_timeout);
        builder = builder.location(Ok(location));
    }
    Ok(builder)
}

/// The settings from the command line, the environment and the file.
fn configured(arguments: &Arguments) -> anyhow::Result<Settings> {
    warn_of_unknown_variables();
    let from_arguments = Settings::from_arguments(&arguments.settings)?;
    let from_environment = Settings::from_environment(|name| std::env::var_os(name))?;
    let from_file = match &arguments.variables {
        Some(path) => Settings::from_file(path)?,
        None => Settings::default(),
    };
    Ok(from_arguments.or(from_environment).or(from_file))
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
        let arguments = Arguments::from_words(["gateway"]).unwrap();
        let builder = builder(&arguments).unwrap();
        assert_eq!(format!("{builder:?}"), format!("{:?}", Domains::builder()));
    }
}
