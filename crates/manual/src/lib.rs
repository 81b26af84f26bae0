//! Manual pages and shell completions of a command, from its definition.
//!
//! A command has [`Manual`] among its subcommands, flattened:
//!
//! ```
//! use anonymous_domains_manual::Manual;
//! use clap::{CommandFactory as _, Parser, Subcommand};
//!
//! #[derive(Parser)]
//! struct Arguments {
//!     #[command(subcommand)]
//!     command: Command,
//! }
//!
//! #[derive(Subcommand)]
//! enum Command {
//!     #[command(flatten)]
//!     Manual(Manual),
//! }
//!
//! let arguments = Arguments::parse_from(["ls", "completions", "bash"]);
//! let Command::Manual(manual) = arguments.command;
//! manual.write(Arguments::command())?;
//! # Ok::<(), std::io::Error>(())
//! ```

#![forbid(unsafe_code)]

use std::{
    io::{self, ErrorKind, Write as _},
    path::PathBuf,
};

use clap::{Command, Subcommand};
use clap_complete::Shell;

/// The text of an `after_help`: lines for a shell, one example each.
#[macro_export]
macro_rules! examples {
    ($($line:literal),+ $(,)?) => {
        concat!("Examples:", $("\n  ", $line),+)
    };
}

/// What a command can say of itself. With `#[command(mut_subcommand("completions", of("NAME")))]`,
/// where `of` is [`Manual::examples_of`], its help has examples too.
#[derive(Clone, Debug, Subcommand)]
pub enum Manual {
    /// Print a script that completes this command in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages of this command and its subcommands
    #[command(hide = true)]
    Man {
        /// A directory for them, which there is
        directory: PathBuf,
    },
}

impl Manual {
    /// Adds where shells look for their completions of `program`.
    pub fn examples_of(program: &'static str) -> impl FnOnce(Command) -> Command {
        move |completions| {
            completions.after_help(format!(
                "Examples:\n  \
                 {program} completions bash > ~/.local/share/bash-completion/completions/{program}\n  \
                 {program} completions fish > ~/.config/fish/completions/{program}.fish\n  \
                 {program} completions zsh > \"${{fpath[1]}}/_{program}\""
            ))
        }
    }

    /// Prints the completions of `command`, or writes its manual pages.
    ///
    /// # Errors
    ///
    /// If standard output or a file cannot be written.
    pub fn write(&self, mut command: Command) -> io::Result<()> {
        match self {
            Self::Completions { shell } => {
                let name = command.get_name().to_owned();
                // Not to standard output itself: it would panic where that is closed.
                let mut script = Vec::new();
                clap_complete::generate(*shell, &mut command, name, &mut script);
                match io::stdout().write_all(&script) {
                    // The reader has what it wants (`| head`).
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
                    result => result,
                }
            }
            Self::Man { directory } => {
                // In a directory of its own, which has no other pages.
                let pages = tempfile::tempdir_in(directory)?;
                clap_mangen::generate_to(command, &pages)?;
                for page in std::fs::read_dir(&pages)? {
                    let page = page?;
                    let text = std::fs::read_to_string(page.path())?;
                    std::fs::write(directory.join(page.file_name()), with_lines_kept(&text))?;
                }
                Ok(())
            }
        }
    }
}

/// A page whose text after the options keeps its lines, as it does in the help: they are lists. The
/// examples get their own section.
fn with_lines_kept(page: &str) -> String {
    let mut kept = String::with_capacity(page.len());
    let mut is_within = false;
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        if is_within && line.starts_with(".SH ") {
            kept += ".fi\n";
            is_within = false;
        }
        if line == ".SH EXTRA" {
            is_within = true;
            match lines.next_if_eq(&"Examples:") {
                Some(_) => kept += ".SH EXAMPLES\n.nf\n",
                None => kept += ".SH NOTES\n.nf\n",
            }
        } else if is_within && line == "Examples:" {
            kept.truncate(kept.trim_end().len());
            kept += "\n.fi\n.SH EXAMPLES\n.nf\n";
        } else {
            kept += line;
            kept.push('\n');
        }
    }
    if is_within {
        kept += ".fi\n";
    }
    kept
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Parser};

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(subcommand)]
        manual: Manual,
    }

    fn command() -> Command {
        let flag = Arg::new("loud").long("loud").env("LOUD");
        let notes = "Exit codes:\n  0  success\n  1  failure\n\nExamples:\n  shout --loud";
        let command = Command::new("shout").version("1.2.3").arg(flag);
        Manual::augment_subcommands(command.after_help(notes))
            .mut_subcommand("completions", Manual::examples_of("shout"))
    }

    fn page(directory: &std::path::Path, name: &str) -> String {
        std::fs::read_to_string(directory.join(name)).unwrap()
    }

    #[test]
    fn there_is_a_page_for_every_subcommand_that_is_shown() {
        let directory = tempfile::tempdir().unwrap();
        let words = ["shout", "man", directory.path().to_str().unwrap()];
        Arguments::parse_from(words)
            .manual
            .write(command())
            .unwrap();
        let mut names: Vec<_> = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["shout-completions.1", "shout.1"]);
        let main = page(directory.path(), "shout.1");
        assert!(main.contains("\\fBLOUD\\fR environment variable"), "{main}");
        assert!(main.contains("shout\\-completions(1)"), "{main}");
    }

    #[test]
    fn the_notes_keep_their_lines() {
        let directory = tempfile::tempdir().unwrap();
        let manual = Manual::Man {
            directory: directory.path().to_owned(),
        };
        manual.write(command()).unwrap();
        let main = page(directory.path(), "shout.1");
        let (_, notes) = main.split_once(".SH NOTES\n.nf\n").unwrap();
        let (notes, examples) = notes.split_once(".fi\n.SH EXAMPLES\n.nf\n").unwrap();
        assert!(notes.ends_with("\n  0  success\n  1  failure\n"), "{notes}");
        assert!(
            examples.starts_with("  shout \\-\\-loud\n.fi\n.SH VERSION\n"),
            "{examples}"
        );
        let completions = page(directory.path(), "shout-completions.1");
        let (_, examples) = completions.split_once(".SH EXAMPLES\n.nf\n").unwrap();
        assert!(
            examples.contains("\n  shout completions fish > "),
            "{examples}"
        );
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let manual = Manual::Man {
            directory: "/nowhere/at/all".into(),
        };
        assert!(manual.write(command()).is_err());
    }
}
