//! The Redis server that tests start for themselves, each its own.

use crate::{needs::Need, process};

const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// What is missing for the tests that need one.
pub fn missing() -> Option<Need> {
    let is_there = PROGRAMS.into_iter().any(process::is_installed);
    (!is_there).then(|| Need {
        what: "redis-server or valkey-server, which tests start".to_owned(),
        packages: vec!["redis-server"],
    })
}
