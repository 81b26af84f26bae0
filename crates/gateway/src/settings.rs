//! The component's settings: names, values, and where the values come from.
//!
//! Each setting comes from the first of these that has it: `--set`, the environment, the
//! `--variables` file, the state directory, the gateway itself ([`Settings::of_the_gateway`]).

use std::{collections::BTreeMap, fmt, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use zeroize::Zeroizing;

/// The prefix of the environment variables' names.
pub const ENVIRONMENT_PREFIX: &str = "ANONYMOUS_DOMAINS_";

/// The settings that the component knows.
pub const NAMES: [&str; 19] = [
    "admin_read_token",
    "admin_token",
    "auth_audience",
    "auth_issuer",
    "auth_jwks",
    "auth_namespace_claim",
    "auto_create_domains",
    "ca_certificate",
    "ca_private_key",
    "clock_tolerance",
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

/// What precedes the component's paths. The gateway removes it from requests.
pub const PUBLIC_PATH_PREFIX: &str = "public_path_prefix";

/// The settings that may not be on the command line, where every user of the machine can read them.
const SECRETS: [&str; 4] = [
    "admin_read_token",
    "admin_token",
    "ca_private_key",
    "key_encryption_key",
];

/// Settings by name. `Debug` shows the names only.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Settings(BTreeMap<&'static str, Zeroizing<String>>);

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Settings {
    /// The value of `name`, if it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_str())
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Sets `name`.
    ///
    /// # Errors
    ///
    /// If the component knows no such setting.
    pub fn set(&mut self, name: &str, value: Zeroizing<String>) -> anyhow::Result<()> {
        self.0.insert(known(name)?, value);
        Ok(())
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
                bail!("--set takes name=value or name=@file");
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
        Self([(REQUEST_TIMEOUT, Zeroizing::new(seconds.to_string()))].into())
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
        let shown = path.display();
        let text = read(path).with_context(|| format!("cannot read {shown}"))?;
        let table: toml::Table = toml::from_str(&text).map_err(|error| {
            // The error's `Display` quotes the line, which may contain a secret.
            let line = error
                .span()
                .map(|span| text[..span.start.min(text.len())].lines().count().max(1));
            match line {
                Some(line) => anyhow::anyhow!("{shown}, line {line}: {}", error.message()),
                None => anyhow::anyhow!("{shown}: {}", error.message()),
            }
        })?;
        let mut settings = Self::default();
        for (name, value) in table {
            let value = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(truth) => truth.to_string(),
                _ => bail!("{shown}: {name} must be a text, an integer or a boolean"),
            };
            settings
                .set(&name, Zeroizing::new(value))
                .with_context(|| format!("in {shown}"))?;
        }
        Ok(settings)
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
        None => bail!(
            "there is no setting \"{}\"; there are {}",
            name.escape_default(),
            NAMES.join(", ")
        ),
    }
}

/// A text file without the line break at its end.
fn read(path: &Path) -> std::io::Result<Zeroizing<String>> {
    let text = Zeroizing::new(std::fs::read_to_string(path)?);
    Ok(Zeroizing::new(text.trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument(text: &str) -> anyhow::Result<Settings> {
        Settings::from_arguments(&[text.to_owned()])
    }

    fn error(result: anyhow::Result<Settings>) -> String {
        format!("{:#}", result.expect_err("an error"))
    }

    #[test]
    fn arguments_beat_the_environment_beats_the_file_beats_the_state() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("variables.toml");
        std::fs::write(
            &file,
            "public_origin = \"file\"\nclock_tolerance = 7\nauto_create_domains = false\n\
             auth_issuer = \"file\"",
        )
        .unwrap();
        let arguments = argument("public_origin=argument").unwrap();
        let environment = Settings::from_environment(|name| match name {
            "ANONYMOUS_DOMAINS_PUBLIC_ORIGIN" | "ANONYMOUS_DOMAINS_CLOCK_TOLERANCE" => {
                Some("environment".into())
            }
            "ANONYMOUS_DOMAINS_AUTH_ISSUER" => Some("".into()),
            _ => None,
        })
        .unwrap();
        let mut state = Settings::default();
        for name in [
            "public_origin",
            "clock_tolerance",
            "auth_issuer",
            "admin_token",
        ] {
            state.set(name, Zeroizing::new("state".into())).unwrap();
        }
        let file = Settings::from_file(&file).unwrap();
        let settings = arguments.or(environment).or(file).or(state);
        assert_eq!(
            settings.iter().collect::<Vec<_>>(),
            [
                ("admin_token", "state"),
                ("auth_issuer", "file"),
                ("auto_create_domains", "false"),
                ("clock_tolerance", "environment"),
                ("public_origin", "argument"),
            ]
        );
    }

    #[test]
    fn the_component_is_told_how_long_a_request_may_take() {
        let told = |milliseconds| {
            let settings = Settings::of_the_gateway(Duration::from_millis(milliseconds));
            settings.get("request_timeout").map(str::to_owned)
        };
        assert_eq!(told(30_000).as_deref(), Some("30"));
        assert_eq!(told(2_999).as_deref(), Some("2"));
        assert_eq!(told(1).as_deref(), Some("1"));

        let set = argument("request_timeout=7").unwrap();
        let settings = set.or(Settings::of_the_gateway(Duration::from_secs(30)));
        assert_eq!(settings.get("request_timeout"), Some("7"));

        // The variable belongs to the flag, and has the flag's form.
        let environment = Settings::from_environment(|name| {
            (name == "ANONYMOUS_DOMAINS_REQUEST_TIMEOUT").then(|| "500ms".into())
        });
        assert_eq!(environment.unwrap(), Settings::default());
    }

    #[test]
    fn an_argument_may_name_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, "a token\n").unwrap();
        let settings = argument(&format!("admin_token=@{}", file.display())).unwrap();
        assert_eq!(settings.get("admin_token"), Some("a token"));
        let missing = error(argument("admin_token=@/nowhere/token"));
        assert!(missing.contains("/nowhere/token"), "{missing}");
    }

    #[test]
    fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
        for name in SECRETS {
            let text = error(argument(&format!("{name}=hunter2")));
            assert!(text.contains("=@FILE"), "{text}");
            assert!(text.contains(&environment_name(name)), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let text = error(argument("public_orgin=x"));
        assert!(text.contains("public_orgin"), "{text}");
        assert!(text.contains("public_origin"), "{text}");
        assert!(argument("public_origin").is_err());
    }

    #[test]
    fn misspelt_variables_are_found() {
        let variables = [
            "ANONYMOUS_DOMAINS_PUBLIC_ORIGIN",
            "ANONYMOUS_DOMAINS_PUBLIC_ORGIN",
            "ANONYMOUS_DOMAINS_LISTEN",
            "PATH",
        ];
        let unknown = unknown_variables(variables, &["ANONYMOUS_DOMAINS_LISTEN"]);
        assert_eq!(unknown, ["ANONYMOUS_DOMAINS_PUBLIC_ORGIN"]);
    }

    #[test]
    fn errors_and_debug_show_no_values() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("variables.toml");
        for content in [
            "admin_token = \"hunter2",
            "a = 1\nadmin_token = hunter2",
            "admin_token = [\"hunter2\"]",
            "unknown = \"hunter2\"",
        ] {
            std::fs::write(&file, content).unwrap();
            let text = error(Settings::from_file(&file));
            assert!(!text.contains("hunter2"), "{text}");
            assert!(text.contains("variables.toml"), "{text}");
        }
        std::fs::write(&file, "admin_token = \"hunter2\"").unwrap();
        let settings = Settings::from_file(&file).unwrap();
        assert_eq!(format!("{settings:?}"), "{\"admin_token\"}");
    }
}
