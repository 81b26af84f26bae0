//! `cargo xtask demo`: a domain at work, for someone who has never seen one.

mod browser;
mod server;

pub use browser::run as run_in_browser;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use server::{Server, Temporary, make_private, start_gateway};

use crate::{native::Programs, needs, process, python, serve, workspace::Workspace};

/// Serves in a temporary directory, and plays the life of two devices in one domain, for which a
/// licence server packages films.
pub fn run(workspace: &Workspace) -> Result<()> {
    needs::provide(workspace, &Vec::from_iter(python::missing()))?;
    println!("Building what changed (the first time takes some minutes).");
    let (component, programs) = serve::build(workspace)?;

    let example = workspace.root.join("examples/licence-server");
    let python = python::environment(
        workspace,
        "python-demo",
        &[&example.join("requirements.txt")],
    )
    .context("cannot prepare the licence server's Python")?;

    let name = format!("anonymous-domains-demo-{}", std::process::id());
    let temporary = Temporary::new(std::env::temp_dir().join(name))?;
    say("A gateway starts on a free port, and makes a domain CA of its own.");
    let gateway = start_gateway(&programs, &component.path, &temporary.0, &[])?;
    println!("    listening on {}", gateway.url);
    println!("    With --trace, devices show what they send (>) and receive (<).");
    let demo = Demo {
        programs: &programs,
        directory: &temporary.0,
        server: gateway.url.clone(),
        domain: format!("{}/flashaccess/domainserver/living-room/", gateway.url),
        example,
        python,
    };

    say("A television joins the domain `living-room`. The domain is made, and key version 1.");
    demo.device("television", &["join", &demo.domain])?;
    say("A telephone joins, too. It gets the same key, encrypted to its own.");
    demo.device("telephone", &["join", &demo.domain])?;
    say("A licence server trusts the domain CA. It packages a film for the domain's newest key.");
    let licences = demo.start_licence_server()?;
    let film = demo.package(&licences, "film-1", "The first film")?;
    say("Both devices play it.");
    demo.plays("television", &film)?;
    demo.plays("telephone", &film)?;

    say("The television asks whether it may leave. That changes nothing.");
    demo.device("television", &["leave", &demo.domain, "--preview"])?;
    say("Somebody copies all that the television knows, to play for ever.");
    copy_directory(
        &demo.directory.join("television"),
        &demo.directory.join("copy"),
    )?;
    say("It leaves: asks again, deletes its credentials, then is removed. A new key is now due.");
    demo.device("television", &["leave", &demo.domain])?;
    say("It has nothing left to play with.");
    demo.is_refused("television", &film)?;
    say("The telephone asks again. It is the first after the departure: key version 2 is made.");
    demo.device("telephone", &["join", &demo.domain])?;

    say("The next film is packaged for key version 2.");
    let next = demo.package(&licences, "film-2", "The second film")?;
    say("The telephone plays both films.");
    demo.plays("telephone", &film)?;
    demo.plays("telephone", &next)?;
    say("The copy plays what it could play before, and nothing that came after.");
    demo.plays("copy", &film)?;
    demo.is_refused("copy", &next)?;
    say(
        "What the telephone holds: is the chain to the domain CA right, does each private key fit?",
    );
    demo.device("telephone", &["verify"])?;

    drop(licences);
    drop(gateway);
    drop(temporary);
    say("Done; the servers have ended and the temporary directory is gone.");
    println!(
        "In a browser: cargo xtask demo --browser. To keep a server running: cargo xtask serve"
    );
    Ok(())
}

/// A line of the story.
fn say(text: &str) {
    println!("\n# {text}");
}

struct Demo<'a> {
    programs: &'a Programs,
    directory: &'a Path,
    /// The gateway's URL.
    server: String,
    /// The domain server URL.
    domain: String,
    /// The directory with the licence server and its player.
    example: PathBuf,
    /// With what these need.
    python: PathBuf,
}

impl Demo<'_> {
    /// Runs the device's command for the device called `name`, which must succeed.
    fn device(&self, name: &str, arguments: &[&str]) -> Result<()> {
        println!(
            "$ domain-device --trace --dir {name} {}",
            arguments.join(" ")
        );
        let mut command = Command::new(&self.programs.device);
        forget_device(&mut command);
        process::run(
            command
                .args(["--trace", "--dir"])
                .arg(self.directory.join(name))
                .args(arguments)
                .stderr(std::io::stdout()),
        )
    }

    fn start_licence_server(&self) -> Result<Server> {
        let ca = self.directory.join("state/ca.pem");
        let server = &self.server;
        println!("$ python licence_server.py --ca state/ca.pem --domain-server {server}");
        let mut command = Command::new(&self.python);
        command
            .arg(self.example.join("licence_server.py"))
            .args(["--listen", "127.0.0.1:0", "--domain-server", server, "--ca"])
            .arg(ca);
        Server::start(command)
    }

    /// Has a film packaged for the domain. Returns the URL of what came of it.
    fn package(&self, licences: &Server, name: &str, film: &str) -> Result<String> {
        let content = format!("{}/content/{name}", licences.url);
        let domain = self.domain.trim_end_matches('/');
        println!("$ curl -X PUT --data-binary '{film}' '{content}?domain={domain}'");
        let put = "import sys, urllib.request as r; \
            q = r.Request(sys.argv[1], sys.argv[2].encode(), method='PUT'); \
            print('   ', r.urlopen(q).read().decode().strip())";
        let url = format!("{content}?domain={domain}");
        process::run(Command::new(&self.python).args(["-c", put, &url, film]))?;
        Ok(content)
    }

    fn player(&self, name: &str, content: &str) -> Command {
        println!("$ python player.py {content} --device {name}");
        let mut command = Command::new(&self.python);
        forget_device(&mut command);
        command
            .arg(self.example.join("player.py"))
            .args([content, "--device"])
            .arg(self.directory.join(name))
            .arg("--domain-device")
            .arg(&self.programs.device);
        command
    }

    /// A device plays what was packaged.
    fn plays(&self, name: &str, content: &str) -> Result<()> {
        let played = process::output(&mut self.player(name, content))?;
        println!("    {name} plays: {played}");
        Ok(())
    }

    /// A device cannot play it.
    fn is_refused(&self, name: &str, content: &str) -> Result<()> {
        let output = self.player(name, content).output()?;
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            println!("    {line}");
        }
        if output.status.success() {
            bail!("{name} plays {content}, which it must not be able to");
        }
        Ok(())
    }
}

/// Takes a device's own settings out of the environment.
fn forget_device(command: &mut Command) {
    for variable in ["DOMAIN_DEVICE_DIR", "DOMAIN_DEVICE_TOKEN"] {
        command.env_remove(variable);
    }
}

/// Copies a directory and what is in it.
fn copy_directory(from: &Path, to: &Path) -> Result<()> {
    make_private(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &copy)?;
        } else {
            fs::copy(entry.path(), copy)?;
        }
    }
    Ok(())
}
