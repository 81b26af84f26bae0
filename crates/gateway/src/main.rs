//! The `gateway` command.

#![forbid(unsafe_code)]

use std::{process::ExitCode, time::Duration};

use anonymous_domains_gateway::{
    backup,
    cli::{Arguments, Command},
    run, telemetry,
};

/// After this many task polls a thread checks for I/O events. A poll may take as long as a guest
/// computes at a time, and requests should be accepted in the order in which they arrive.
const STEPS_BETWEEN_EVENTS: u32 = 4;

/// How long background work may take to end after the last request.
const LAST_GRACE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let arguments = Arguments::read();
    let result = telemetry::start(&arguments.log, arguments.log_format).and_then(|()| {
        match &arguments.command {
            Some(Command::Backup(wanted)) => backup::run(&arguments, wanted),
            None => serve(arguments),
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not to the log, which may be what failed.
            eprintln!("gateway: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: Arguments) -> anyhow::Result<()> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().event_interval(STEPS_BETWEEN_EVENTS);
    let runtime = runtime.build()?;
    let result = runtime.block_on(run::run(arguments));
    runtime.shutdown_timeout(LAST_GRACE);
    result
}
