//! The `gateway` command.

#![forbid(unsafe_code)]

use std::{alloc::System, io::Write as _, process::ExitCode, time::Duration};

use anonymous_domains_gateway::{
    backup, check,
    cli::{self, Action, Arguments},
    run,
    store::postgres,
    telemetry,
};
use anyhow::bail;
use tokio::runtime::Runtime;
use zeroizing_alloc::ZeroAlloc;

/// Wipes what is freed: the buffers of connections, which had tokens, are not this program's own.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// After this many task polls a thread checks for I/O events. A poll may take as long as a guest
/// computes at a time, and requests should be accepted in the order in which they arrive.
const STEPS_BETWEEN_EVENTS: u32 = 4;

/// How long background work may take to end after the last request.
const LAST_GRACE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let (action, arguments) = Arguments::read();
    let result = match action {
        Action::Serve => serve(arguments),
        Action::CheckConfig => check(arguments),
        Action::Backup(copy) => backup::run(&arguments, &copy),
        Action::Schema => print_schema(),
        Action::Manual(manual) => manual.write(cli::command()).map_err(Into::into),
    };
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
    let log = telemetry::start(telemetry::filter(&arguments.log)?, arguments.log_format)?;
    let runtime = runtime()?;
    let result = runtime.block_on(run::run(arguments, log));
    runtime.shutdown_timeout(LAST_GRACE);
    result
}

fn print_schema() -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{};", postgres::DDL)?;
    Ok(())
}

/// Prints each thing that is wrong.
fn check(arguments: Arguments) -> anyhow::Result<()> {
    telemetry::start(telemetry::filter("error")?, arguments.log_format)?;
    let runtime = runtime()?;
    let wrong = runtime.block_on(check::check(arguments));
    runtime.shutdown_timeout(LAST_GRACE);
    for error in &wrong {
        eprintln!("gateway: {error:#}");
    }
    match wrong.len() {
        0 => {
            println!("the configuration can be used");
            Ok(())
        }
        _ => bail!("the configuration cannot be used"),
    }
}

fn runtime() -> anyhow::Result<Runtime> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().event_interval(STEPS_BETWEEN_EVENTS);
    Ok(runtime.build()?)
}
