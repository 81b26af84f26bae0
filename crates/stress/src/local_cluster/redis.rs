//! A redis-server that keeps what it answered.

use super::gateway::free_port;
use anyhow::{Context as _, bail};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// How long it may take to start.
const START: Duration = Duration::from_secs(30);

/// A running redis-server, which ends when this is dropped.
pub struct Redis {
    port: u16,
    _child: Child,
}

impl Redis {
    /// Starts `redis-server` from PATH with its data in `directory`. Each write is on the disk
    /// before its answer.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn start(directory: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir(directory)?;
        let port = free_port()?;
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .args(["--save", "", "--dir"])
            .arg(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("cannot run redis-server")?;
        let redis = Self {
            port,
            _child: child,
        };
        let begun = Instant::now();
        while redis.ping().await.is_err() {
            if begun.elapsed() > START {
                bail!("redis-server did not start");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(redis)
    }

    /// Its first database.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    async fn ping(&self) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(b"PING\r\n").await?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await?;
        anyhow::ensure!(&answer == b"+PONG", "it is not ready");
        Ok(())
    }
}
