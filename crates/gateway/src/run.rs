//! Connects the parts, and serves until a signal comes.

use std::{io::Write as _, pin::pin, sync::Arc, time::Instant};

use anyhow::Context as _;
use clap::CommandFactory as _;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{
    cli::Arguments,
    engine::{self, Program},
    host::{Shared, memory::Memory},
    http::{
        Limits, Service,
        serve::{Connections, serve},
    },
    scheduler::Scheduler,
    settings::{self, Settings},
    state::StateDirectory,
    storage,
    worker::Workers,
};

/// Serves until SIGTERM or SIGINT, and then until the requests in flight have ended or the grace
/// period is over. Prints `listening on http://ADDR` on standard output when it can serve.
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

    let state = StateDirectory::open(&arguments.state)?;
    let configured = configured(&arguments)?;
    // Shorter than a request, so that the request can still report that the store failed.
    let call_limit = storage::MAX_CALL.min(arguments.request_timeout / 2);
    let opened = tokio::select! {
        opened = storage::open(&state, &arguments.store, configured, call_limit) => opened?,
        // Waiting for a store may take long.
        () = &mut shutdown => return Ok(()),
    };
    let of_the_gateway = Settings::of_the_gateway(arguments.request_timeout);
    let settings = opened.settings.or(of_the_gateway);
    let names: Vec<_> = settings.iter().map(|(name, _)| name).collect();
    tracing::info!(settings = %names.join(", "), "configured");

    let builds = engine::find_builds(arguments.component)?;
    let concurrent_requests = arguments.max_concurrent_requests.get();
    let program = {
        let cache = state.cache()?;
        // Idle instances were in use before, and are reused before new ones are created. So there
        // are never more instances than concurrent requests.
        let max_instances = u32::from(concurrent_requests);
        let load = move || Program::load(&builds, cache, max_instances);
        Arc::new(tokio::task::spawn_blocking(load).await??)
    };
    let settings = Arc::new(settings);
    let shared = Shared {
        store: opened.store,
        settings: Arc::clone(&settings),
        memory: Memory::new(arguments.max_memory),
    };
    let scheduler = Scheduler::new(std::thread::available_parallelism().map_or(1, usize::from));
    let workers = Workers::new(program, shared, scheduler, arguments.request_timeout);
    // If the component cannot be instantiated, fail now and not at the first request.
    workers
        .instantiate()
        .await
        .map_err(anyhow::Error::from)
        .context("the component cannot be instantiated")?;

    let service = Service::new(
        workers,
        Limits {
            concurrent_requests: usize::from(concurrent_requests),
            request_timeout: arguments.request_timeout,
        },
        settings.get("admin_token"),
    );
    let connections = Connections {
        max: usize::from(arguments.max_connections.get()),
        max_per_client: arguments.max_connections_per_client,
        shutdown_grace: arguments.shutdown_grace,
    };
    let address = listener.local_addr()?;
    tracing::info!(%address, ready_ms = start.elapsed().as_millis() as u64, "serving");
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on http://{address}")?;
    out.flush()?;
    drop(out);
    serve(listener, service, connections, shutdown).await;
    Ok(())
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
