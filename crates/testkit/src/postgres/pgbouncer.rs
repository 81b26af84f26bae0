//! PgBouncer in front of a PostgreSQL server.

use std::{fs::File, path::PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

use super::{PostgresServer, wait};
use crate::process::{Process, free_port};

/// A running PgBouncer, in transaction mode: a client has another server connection in each
/// transaction. It is killed when this is dropped.
#[derive(Debug)]
pub struct PgBouncer {
    /// Its process.
    pub process: Process,
    port: u16,
    _directory: TempDir,
}

impl PgBouncer {
    /// Starts one in front of `server`, with more settings, `name=value`. It lets everyone in.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn start(server: &PostgresServer, settings: &[&str]) -> anyhow::Result<Self> {
        let directory = server.installation.directory()?;
        let port = free_port()?;
        let user = PostgresServer::USER;
        let password = PostgresServer::PASSWORD;
        let write = |name: &str, content: String| {
            let path = directory.path().join(name);
            std::fs::write(&path, content)?;
            server.installation.give(&path)
        };
        write("users", format!("\"{user}\" \"{password}\"\n"))?;
        write(
            "ini",
            format!(
                "[databases]\n* = host=127.0.0.1 port={} user={user}\n\
                 [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
                 unix_socket_dir =\nauth_type = trust\nauth_file = users\n\
                 pool_mode = transaction\n{}\n",
                server.port,
                settings.join("\n")
            ),
        )?;
        let log = File::create(directory.path().join("log"))?;
        let process = Process::spawn(
            server
                .installation
                .foreign_command(program()?, directory.path())
                .arg("ini")
                .stderr(log),
        )?;
        let bouncer = Self {
            process,
            port,
            _directory: directory,
        };
        wait("PgBouncer does not answer", || {
            let mut ask = server.client("psql");
            ask.env("PGHOST", "127.0.0.1")
                .env("PGPORT", port.to_string());
            let answer = ask
                .args(["--no-psqlrc", "--command", "SELECT 1"])
                .output()?;
            Ok(answer.status.success())
        })?;
        Ok(bouncer)
    }

    /// The port that it listens on, on the loopback address. See [`PostgresServer::url_at`].
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// The program, on the PATH or where Debian keeps servers, which users' PATH leaves out.
fn program() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|directory| directory.join("pgbouncer"))
        .find(|program| program.is_file())
        .context(
            "pgbouncer is not on the PATH \
             (on Debian: apt-get install --no-install-recommends pgbouncer)",
        )
}
