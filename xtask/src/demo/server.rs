//! What a demo starts, and the directory that it has for itself.

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    native::{self, Programs},
    process,
};

/// A running server, which is killed if the demo ends without stopping it.
pub struct Server {
    process: Child,
    /// Without a slash at the end.
    pub url: String,
    /// Kept open: a server that prints more must not fail at it.
    _stdout: Lines<BufReader<ChildStdout>>,
}

/// Starts a gateway with a state directory under `directory` and more settings than the usual ones.
pub fn start_gateway(
    programs: &Programs,
    component: &Path,
    directory: &Path,
    settings: &[&str],
) -> Result<Server> {
    let mut command = Command::new(&programs.gateway);
    native::forget_settings(&mut command);
    command
        .args(["--listen", "127.0.0.1:0", "--log", "warn", "--component"])
        .arg(component)
        .arg("--state")
        .arg(directory.join("state"));
    for setting in settings {
        command.args(["--set", setting]);
    }
    Server::start(command)
}

impl Server {
    /// Starts a server, and waits until it says where it listens.
    ///
    /// # Errors
    /// When it cannot be started, or ends before that.
    pub fn start(mut command: Command) -> Result<Self> {
        let shown = process::shown(&command);
        let mut process = command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{shown}`"))?;
        let stdout = process.stdout.take().context("it has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        for line in lines.by_ref().map_while(Result::ok) {
            let mut words = line.split([' ', '(', ')']);
            if let Some(url) = words.find(|word| word.starts_with("http://")) {
                return Ok(Self {
                    process,
                    url: url.trim_end_matches('/').to_owned(),
                    _stdout: lines,
                });
            }
        }
        bail!(
            "`{shown}` ended before it could serve ({})",
            process.wait()?
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its state is thrown away, so there is nothing to end in order.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes a directory for its owner's eyes.
///
/// # Errors
/// When it is there, or cannot be made.
pub fn make_private(directory: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(directory)
        .with_context(|| format!("cannot make {}", directory.display()))
}

/// A directory for this demo alone, and for its owner's eyes, removed at the end.
pub struct Temporary(pub PathBuf);

impl Temporary {
    /// Makes it, in place of what an earlier demo may have left there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(directory: PathBuf) -> Result<Self> {
        if directory.exists() {
            fs::remove_dir_all(&directory)
                .with_context(|| format!("cannot remove {}", directory.display()))?;
        }
        make_private(&directory)?;
        Ok(Self(directory))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
