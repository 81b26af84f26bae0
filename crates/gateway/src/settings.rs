//! The component's settings: names, values, and where the values come from.
//!
//! Each setting comes from the first of these that has it: `--set`, the environment, the
//! `--variables` file, the table `[settings]` of the `--config` file, the state directory, the gateway itself ([`Settings::of_the_gateway`]).

use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use anyhow::{Context as _, bail};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    nearest::nearest,
    toml_file::{self, Entry, Value},
};

/// The prefix of the environment variables' names.
pub const ENVIRONMENT_PREFIX: &str = "ANONYMOUS_DOMAINS_";

/// The settings that the component knows.
pub const NAMES: [&str; 21] = [
    "admin_read_token",
    "admin_token",
    "auth_audience",
    "auth_issuer",
    "auth_jwks",
    "auth_namespace_claim",
    "auto_create_domains",
    "ca_certificate",
    "ca_certificate_next",
    "ca_private_key",
    "clock_tolerance",
    CORS_ORIGINS,
    "credential_ttl_days",
    "domain_key_type",
    "key_encryption_key",
    "machine_trust_anchors",
    "max_domains",
    "max_key_versions_per_day",
    "public_origin",
    PUBLIC_PATH_PREFIX,
    REQUEST_TIMEOUT,
];

/// How long a request may take, in whole seconds. The environment variable of this name belongs to
/// the gateway's own flag, from which the setting follows.
const REQUEST_TIMEOUT: &str = "request_timeout";

/// Whose web pages may send devices' requests, origins with commas or white space between them.
pub const CORS_ORIGINS: &str = "cors_origins";

/// What precedes the component's paths. The gateway removes it from requests.
pub const PUBLIC_PATH_PREFIX: &str = "public_path_prefix";

/// The settings that may not be on the command line, where every user of the machine can read them.
const SECRETS: [&str; 4] = [
    "admin_read_token",
    "admin_token",
    "ca_private_key",
    "key_encryption_key",
];

/// Settings by name, which are wiped when they are dropped. `Debug` shows the names only.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Settings(BTreeMap<&'static str, Text>);

/// A value. Nothing but [`Settings::shared`] gives away another handle on it, so that it has one
/// owner, who wipes it.
#[derive(Eq, PartialEq)]
struct Text(Arc<str>);

impl Clone for Text {
    fn clone(&self) -> Self {
        Self(Arc::from(&*self.0))
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        if let Some(text) = Arc::get_mut(&mut self.0) {
            text.zeroize();
        }
    }
}

impl From<Zeroizing<String>> for Text {
    fn from(text: Zeroizing<String>) -> Self {
        Self(Arc::from(text.as_str()))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Settings {
    /// The value of `name`, if it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| &*value.0)
    }

    /// The value of `name` without another copy of it. Whoever has it drops it before the settings,
    /// which otherwise do not wipe it.
    pub(crate) fn shared(&self, name: &str) -> Option<Arc<str>> {
        self.0.get(name).map(|value| Arc::clone(&value.0))
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (*name, &*value.0))
    }

    /// These settings but for some.
    #[must_use]
    pub(crate) fn without(mut self, names: &[&str]) -> Self {
        self.0.retain(|name, _| !names.contains(name));
        self
    }

    /// Sets `name`.
    ///
    /// # Errors
    ///
    /// If the component knows no such setting.
    pub fn set(&mut self, name: &str, value: Zeroizing<String>) -> anyhow::Result<()> {
        self.0.insert(known(name)?, value.into());
        Ok(())
    }

    /// Takes the value of `name` that `other` has, or none.
    ///
    /// # Errors
    ///
    /// If the component knows no such setting.
    pub fn take_from(&mut self, other: &Settings, name: &str) -> anyhow::Result<()> {
        let name = known(name)?;
        match other.0.get(name) {
            Some(value) => self.0.insert(name, value.clone()),
            None => self.0.remove(name),
        };
        Ok(())
    }

