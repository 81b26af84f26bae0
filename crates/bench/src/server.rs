//! The servers that are measured: processes that are started, waited for, and killed at the end.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anonymous_domains_gateway::engine::{PORTABLE, WIDE};
use anyhow::{Context as _, bail};

/// How long a server may take to start; a host without a cache compiles the component first.
const START: Duration = Duration::from_secs(300);

/// A server that runs, until this is dropped.
pub struct Server {
    child: Child,
    /// `http://ADDRESS:PORT`.
    pub origin: String,
    /// From its start to its first answer.
    pub start: Duration,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sizes of a process in memory, in kB.
#[derive(Clone, Copy)]
pub struct Memory {
    /// What it has now.
    pub now: u64,
    /// The most it has had.
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
    /// If the system does not tell.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
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
    /// Spin, where there is one.
    pub spin: Option<PathBuf>,
    /// The project's spin.toml.
    pub manifest: PathBuf,
}

/// The build of the component that a gateway is to take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// With WebAssembly's wide arithmetic.
    Wide,
    /// For any host.
    Portable,
}

impl Build {
    /// Its file in the directory of builds.
    pub fn file(self, components: &Path) -> PathBuf {
        components.join(match self {
            Self::Wide => WIDE,
            Self::Portable => PORTABLE,
        })
    }
}

impl Programs {
    /// A gateway with further arguments.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn gateway(&self, build: Build, state: &Path, further: &[&str]) -> anyhow::Result<Server> {
        let mut command = Command::new(&self.gateway);
        command
            .args(["--listen", "127.0.0.1:0", "--log", "warn", "--component"])
            .arg(build.file(&self.components))
            .arg("--state")
            .arg(state)
            .args(further);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ANONYMOUS_DOMAINS_") {
                command.env_remove(name);
            }
        }
        start_and_ask(command)
    }

    /// The component's crate without the sandbox: this program itself.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn native(&self, state: &Path) -> anyhow::Result<Server> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["native", "--state"]).arg(state);
        start_and_ask(command)
    }

    /// Spin with the portable build and its own SQLite store, where there is a Spin.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn spin(&self, state: &Path) -> anyhow::Result<Option<Server>> {
        let Some(program) = &self.spin else {
            return Ok(None);
        };
        let component = Build::Portable.file(&self.components);
        let manifest = std::fs::read_to_string(&self.manifest)?.replace(
            "target/wasm32-wasip2/component/anonymous_domains.wasm",
            &component.display().to_string(),
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
        start_at(command, port, "/healthz").map(Some)
    }
}

/// Starts a server that prints where it listens, and asks it for its health.
fn start_and_ask(mut command: Command) -> anyhow::Result<Server> {
    let began = Instant::now();
    command.stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    let mut server = Server {
        child,
        origin: line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_default()
            .to_owned(),
        start: Duration::ZERO,
    };
    let address = server.origin.strip_prefix("http://").unwrap_or_default();
    let address = address
        .parse()
        .with_context(|| format!("{} did not start", command.get_program().display()))?;
    if !is_well(address, "/healthz") {
        bail!("{} is not well", command.get_program().display());
    }
    server.start = began.elapsed();
    Ok(server)
}

/// Starts a server that listens on `port`, and asks `path` until it answers.
pub fn start_at(mut command: Command, port: u16, path: &str) -> anyhow::Result<Server> {
    let began = Instant::now();
    let child = command
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut server = Server {
        child,
        origin: format!("http://{address}"),
        start: Duration::ZERO,
    };
    while !is_well(address, path) {
        if server.child.try_wait()?.is_some() || began.elapsed() > START {
            bail!("{} did not start", command.get_program().display());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    server.start = began.elapsed();
    Ok(server)
}

/// A port that nobody listens on.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Whether a GET is answered with anything but an error of the server's.
fn is_well(address: SocketAddr, path: &str) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(START))?;
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
