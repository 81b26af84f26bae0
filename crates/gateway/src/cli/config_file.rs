//! The file of `--config`: flags by their names, and the component's settings.

use std::{ffi::OsString, path::Path};

use anyhow::{anyhow, bail};
use clap::{Arg, ArgAction, Command};
use zeroize::Zeroizing;

use crate::{
    nearest::nearest,
    settings::Settings,
    toml_file::{self, Entry, Value},
};

/// The table with the component's settings.
const SETTINGS: &str = "settings";

/// Flags that the file does not have: it would name another file, two ways lead to one thing, or it
/// would make a server of clients a test server unseen.
const NOT_HERE: [&str; 6] = [
    "config",
    "help",
    "i-know-this-is-a-test-server",
    "set",
    "test-faults",
    "version",
];

/// What the file has.
pub(super) struct ConfigFile {
    flags: Vec<(String, Vec<Zeroizing<String>>)>,
    /// The component's settings.
    pub(super) settings: Settings,
}

impl ConfigFile {
    /// Reads the file. Every flag of `command` may be in it, with `-` or `_` in its name.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or has an unknown name or a value that the flag does not take. No error
    /// shows a value.
    pub(super) fn read(path: &Path, command: &Command) -> anyhow::Result<Self> {
        let mut found = Self {
            flags: Vec::new(),
            settings: Settings::default(),
        };
        for entry in toml_file::read(path)? {
            if entry.name == SETTINGS {
                let Value::Table(entries) = entry.value else {
                    bail!("{}: {SETTINGS} is a table: [{SETTINGS}]", entry.place);
                };
                found.settings = Settings::from_entries(entries, true)?;
            } else {
                found.add(entry, command)?;
            }
        }
        Ok(found)
    }

    fn add(&mut self, entry: Entry, command: &Command) -> anyhow::Result<()> {
        let Entry { name, place, value } = entry;
        let flag = name.replace('_', "-");
        let argument = command
            .get_arguments()
            .find(|argument| argument.get_long() == Some(&flag))
            .filter(|_| !NOT_HERE.contains(&flag.as_str()));
        let Some(argument) = argument else {
            let flags = command.get_arguments().filter_map(Arg::get_long);
            let flags = flags.filter(|flag| !NOT_HERE.contains(flag));
            let hint = match nearest(&flag, flags) {
                _ if crate::settings::NAMES.contains(&name.as_str()) => {
                    "; it is a setting of the component, for the table [settings]".to_owned()
                }
                Some(near) => format!("; is it {near}?"),
                None => "; gateway --help lists the flags".to_owned(),
            };
            let name = name.escape_default();
            bail!("{place}: there is no flag --{name} for this file{hint}");
        };
        if self.flags.iter().any(|(other, _)| *other == flag) {
            bail!("{place}: {flag} is there twice");
        }
        let values = match value {
            Value::Scalar(value) => vec![value],
            Value::List(values) if matches!(argument.get_action(), ArgAction::Append) => values,
            _ => bail!("{place}: {name} takes one value"),
        };
        for value in &values {
            if !is_taken(argument, &flag, value) {
                let form = argument.get_value_names().unwrap_or_default().join(" ");
                return Err(anyhow!(
                    "{place}: {name} takes {form}, and this is none; see --help"
                ));
            }
        }
        self.flags.push((flag, values));
        Ok(())
    }

    /// The flags that are `wanted`, as words of a command line.
    pub(super) fn words(&self, wanted: impl Fn(&str) -> bool) -> Vec<OsString> {
        let flags = self.flags.iter().filter(|(flag, _)| wanted(flag));
        flags
            .flat_map(|(flag, values)| values.iter().map(move |value| word(flag, value)))
            .collect()
    }
}

fn word(flag: &str, value: &Zeroizing<String>) -> OsString {
    format!("--{flag}={}", value.as_str()).into()
}

/// Whether the flag takes the value. Asked here, because clap's own errors show it.
fn is_taken(argument: &Arg, flag: &str, value: &Zeroizing<String>) -> bool {
    let command = Command::new("flag").no_binary_name(true).arg(argument);
    command.try_get_matches_from([word(flag, value)]).is_ok()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Arguments;

    fn read(text: &str) -> anyhow::Result<ConfigFile> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.toml");
        std::fs::write(&path, text).unwrap();
        ConfigFile::read(&path, &Arguments::command())
    }

    #[test]
    fn flags_have_the_forms_of_the_command_line() {
        let file = read(
            "listen = \"127.0.0.1:4000\"\nmax_connections = 5\nrequest-timeout = \"500ms\"\n\
             tls_self_signed = true\ntrusted_proxy = [\"10.0.0.0/8\", \"::1\"]\n\
             rate_limit_client = \"off\"\n[settings]\nclock_tolerance = 7\n\
             auto_create_domains = false\n",
        )
        .unwrap();
        let words = file.words(|flag| flag != "listen");
        assert_eq!(
            words,
            [
                "--max-connections=5",
                "--rate-limit-client=off",
                "--request-timeout=500ms",
                "--tls-self-signed=true",
                "--trusted-proxy=10.0.0.0/8",
                "--trusted-proxy=::1",
            ]
        );
        assert_eq!(file.settings.get("clock_tolerance"), Some("7"));
        assert_eq!(file.settings.get("auto_create_domains"), Some("false"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_without_its_value() {
        for (text, reason) in [
            ("\nlisten = \"hunter2\"", "line 2: listen takes ADDR:PORT"),
            (
                "max_memory = \"9 hunter2\"",
                "line 1: max_memory takes SIZE",
            ),
            ("max_connections = 0", "line 1"),
            ("max_connections = [\"1\", \"2\"]", "takes one value"),
            (
                "log_format = \"hunter2\"",
                "line 1: log_format takes FORMAT",
            ),
            (
                "lisen = \"hunter2\"",
                "line 1: there is no flag --lisen for this file; is it listen?",
            ),
            ("nonsense = \"hunter2\"", "gateway --help lists the flags"),
            ("admin_token = \"hunter2\"", "table [settings]"),
            ("set = [\"admin_token=hunter2\"]", "no flag --set"),
            ("config = \"hunter2\"", "no flag --config"),
            ("test-faults = \"hunter2\"", "no flag --test-faults"),
            ("max_memory = \"1GiB\"\nmax-memory = \"1GiB\"", "twice"),
            ("settings = \"hunter2\"", "is a table"),
            ("[settings]\n\nadmin_tokn = \"hunter2\"", "line 3"),
            (
                "[settings]\nadmin_tokn = 1",
                "no setting \"admin_tokn\"; is it admin_token?",
            ),
            ("[settings]\nadmin_token = [\"hunter2\"]", "line 2"),
            ("[settings]\nadmin_token = \"@/nowhere/hunter\"", "/nowhere"),
            ("listen = \"hunter2", "line 1"),
            ("listen = 1.5", "another kind of value"),
        ] {
            let error = format!("{:#}", read(text).err().expect(text));
            assert!(error.contains(reason), "{error}");
            assert!(error.contains("gateway.toml, line "), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
