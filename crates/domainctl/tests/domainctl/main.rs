//! The command against a small `/admin/v1` in this process: paging, preconditions, the token,
//! refusals, and the output for people and programs.

mod cells;
mod command;
mod lists;
mod rotation;
mod server;
mod settings;
mod terminal;
mod token;
mod transfers;

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use server::Server;

/// A server, and the command that runs it.
struct Shell {
    server: Server,
}

impl Shell {
    fn new() -> Self {
        Self {
            server: Server::start(),
        }
    }

    /// The command with only this server and its token in the environment.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_domainctl"));
        command
            .env_clear()
            .env("DOMAINCTL_SERVER", self.server.url())
            .env("DOMAINCTL_TOKEN", server::TOKEN)
            .args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The text that a successful command prints.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        text(&output.stdout).to_owned()
    }

    /// The text that a failing command prints.
    fn fails(&self, arguments: &[&str], exit_code: i32) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(exit_code), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let told = text(&output.stderr);
        assert!(!told.contains(server::TOKEN), "{told}");
        told.to_owned()
    }

    /// The JSON that a command prints.
    fn json(&self, arguments: &[&str], exit_code: i32) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(exit_code), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["ok"], exit_code == 0, "{document}");
        document
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Where the pinned texts are.
fn help_directory() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/domainctl/help")
}
