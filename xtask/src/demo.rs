//! `cargo xtask demo`: a domain at work, for someone who has never seen one.

use std::{
    io::{BufRead, BufReader, Lines},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    native::{self, Programs},
    process, serve,
    workspace::Workspace,
};

/// Serves in a temporary directory, and plays the life of two devices in one domain.
pub fn run(workspace: &Workspace) -> Result<()> {
    println!("Building what changed (the first time takes some minutes).");
    let (component, programs) = serve::build(workspace)?;

    let temporary = Temporary::new()?;
    say("A gateway starts on a free port, and makes a domain CA of its own.");
    let gateway = Gateway::start(&programs, &component.path, &temporary.0)?;
    println!("    listening on http://{}", gateway.address);
    let demo = Demo {
        programs: &programs,
        directory: &temporary.0,
        url: format!(
            "http://{}/flashaccess/domainserver/living-room/",
            gateway.address
        ),
    };
    println!("    With --trace, devices show what they send (>) and receive (<).");

    say("A television joins the domain `living-room`. The domain is made, and key version 1.");
    demo.device("television", &["join", &demo.url])?;
    say("A telephone joins, too. It gets the same key, encrypted to its own.");
    demo.device("telephone", &["join", &demo.url])?;
    say("The television asks whether it may leave. That changes nothing.");
    demo.device("television", &["leave", &demo.url, "--preview"])?;
    say("It leaves: asks again, deletes its credentials, then is removed. A new key is now due.");
    demo.device("television", &["leave", &demo.url])?;
    say("It joins again: key version 2 is made, which it would not have, had it stayed away.");
    demo.device("television", &["join", &demo.url])?;
    say("The telephone joins again, and so gets the new key.");
    demo.device("telephone", &["join", &demo.url])?;
    say("What each device holds: is the chain to the domain CA right, does each private key fit?");
    demo.device("television", &["verify"])?;
    demo.device("telephone", &["verify"])?;

    drop(gateway);
    drop(temporary);
    say("Done; the gateway has ended and the temporary directory is gone.");
    println!("To keep one running: cargo xtask serve");
    Ok(())
}

/// A line of the story.
fn say(text: &str) {
    println!("\n# {text}");
}

struct Demo<'a> {
    programs: &'a Programs,
    directory: &'a Path,
    url: String,
}

impl Demo<'_> {
    /// Runs the device's command for the device called `name`, which must succeed.
    fn device(&self, name: &str, arguments: &[&str]) -> Result<()> {
        println!(
            "$ domain-device --trace --dir {name} {}",
            arguments.join(" ")
        );
        let mut command = Command::new(&self.programs.device);
        for variable in ["DOMAIN_DEVICE_DIR", "DOMAIN_DEVICE_TOKEN"] {
            command.env_remove(variable);
        }
        process::run(
            command
                .args(["--trace", "--dir"])
                .arg(self.directory.join(name))
                .args(arguments)
                .stderr(std::io::stdout()),
        )
    }
}

/// A running gateway, which is killed if the demo ends without stopping it.
struct Gateway {
    process: Child,
    address: SocketAddr,
    /// Kept open: a gateway that prints more must not fail at it.
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Gateway {
    /// Starts it with a state directory under `directory`, and waits until it can serve.
    fn start(programs: &Programs, component: &Path, directory: &Path) -> Result<Self> {
        let mut command = Command::new(&programs.gateway);
        native::forget_settings(&mut command);
        command
            .args(["--listen", "127.0.0.1:0", "--log", "warn", "--component"])
            .arg(component)
            .arg("--state")
            .arg(directory.join("state"))
            .stdout(Stdio::piped());
        let mut process = command.spawn().context("cannot start the gateway")?;
        let stdout = process.stdout.take().context("the gateway has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        for line in lines.by_ref().map_while(Result::ok) {
            if let Some(address) = line.strip_prefix("listening on http://") {
                let address = address.trim_end_matches('/').parse();
                return Ok(Self {
                    process,
                    address: address.with_context(|| format!("the gateway says {line:?}"))?,
                    _stdout: lines,
                });
            }
        }
        bail!(
            "the gateway ended before it could serve ({})",
            process.wait()?
        )
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Its state is thrown away, so there is nothing to end in order.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A directory for this demo alone, and for its owner's eyes, removed at the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Result<Self> {
        let name = format!("anonymous-domains-demo-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(Self(directory))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
