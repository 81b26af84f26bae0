//! A command's output: text for people, or one JSON object for programs.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use anonymous_domains_terminal::aside;
use serde_json::Value;

use crate::{call::Notice, error::CommandError};

/// Standard output and standard error of a command.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    program: &'static str,
    json: bool,
}

impl Console {
    /// The console of `program`, for programs if `json`, and otherwise for people.
    pub fn new(program: &'static str, json: bool) -> Self {
        Self { program, json }
    }

    /// Whether the output is JSON.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Prints a result.
    ///
    /// # Errors
    ///
    /// The error of the write.
    pub fn say(self, text: &str, json: &Value) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        aside(|| match self.json {
            true => writeln!(stdout, "{json}"),
            false => writeln!(stdout, "{text}"),
        })
    }

    /// Prints why the command failed: JSON to standard output, text to standard error.
    pub fn fail(self, text: &str, json: &Value) {
        match self.json {
            // There is nowhere else to say it.
            true => drop(writeln!(io::stdout(), "{json}")),
            false => self.warn(text),
        }
    }

    /// Prints an error, and returns the exit code of the process.
    pub fn fail_with(self, error: &impl CommandError) -> u8 {
        self.fail(&error.to_string(), &error.to_json());
        error.exit_code()
    }

    /// Prints a note to standard error, for people only.
    pub fn note(self, text: &str) {
        if !self.json {
            self.warn(text);
        }
    }

    /// Prints a warning to standard error.
    pub fn warn(self, text: &str) {
        aside(|| eprintln!("{}: {text}", self.program));
    }

    /// Warns that the token can be read by others on the way to `url`.
    pub fn warn_of_exposed_token(self, url: &impl Display) {
        self.warn(&format!(
            "the token can be read by anyone on the way to {url}: use https instead"
        ));
    }

    /// [`Console::note`], for a client.
    pub fn notice(self) -> Notice {
        Box::new(move |text| self.note(text))
    }

    /// Prints what a client exchanges to standard error.
    pub fn trace(self) -> Notice {
        Box::new(|text| aside(|| eprintln!("{text}")))
    }
}
