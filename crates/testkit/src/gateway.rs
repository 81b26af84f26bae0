//! Running gateways.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use anyhow::Context as _;

use crate::process::Process;

/// How long a start may take. The first one compiles the component.
const START_TIMEOUT: Duration = Duration::from_secs(300);

/// A gateway, or another server that prints its line when it is ready. It is killed when this is
/// dropped.
#[derive(Debug)]
pub struct Gateway {
    /// The process.
    pub process: Process,
    /// `http://ADDRESS:PORT`.
    pub origin: String,
}

impl Gateway {
    /// A command that serves `component` from the state directory `state`. It logs warnings, does not
    /// limit rates, because one program here is many clients, and ignores the settings in the caller's
    /// own environment.
    pub fn command(program: &Path, component: &Path, state: &Path) -> Command {
        let mut command = Self::limited_command(program, component, state);
        command.args(["--rate-limit-client", "off", "--rate-limit-domain", "off"]);
        command
    }

    /// As [`command`](Self::command), but with the gateway's own limits of rates.
    pub fn limited_command(program: &Path, component: &Path, state: &Path) -> Command {
        let mut command = Command::new(program);
        command.args(["--log", "warn", "--component"]);
        command.arg(component).arg("--state").arg(state);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ANONYMOUS_DOMAINS_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Starts a server, and waits until it prints `listening on ` and its origin.
    ///
    /// # Errors
    ///
    /// If it does not in time.
    pub fn start(mut command: Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Process::spawn(&mut command)?;
        let output = process.take_stdout().context("its output is piped")?;
        let (sender, first_line) = mpsc::channel();
        // Reading has no timeout. This thread ends at the latest when the process does.
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(output).read_line(&mut line);
            let _ = sender.send(line);
        });
        let line = first_line.recv_timeout(START_TIMEOUT).unwrap_or_default();
        let origin = line
            .trim()
            .strip_prefix("listening on ")
            .with_context(|| format!("{} did not start", command.get_program().display()))?
            .to_owned();
        Ok(Self { process, origin })
    }
}
