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
