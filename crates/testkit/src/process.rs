//! Child processes of a test.

use std::{
    net::TcpListener,
    process::{Child, ChildStdout, Command},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

/// A child process. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// If the program cannot be run.
    pub fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        Ok(Self(child))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Its standard output, if that is a pipe and was not taken before.
    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.0.stdout.take()
    }

    /// Whether it has ended.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// If it had ended by itself.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.0.try_wait()? {
            bail!("the process had ended by itself ({status})");
        }
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    /// Asks it to end, with SIGTERM, and waits until it has ended with status 0.
    ///
    /// # Errors
    ///
    /// If it does not end within `patience`, or with another status.
    pub fn terminate(&mut self, patience: Duration) -> anyhow::Result<()> {
        self.signal("TERM")?;
        let start = Instant::now();
        while start.elapsed() < patience {
            if let Some(status) = self.0.try_wait()? {
                ensure!(status.success(), "after SIGTERM: {status}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("the process has not ended within {patience:?} of SIGTERM")
    }

    /// Sends a signal by name, such as `STOP`.
    ///
    /// # Errors
    ///
    /// If it cannot be sent.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let status = Command::new("kill")
            .args(["-s", name, &self.id().to_string()])
            .status()
            .context("cannot run kill")?;
        ensure!(status.success(), "kill -s {name}: {status}");
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that is free now, and probably will be later: below the ports that systems give to
/// outgoing connections, so that none of these takes it in the meantime.
///
/// # Errors
///
/// If no port is free.
pub fn free_port() -> anyhow::Result<u16> {
    for _ in 0..1000 {
        let mut bytes = [0; 2];
        getrandom::fill(&mut bytes).context("the system has no random numbers")?;
        let port = 15_000 + u16::from_be_bytes(bytes) % 15_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free")
}
