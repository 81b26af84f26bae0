//! A real Redis or Valkey for a test: in a directory of its own, behind a Unix socket, so that
//! tests never meet each other's.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

use super::{Address, Credentials, RedisStore};

/// How long anything may take before a test gives up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A running server. Dropping it kills it.
pub(crate) struct RedisServer {
    pub directory: TempDir,
    options: Vec<String>,
    child: Child,
}

impl RedisServer {
    /// Starts one that keeps what it answers, with more options, as in `--requirepass`, `x`.
    pub fn start(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self::try_start(directory, options).expect("the Redis server ended")
    }

    /// Starts one in a directory that may hold what its options name; `None` if it ends at once.
    pub fn try_start(directory: TempDir, options: &[&str]) -> Option<Self> {
        let options: Vec<_> = options.iter().map(|&option| option.into()).collect();
        let child = spawn(directory.path(), &options);
        let mut server = Self {
            directory,
            options,
            child,
        };
        server.answers_in_the_end().then_some(server)
    }

    fn answers_in_the_end(&mut self) -> bool {
        let start = Instant::now();
        while !answers(&self.socket()) {
            if self.child.try_wait().expect("a child").is_some() {
                return false;
            }
            assert!(
                start.elapsed() < DEADLINE,
                "the Redis server does not answer"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// Its URL, with database 0 and no user.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// A store on it.
    pub async fn store(&self) -> RedisStore {
        let address = Address::new(&self.url(), Credentials::default()).expect("an address");
        RedisStore::connect(&address, DEADLINE)
            .await
            .expect("a store")
    }

    /// A plain connection to it.
    pub async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url()).expect("a client");
        let connection = client.get_multiplexed_async_connection().await;
        connection.expect("a connection")
    }

    /// Ends it by SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("a signal");
        self.child.wait().expect("its end");
    }

    /// Starts it again on what it has kept, with yet more options, and waits for nothing.
    pub fn respawn(&mut self, options: &[&str]) {
        let more = options.iter().map(|&option| option.into());
        let options: Vec<_> = self.options.iter().cloned().chain(more).collect();
        self.child = spawn(self.directory.path(), &options);
    }

    /// Starts it again on what it has kept.
    pub fn restart(&mut self) {
        self.respawn(&[]);
        assert!(self.answers_in_the_end(), "the Redis server ended");
    }

    /// Sends a signal by name, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let signalled = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(signalled.expect("the command kill").success());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server's program on this machine.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .flat_map(|directory| ["redis-server", "valkey-server"].map(|name| directory.join(name)))
        .find(|program| program.is_file())
        .expect(
            "neither redis-server nor valkey-server is on the PATH, and these tests need one \
             (on Debian: apt-get install --no-install-recommends redis-server)",
        )
}

fn spawn(directory: &Path, options: &[String]) -> Child {
    Command::new(program())
        .current_dir(directory)
        .args(["--port", "0", "--unixsocket", "socket"])
        .args(["--appendonly", "yes", "--appendfsync", "always"])
        .args(["--save", "", "--loglevel", "warning"])
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("a Redis server")
}

/// Whether it serves, or would if it were given a password.
fn answers(socket: &Path) -> bool {
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
