//! The servers that are measured: processes that are started, awaited, and killed at the end.

use std::{
    ffi::OsString,
    fs::File,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anonymous_domains_gateway::engine::{P2, PORTABLE, WIDE};
use anonymous_domains_testkit::{Gateway, Process, free_port};
use anyhow::{Context as _, bail};

/// How long a server may take to start; a host without a cache compiles the component first.
const START_TIMEOUT: Duration = Duration::from_secs(300);

/// A running server. It is killed when this is dropped.
pub struct Server {
    process: Process,
    /// `http://ADDRESS:PORT`.
    pub origin: String,
    /// The time from its start to its first answer.
    pub start: Duration,
}

/// Sizes of a process in memory, in kB.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Its current size.
    pub now: u64,
    /// Its largest size so far.
    pub peak: u64,
}

impl Server {
    /// The URL of a domain, without the slash at its end.
    pub fn domain(&self, name: &str) -> String {
        format!("{}/flashaccess/domainserver/{name}", self.origin)
    }

    /// The process's resident memory.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.with_context(|| format!("no {name} of the process"))
        };
        Ok(Memory {
            now: value("VmRSS:")?,
            peak: value("VmHWM:")?,
        })
    }
}

/// The programs that are measured.
pub struct Programs {
    /// The gateway.
    pub gateway: PathBuf,
    /// The directory with the component's builds.
    pub components: PathBuf,
    /// Spin, if it is to be measured.
    pub spin: Option<PathBuf>,
    /// The directory with spin.toml and spin-p3.toml.
    pub manifests: PathBuf,
}

/// The build of the component for a gateway.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// With WebAssembly's wide arithmetic.
    Wide,
    /// For any host with WASI 0.3.
    Portable,
    /// For any host with WASI 0.2.
    P2,
}

impl Build {
    /// Its file in the directory of builds.
    pub fn file(self, components: &Path) -> PathBuf {
        components.join(match self {
            Self::Wide => WIDE,
            Self::Portable => PORTABLE,
            Self::P2 => P2,
        })
    }
}

impl Programs {
    /// Starts a gateway with more arguments.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn gateway(&self, build: Build, state: &Path, further: &[&str]) -> anyhow::Result<Server> {
        let mut command = Gateway::command(&self.gateway, &build.file(&self.components), state);
        command.args(["--listen", "127.0.0.1:0"]).args(further);
        start_and_ask(command)
    }

    /// Starts the component's crate without the sandbox: this program itself.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn native(&self, state: &Path) -> anyhow::Result<Server> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["native", "--state"]).arg(state);
        start_and_ask(command)
    }

    /// Starts Spin with a build, as spin.toml or spin-p3.toml has it, and its own SQLite store.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn spin(&self, program: &Path, build: Build, state: &Path) -> anyhow::Result<Server> {
        let (manifest, built) = match build {
            Build::P2 => ("spin.toml", "target/p2/wasm32-wasip2/component"),
            _ => ("spin-p3.toml", "target/wasm32-wasip2/component"),
        };
        let manifest = std::fs::read_to_string(self.manifests.join(manifest))?.replace(
            &format!("{built}/anonymous_domains.wasm"),
            &build.file(&self.components).display().to_string(),
        );
        let manifest_file = state.join("spin.toml");
        std::fs::write(&manifest_file, manifest)?;
        let port = free_port()?;
        let variable = |name: &str, file: &str| -> [OsString; 2] {
            let file = state.join(file);
            [
                "--variable".into(),
                format!("{name}=@{}", file.display()).into(),
            ]
        };
        let log = File::create(state.join("spin.log"))?;
        let mut command = Command::new(program);
        command
            .args(["up", "--quiet", "--from"])
            .arg(&manifest_file)
            .arg("--state-dir")
            .arg(state.join("spin"))
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(variable("ca_certificate", "ca.pem"))
            .args(variable("ca_private_key", "ca-key.pem"))
            .args(variable("key_encryption_key", "key-encryption-key"))
            .stdout(log.try_clone()?)
            .stderr(log);
        start_at(command, port, "/healthz")
    }
}

/// Starts a server that prints where it listens, and asks for its health.
fn start_and_ask(command: Command) -> anyhow::Result<Server> {
    let began = Instant::now();
    let program = command.get_program().display().to_string();
    let Gateway { process, origin } = Gateway::start(command)?;
    let address = origin.strip_prefix("http://").unwrap_or_default().parse();
    if !is_healthy(address?, "/healthz") {
        bail!("{program} is not healthy");
    }
    Ok(Server {
        process,
        origin,
        start: began.elapsed(),
    })
}

/// Starts a server that listens on `port`, and asks for `path` until it answers.
pub fn start_at(mut command: Command, port: u16, path: &str) -> anyhow::Result<Server> {
    let began = Instant::now();
    let mut process = Process::spawn(&mut command)?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    while !is_healthy(address, path) {
        if process.has_ended()? || began.elapsed() > START_TIMEOUT {
            bail!("{} did not start", command.get_program().display());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(Server {
        process,
        origin: format!("http://{address}"),
        start: began.elapsed(),
    })
}

/// Whether a GET gets an answer that is not a server error.
fn is_healthy(address: SocketAddr, path: &str) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(START_TIMEOUT))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| {
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        status.is_some_and(|status: u16| status < 500)
    })
}
