//! The Redis server that tests start for themselves, each its own.

use anyhow::{Result, bail};

use crate::{debian, process};

const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// Makes sure that one is on the PATH; on a Debian, as root, by installing it.
///
/// # Errors
/// When there is none and it cannot be installed.
pub fn provide() -> Result<()> {
    if is_installed() {
        return Ok(());
    }
    if debian::can_install() {
        eprintln!("The tests need a Redis server; installing Debian's redis-server.");
        debian::install(&["redis-server"])?;
        if is_installed() {
            return Ok(());
        }
    }
    bail!(
        "the tests need redis-server or valkey-server on the PATH \
         (on Debian: apt-get install --no-install-recommends redis-server)"
    )
}

fn is_installed() -> bool {
    PROGRAMS.into_iter().any(process::is_installed)
}
