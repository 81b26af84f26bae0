//! One gateway's process.

use super::Setup;
use anyhow::{Context as _, bail};
use std::ffi::OsString;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// How long a gateway may take to start; the first time it compiles the component.
const START: Duration = Duration::from_secs(300);

/// A gateway that always listens on the same port.
pub struct Gateway {
    program: PathBuf,
    arguments: Vec<OsString>,
    port: u16,
    log: PathBuf,
    child: Option<Child>,
}

impl Gateway {
    /// A gateway on the state directory `state`, not started yet. What it logs is added to the file
    /// `log`.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub fn new(
        setup: &Setup,
        state: &Path,
        store: Option<&str>,
        log: PathBuf,
    ) -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut arguments: Vec<OsString> = vec![
            "--listen".into(),
            format!("127.0.0.1:{port}").into(),
            "--state".into(),
            state.into(),
            "--component".into(),
            setup.component.clone().into(),
            "--log".into(),
            "warn".into(),
        ];
        if let Some(store) = store {
            arguments.extend(["--store".into(), store.into()]);
        }
        for setting in &setup.settings {
            arguments.extend(["--set".into(), setting.into()]);
        }
        Ok(Self {
            program: setup.program.clone(),
            arguments,
            port,
            log,
            child: None,
        })
    }

    /// Its origin.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it, and waits until it says that it serves.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.program);
        // What a person has set for a real gateway is not for this one.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ANONYMOUS_DOMAINS_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        let output = child.stdout.take().context("its output was asked for")?;
        self.child = Some(child);
        let mut lines = BufReader::new(output).lines();
        let line = tokio::time::timeout(START, lines.next_line())
            .await
            .context("a gateway did not start in time")??;
        match line {
            Some(line) if line.starts_with("listening on ") => Ok(()),
            _ => {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                let last = log.lines().last().unwrap_or("it says nothing");
                bail!("a gateway did not start: {last}")
            }
        }
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// When it is not there to be killed: it ended by itself.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("the gateway was not started")?;
        if let Some(status) = child.try_wait()? {
            bail!("a gateway ended by itself ({status})");
        }
        child.kill().await?;
        Ok(())
    }
}

/// A port that is free now and will be when the gateway comes back: below those that systems give
/// to outgoing connections, one of which could take it meanwhile, or even connect to itself.
pub(super) fn free_port() -> anyhow::Result<u16> {
    for _ in 0..1000 {
        let mut bytes = [0; 2];
        getrandom::fill(&mut bytes).context("the system has no randomness")?;
        let port = 15_000 + u16::from_be_bytes(bytes) % 15_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free")
}
