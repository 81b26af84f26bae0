//! `gateway check-config`: whether a start would succeed. Changes nothing.

use anyhow::Context as _;

use crate::{
    cli::{Arguments, TlsSource},
    domains::Builder,
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
