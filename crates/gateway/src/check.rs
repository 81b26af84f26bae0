//! `gateway check-config`: whether a start would succeed. Changes nothing.

use std::{fs::OpenOptions, path::Path};

use anyhow::Context as _;

use crate::{
    cli::{Arguments, TlsSource, WatchArguments},
    disk,
    domains::Builder,
    observation::traces::Traces,
    run, telemetry,
    tls::{Files, Tls},
};

/// Everything that is wrong with the arguments and with what they name: nothing if a start would
/// succeed. Does not look at whether the address is free, because a gateway may be serving there.
pub async fn check(arguments: Arguments) -> Vec<anyhow::Error> {
    let mut wrong = Vec::new();
    wrong.extend(telemetry::filter(&arguments.log).err());
    wrong.extend(check_tls(&arguments).err());
    wrong.extend(arguments.testing.rules().err());
    wrong.extend(check_watching(&arguments.watching).err());
    match builder(&arguments).await {
        Err(error) => wrong.push(error),
        Ok(builder) => wrong.extend(builder.check().await),
    }
    wrong
}

async fn builder(arguments: &Arguments) -> anyhow::Result<Builder> {
    let (settings, _) = run::with_keys(arguments, arguments.configured()?).await?;
    run::builder(arguments, settings)
}

fn check_tls(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(TlsSource::Files { certificate, key }) = arguments.tls.source()? {
        Tls::load(Files { certificate, key }).context("TLS cannot be served")?;
    }
    Ok(())
}

fn check_watching(watching: &WatchArguments) -> anyhow::Result<()> {
    if let Some(endpoint) = &watching.otlp_endpoint {
        Traces::new(endpoint, watching.otlp_sample_ratio)?;
    }
    let Some(path) = &watching.audit_log else {
        return Ok(());
    };
    // A gateway may be writing it.
    let opened = match path.exists() {
        true => OpenOptions::new().append(true).open(path).map(drop),
        false => disk::try_writing(match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }),
    };
    opened.with_context(|| format!("cannot write the audit log {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_operators_watch_is_checked_and_not_made() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("audit.log");
        let check = |log: &Path, endpoint: &str| {
            let (log, endpoint) = (log.display(), endpoint.to_owned());
            let words = [
                format!("--audit-log={log}"),
                format!("--otlp-endpoint={endpoint}"),
            ];
            let words = ["gateway".to_owned()].into_iter().chain(words);
            let (_, arguments) = Arguments::from_words(words).unwrap();
            check_watching(&arguments.watching).map_err(|error| error.to_string())
        };
        let endpoint = "http://localhost:4318";
        check(&log, endpoint).unwrap();
        assert!(!log.exists());
        let told = check(&directory.path().join("nowhere/audit.log"), endpoint).unwrap_err();
        assert!(told.starts_with("cannot write the audit log "), "{told}");
        let told = check(directory.path(), endpoint).unwrap_err();
        assert!(told.starts_with("cannot write the audit log "), "{told}");
        let told = check(&log, "nonsense").unwrap_err();
        assert!(told.contains("such as http://localhost:4318"), "{told}");
    }
}