    /// The names whose values differ.
    pub fn differing(&self, other: &Settings) -> Vec<&'static str> {
        let differs = |name: &&'static str| self.get(name) != other.get(name);
        NAMES.into_iter().filter(differs).collect()
    }

    /// Adds the settings of `weaker` that these do not have.
    #[must_use]
    pub fn or(mut self, weaker: Settings) -> Self {
        for (name, value) in weaker.0 {
            self.0.entry(name).or_insert(value);
        }
        self
    }

    /// The settings of `--set` arguments: `name=value`, or `name=@file` for a file's content.
    /// Of several for one name the last counts.
    ///
    /// # Errors
    ///
    /// If an argument has another form, names an unknown setting, gives a secret literally, or
    /// names a file that cannot be read. No error shows a value.
    pub fn from_arguments(arguments: &[String]) -> anyhow::Result<Self> {
        let mut settings = Self::default();
        for argument in arguments {
            let Some((name, value)) = argument.split_once('=') else {
                bail!("--set takes NAME=VALUE or NAME=@FILE, and this has no =");
            };
            let name = known(name)?;
            let value = match value.strip_prefix('@') {
                Some(file) => read(Path::new(file))
                    .with_context(|| format!("--set {name}: cannot read {file}"))?,
                None if SECRETS.contains(&name) => bail!(
                    "{name} is a secret, and the command line is not: use --set {name}=@FILE, the \
                     environment variable {}, or a --variables file",
                    environment_name(name)
                ),
                None => Zeroizing::new(value.to_owned()),
            };
            settings.set(name, value)?;
        }
        Ok(settings)
    }

    /// The gateway's own setting for the component: `request_timeout`, in whole seconds, rounded
    /// down, and at least 1.
    pub fn of_the_gateway(request_timeout: Duration) -> Self {
        let seconds = request_timeout.as_secs().max(1);
        let text = Zeroizing::new(seconds.to_string());
        Self([(REQUEST_TIMEOUT, text.into())].into())
    }

    /// The settings of the environment: `ANONYMOUS_DOMAINS_` and the name in upper case. An
    /// empty variable is ignored. `request_timeout` is not among them: its variable belongs to the
    /// flag `--request-timeout`.
    ///
    /// # Errors
    ///
    /// If the value of a setting is not UTF-8.
    pub fn from_environment(
        variable: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> anyhow::Result<Self> {
        let mut settings = Self::default();
        for name in NAMES.into_iter().filter(|name| *name != REQUEST_TIMEOUT) {
            let variable_name = environment_name(name);
            let Some(value) = variable(&variable_name) else {
                continue;
            };
            let Ok(value) = value.into_string() else {
                bail!("the environment variable {variable_name} is not UTF-8");
            };
            if !value.is_empty() {
                settings.set(name, Zeroizing::new(value))?;
            }
        }
        Ok(settings)
    }

    /// The settings of a TOML file: a flat table of texts, integers and booleans.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not TOML, or has an unknown name or another kind of value.
    /// No error shows a value.
    pub fn from_file(path: &Path) -> anyhow::Result<Self> {
        Self::from_entries(toml_file::read(path)?, false)
    }

    /// The settings of a table of texts, integers and booleans. With `files`, `@FILE` is a file's
    /// content, as on the command line.
    ///
    /// # Errors
    ///
    /// If it has an unknown name or another kind of value, or a file cannot be read. No error shows a
    /// value.
    pub fn from_entries(entries: Vec<Entry>, files: bool) -> anyhow::Result<Self> {
        let mut settings = Self::default();
        for Entry { name, place, value } in entries {
            let Value::Scalar(value) = value else {
                bail!("{place}: {name} must be a text, an integer or a boolean");
            };
            let value = match value.strip_prefix('@').filter(|_| files) {
                Some(file) => read(Path::new(file))
                    .with_context(|| format!("{place}: {name}: cannot read {file}"))?,
                None => value,
            };
            settings.set(&name, value).context(place)?;
        }
        Ok(settings)
    }
}

/// The settings that are in use. Instances of the component take those of the time when they are
/// made.
#[derive(Debug, Default)]
pub struct LiveSettings(RwLock<Arc<Settings>>);

impl LiveSettings {
    /// Begins with these.
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Arc::new(settings))))
    }

    /// The settings now. What differs is at another address.
    pub fn get(&self) -> Arc<Settings> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes them.
    pub fn set(&self, settings: Settings) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }
}

/// Variables that look like settings but are not, probably because they are misspelt. They are no
/// error, because Kubernetes sets variables with the names of its services
/// (`ANONYMOUS_DOMAINS_PORT`).
pub fn unknown_variables<'a>(
    variables: impl IntoIterator<Item = &'a str>,
    flags: &[&str],
) -> Vec<&'a str> {
    let settings = NAMES.map(environment_name);
    variables
        .into_iter()
        .filter(|name| name.starts_with(ENVIRONMENT_PREFIX))
        .filter(|name| !flags.contains(name) && !settings.iter().any(|known| known == name))
        .collect()
}

/// The environment variable of a setting.
pub fn environment_name(name: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", name.to_ascii_uppercase())
}

/// The setting of that name.
fn known(name: &str) -> anyhow::Result<&'static str> {
    match NAMES.into_iter().find(|known| *known == name) {
        Some(name) => Ok(name),
        None => {
            let hint = match nearest(name, NAMES) {
                Some(near) => format!("is it {near}?"),
                None => format!("there are {}", NAMES.join(", ")),
            };
            bail!("there is no setting \"{}\"; {hint}", name.escape_default())
        }
    }
}

/// A text file without the line break at its end.
fn read(path: &Path) -> std::io::Result<Zeroizing<String>> {
    let text = Zeroizing::new(std::fs::read_to_string(path)?);
    Ok(Zeroizing::new(text.trim_end().to_owned()))
}

#[cfg(test)]
mod tests;
