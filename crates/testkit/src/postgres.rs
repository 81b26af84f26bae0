//! PostgreSQL servers for tests, alone or with standbys. Each has its own directory and port, so
//! that tests never share one.

mod installation;
mod pgbouncer;
mod processes;

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::process::{Process, free_port};
use installation::{Installation, output, run};
pub use pgbouncer::PgBouncer;

/// How long a start, an end or a standby may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How a server knows its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// Not at all.
    Trust,
    /// By SCRAM-SHA-256, with [`PostgresServer::PASSWORD`].
    Scram,
}

/// A running PostgreSQL server. It is ended when this is dropped, and its directory removed.
///
/// It listens on a port of the loopback address and on a Unix socket. Where tests run as root it
/// runs as the user `postgres`.
#[derive(Debug)]
pub struct PostgresServer {
    installation: Installation,
    authentication: Authentication,
    port: u16,
    options: Vec<String>,
    /// `None` while it is down.
    postmaster: Option<Process>,
    directory: TempDir,
}

impl PostgresServer {
    /// The user that tests connect as, a superuser; also the name of the database.
    pub const USER: &str = "postgres";
    /// That user's password.
    pub const PASSWORD: &str = "test-password";

    /// Starts a new server with more settings, `name=value`. Each commit is on the disk before its
    /// answer.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn start(authentication: Authentication, options: &[&str]) -> anyhow::Result<Self> {
        let mut server = Self::new(authentication, options)?;
        let directory = server.directory.path();
        server.installation.initialize(directory, Self::PASSWORD)?;
        server.write_access_rules()?;
        server.restart()?;
        Ok(server)
    }

    /// Starts a standby with a copy of what `primary` has, which streams from then on. It has a
    /// replication slot, and is known to the primary by its [`name`](Self::name).
    ///
    /// # Errors
    ///
    /// If the copy cannot be made, or the standby does not start.
    pub fn standby_of(primary: &Self, options: &[&str]) -> anyhow::Result<Self> {
        let mut server = Self::new(primary.authentication, options)?;
        let from = format!(
            "host=127.0.0.1 port={} user={} password={} application_name={}",
            primary.port,
            Self::USER,
            Self::PASSWORD,
            server.name()
        );
        run(server
            .installation
            .command("pg_basebackup", server.directory.path())
            .args(["--pgdata", "data", "--dbname", &from])
            .args(["--write-recovery-conf", "--wal-method", "stream"])
            .args(["--create-slot", "--slot", &server.name()])
            .args(["--checkpoint", "fast", "--no-sync"]))?;
        server.restart()?;
        Ok(server)
    }

    fn new(authentication: Authentication, options: &[&str]) -> anyhow::Result<Self> {
        let installation = Installation::find()?;
        Ok(Self {
            directory: installation.directory()?,
            installation,
            authentication,
            port: free_port()?,
            options: options.iter().map(|&option| option.into()).collect(),
            postmaster: None,
        })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of its Unix socket, which has the port in its name, as clients expect it.
    pub fn socket_directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its URL, on the loopback address.
    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// As [`url`](Self::url), with something between: what listens on another port.
    pub fn url_at(&self, port: u16) -> String {
        let user = Self::USER;
        let password = match self.authentication {
            Authentication::Trust => String::new(),
            Authentication::Scram => format!(":{}", Self::PASSWORD),
        };
        format!("postgres://{user}{password}@127.0.0.1:{port}/{user}")
    }

    /// Its name as a standby, for `synchronous_standby_names`.
    pub fn name(&self) -> String {
        format!("standby_{}", self.port)
    }

    /// The file that it logs to.
    pub fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Writes a file that only this server's user reads, such as a certificate's key.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write_file(&self, name: &str, content: &[u8]) -> anyhow::Result<PathBuf> {
        let path = self.directory.path().join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        self.installation.give(&path)?;
        Ok(path)
    }

    /// What it answers to a query: a line for each row, `|` between columns.
    ///
    /// # Errors
    ///
    /// If it does not answer, or with an error.
    pub fn query(&self, sql: &str) -> anyhow::Result<String> {
        output(
            self.client("psql")
                .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
                .args(["--set", "ON_ERROR_STOP=1", "--command", sql]),
        )
    }

    /// Changes a setting of the running server and of its later starts. It takes effect soon.
    ///
    /// # Errors
    ///
    /// If the server refuses it.
    pub fn set(&self, name: &str, value: &str) -> anyhow::Result<()> {
        self.query(&format!("ALTER SYSTEM SET {name} = '{value}'"))?;
        self.query("SELECT pg_reload_conf()").map(drop)
    }

    /// Makes each commit wait for `standby`, and waits until that has caught up.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub fn wait_for_synchronous(&self, standby: &Self) -> anyhow::Result<()> {
        let name = standby.name();
        self.set("synchronous_standby_names", &name)?;
        let state = format!(
            "SELECT count(*) FROM pg_stat_replication WHERE application_name = '{name}' \
             AND state = 'streaming' AND sync_state = 'sync'"
        );
        wait("the standby is not synchronous", || {
            Ok(self.query(&state)? == "1")
        })
    }

    /// Makes a primary of a standby, and waits until it is one.
    ///
    /// # Errors
    ///
    /// If it does not become one.
    pub fn promote(&self) -> anyhow::Result<()> {
        let promoted = self.query("SELECT pg_promote()")?;
        ensure!(promoted == "t", "the standby was not promoted");
        Ok(())
    }

    /// Kills all its processes with SIGKILL, as a crash of PostgreSQL does. What it had written
    /// stays.
    ///
    /// # Errors
    ///
    /// If it had ended by itself.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let mut postmaster = self.postmaster.take().context("PostgreSQL is down")?;
        processes::kill(&mut postmaster)?;
        // Line 7 of this file: the key and the number of shared memory, a few bytes, that a killed
        // server leaves behind.
        let file = fs::read_to_string(self.directory.path().join("data/postmaster.pid"))?;
        if let Some(id) = file
            .lines()
            .nth(6)
            .and_then(|it| it.split_whitespace().nth(1))
        {
            run(Command::new("ipcrm").args(["-m", id]))?;
        }
        Ok(())
    }

    /// Stops all its processes with SIGSTOP: its connections stay open, and nothing is answered.
    ///
    /// # Errors
    ///
    /// If it is not running.
    pub fn stall(&self) -> anyhow::Result<()> {
        processes::stall(self.postmaster()?)
    }

    /// Lets it go on after [`stall`](Self::stall).
    ///
    /// # Errors
    ///
    /// If it is not running.
    pub fn resume(&self) -> anyhow::Result<()> {
        processes::resume(self.postmaster()?)
    }

    /// Ends it as an operator does: its clients are told.
    ///
    /// # Errors
    ///
    /// If it does not end.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.end("INT")
    }

    /// Starts it again with the data that it has kept. Does not wait until it is ready.
    ///
    /// # Errors
    ///
    /// If it cannot be run.
    pub fn respawn(&mut self) -> anyhow::Result<()> {
        let directory = self.directory.path();
        let log = File::options().create(true).append(true).open(self.log())?;
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            format!("unix_socket_directories={}", directory.display()),
            "shared_buffers=16MB".to_owned(),
            // In the data directory: a killed server leaves nothing in the system's memory.
            "dynamic_shared_memory_type=mmap".to_owned(),
        ];
        let mut command = self.installation.command("postgres", directory);
        command.args(["-D", "data"]).stderr(log);
        for setting in settings.iter().chain(&self.options) {
            command.args(["-c", setting]);
        }
        self.postmaster = Some(Process::spawn(&mut command)?);
        Ok(())
    }

    /// Starts it again with the data that it has kept, and waits until it answers.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.respawn()?;
        self.wait_until_ready()
    }

    /// Waits until it answers queries.
    ///
    /// # Errors
    ///
    /// If it ends, or does not in time.
    pub fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let log = self.log();
        let last_line = || {
            let log = fs::read_to_string(&log).unwrap_or_default();
            log.lines().last().unwrap_or_default().to_owned()
        };
        wait("PostgreSQL does not answer", || {
            let postmaster = self.postmaster.as_mut().context("PostgreSQL is down")?;
            ensure!(
                !postmaster.has_ended()?,
                "PostgreSQL ended: {}",
                last_line()
            );
            Ok(self.query("SELECT 1").is_ok())
        })
    }

    fn postmaster(&self) -> anyhow::Result<&Process> {
        self.postmaster.as_ref().context("PostgreSQL is down")
    }

    fn end(&mut self, signal: &str) -> anyhow::Result<()> {
        let mut postmaster = self.postmaster.take().context("PostgreSQL is down")?;
        postmaster.signal(signal)?;
        wait("PostgreSQL does not end", || postmaster.has_ended())
    }

    /// One of PostgreSQL's programs, as a client of this server.
    fn client(&self, program: &str) -> Command {
        let mut command = self.installation.command(program, self.directory.path());
        command
            .env("PGHOST", self.directory.path())
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", Self::USER)
            .env("PGDATABASE", Self::USER)
            .env("PGPASSWORD", Self::PASSWORD)
            .env("PGCONNECT_TIMEOUT", "10");
        command
    }

    fn write_access_rules(&self) -> anyhow::Result<()> {
        let method = match self.authentication {
            Authentication::Trust => "trust",
            Authentication::Scram => "scram-sha-256",
        };
        let rules = ["all", "replication"].map(|database| {
            format!(
                "local {database} all {method}\n\
                 host {database} all 127.0.0.1/32 {method}\n"
            )
        });
        self.write_file("data/pg_hba.conf", rules.concat().as_bytes())?;
        Ok(())
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // At once, but so that it frees what it shares with its children.
        let _ = self.resume();
        let _ = self.end("QUIT");
    }
}

/// Asks until the answer is yes.
fn wait(or: &str, mut is_done: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let start = Instant::now();
    while !is_done()? {
        ensure!(start.elapsed() < TIMEOUT, "{or}");
        sleep(Duration::from_millis(10));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
