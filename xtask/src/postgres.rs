//! The PostgreSQL servers, and the pooler, that tests start for themselves, each its own.

use std::fs;

use crate::{needs::Need, process};

/// Where Debian keeps its programs, in a directory for each version, and not on the PATH.
const DEBIAN: &str = "/usr/lib/postgresql";

/// What is missing for the tests that need them.
pub fn missing() -> impl Iterator<Item = Need> {
    let server = (!is_server_installed()).then(|| Need {
        what: "PostgreSQL's server, which tests start".to_owned(),
        packages: vec!["postgresql"],
    });
    let pooler = (!process::is_installed("pgbouncer")).then(|| Need {
        what: "pgbouncer, which tests start in front of it".to_owned(),
        packages: vec!["pgbouncer"],
    });
    server.into_iter().chain(pooler)
}

fn is_server_installed() -> bool {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    process::is_installed("postgres")
        || versions
            .map(|version| version.path().join("bin/postgres"))
            .any(|program| program.is_file())
}
