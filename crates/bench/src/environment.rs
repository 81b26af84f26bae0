//! Time and chance as a native program has them, and the settings of a state directory.

use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anonymous_domains::{environment::Environment, settings::Settings};
use anonymous_domains_gateway::{settings::Settings as GatewaySettings, state::StateDirectory};
use anyhow::anyhow;

/// The machine's own clock and random numbers.
#[derive(Debug, Clone, Copy)]
pub struct Native;

impl Environment for Native {
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.unwrap_or_default().as_millis() as i64
    }

    async fn sleep_ms(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system has random numbers");
    }

    fn log(&self, line: &str) {
        eprintln!("{line}");
    }
}

/// The state directory, and the component's settings as a gateway would take them from it: the
/// first call makes a CA and its other secrets.
///
/// # Errors
///
/// As the gateway's start.
pub fn settings(directory: &Path) -> anyhow::Result<(StateDirectory, Settings)> {
    let (state, own) = complete(directory, GatewaySettings::default())?;
    Ok((state, read(&own)?))
}

/// The component's settings.
///
/// # Errors
///
/// If one is missing or cannot be used.
pub fn read(own: &GatewaySettings) -> anyhow::Result<Settings> {
    Settings::read(|name| own.get(name).map(ToString::to_string))
        .map_err(|wrong| anyhow!("the settings cannot be used: {}", wrong.join("; ")))
}

/// The state directory, and these settings with what a gateway would add from it.
///
/// # Errors
///
/// As the gateway's start.
pub fn complete(
    directory: &Path,
    given: GatewaySettings,
) -> anyhow::Result<(StateDirectory, GatewaySettings)> {
    let state = StateDirectory::open(directory)?;
    let store = state.store();
    let in_use = store.exists().then(|| store.display().to_string());
    let settings = state.lock()?.complete(given, in_use)?;
    Ok((state, settings))
}
