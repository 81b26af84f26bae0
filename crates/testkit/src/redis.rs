//! Redis servers for tests. Each listens on a Unix socket of its own, so that tests never share one.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

use crate::process::Process;

/// How long a start may take.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running Redis or Valkey server. It is killed when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    directory: PathBuf,
    options: Vec<String>,
    /// The server's process.
    pub process: Process,
}

impl RedisServer {
    /// Starts `redis-server` or `valkey-server` from PATH, with its data in `directory` and more
    /// options, such as `--requirepass`, `x`. Each write is on the disk before its answer.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn start(directory: &Path, options: &[&str]) -> anyhow::Result<Self> {
        Self::try_start(directory, options)?.context("the Redis server ended at its start")
    }

    /// Starts one as [`start`](Self::start) does; `None` if it ends at once.
    ///
    /// # Errors
    ///
    /// If it cannot be run, or does not answer.
    pub fn try_start(directory: &Path, options: &[&str]) -> anyhow::Result<Option<Self>> {
        let options: Vec<_> = options.iter().map(|&option| option.into()).collect();
        let mut server = Self {
            directory: directory.to_owned(),
            process: spawn(directory, &options)?,
            options,
        };
        Ok(server.wait_until_ready()?.then_some(server))
    }

    /// Whether it answers in the end, or ends itself.
    fn wait_until_ready(&mut self) -> anyhow::Result<bool> {
        let start = Instant::now();
        while !is_ready(&self.socket()) {
            if self.process.has_ended()? {
                return Ok(false);
            }
            ensure!(
                start.elapsed() < START_TIMEOUT,
                "the Redis server does not answer"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(true)
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    /// Its URL, with database 0 and no user.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Its answer to a command, of which no part has a space: a text or a number, or the lines of a
    /// list.
    ///
    /// # Errors
    ///
    /// If it does not answer, or with an error.
    pub fn ask(&self, command: &str) -> anyhow::Result<String> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(START_TIMEOUT))?;
        write!(stream, "{command}\r\n")?;
        answer(&mut BufReader::new(stream)).with_context(|| format!("the answer to {command}"))
    }

    /// Starts it again with the data that it has kept, and with more options. Does not wait until
    /// it is ready.
    ///
    /// # Errors
    ///
    /// If it cannot be run.
    pub fn respawn(&mut self, options: &[&str]) -> anyhow::Result<()> {
        let more = options.iter().map(|&option| option.into());
        let options: Vec<_> = self.options.iter().cloned().chain(more).collect();
        self.process = spawn(&self.directory, &options)?;
        Ok(())
    }

    /// Starts it again with the data that it has kept.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.respawn(&[])?;
        ensure!(self.wait_until_ready()?, "the Redis server ended");
        Ok(())
    }
}

/// The server's program on this machine.
fn program() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .flat_map(|directory| ["redis-server", "valkey-server"].map(|name| directory.join(name)))
        .find(|program| program.is_file())
        .context(
            "neither redis-server nor valkey-server is on the PATH \
             (on Debian: apt-get install --no-install-recommends redis-server)",
        )
}

fn spawn(directory: &Path, options: &[String]) -> anyhow::Result<Process> {
    Process::spawn(
        Command::new(program()?)
            .current_dir(directory)
            .args(["--port", "0", "--unixsocket", "socket"])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .args(["--save", "", "--loglevel", "warning"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null()),
    )
}

/// Reads an answer.
fn answer(stream: &mut BufReader<UnixStream>) -> anyhow::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let line = line.trim_end();
    ensure!(!line.is_empty(), "it ends");
    let (kind, rest) = line.split_at(1);
    Ok(match kind {
        "+" | ":" => rest.to_owned(),
        "$" if rest == "-1" => String::new(),
        "$" => {
            let mut text = vec![0; rest.parse::<usize>()? + 2];
            stream.read_exact(&mut text)?;
            text.truncate(text.len() - 2);
            String::from_utf8(text)?
        }
        "*" => {
            let items = (0..rest.parse()?).map(|_| answer(stream));
            items.collect::<anyhow::Result<Vec<_>>>()?.join("\n")
        }
        _ => bail!("{line}"),
    })
}

/// Whether it serves, or would if it were given a password.
fn is_ready(socket: &Path) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    ask().is_ok_and(|answer| answer.starts_with("+PONG") || answer.starts_with("-NOAUTH"))
}
