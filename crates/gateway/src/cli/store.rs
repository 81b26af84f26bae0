//! The flags for the store.

use std::{fmt, num::NonZeroU16, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;
use zeroize::Zeroizing;

use super::units::duration;
use crate::store::{address::Address, shared::Credentials};

/// Where the tables are.
#[derive(Args)]
pub struct StoreArguments {
    /// Server for the tables, which several gateways may share: PostgreSQL, as in
    /// postgres://USER@HOST:PORT,HOST:PORT/DB; Redis or Valkey, as in redis://HOST:PORT/DB,
    /// rediss:// for TLS, redis+unix:///SOCKET, redis://HOST:PORT,HOST:PORT for nodes of a cluster
    /// [default: a file in the state directory]
    #[arg(long = "store", env = "ANONYMOUS_DOMAINS_STORE", value_name = "URL")]
    #[arg(hide_env_values = true)]
    pub(super) url: Option<String>,

    /// File with the password of the --store; or PGPASSFILE names one for PostgreSQL
    #[arg(long = "store-password-file", value_name = "FILE")]
    #[arg(env = "ANONYMOUS_DOMAINS_STORE_PASSWORD_FILE")]
    password_file: Option<PathBuf>,

    /// CA certificates (PEM) that vouch for a store with TLS [default: the system's]
    #[arg(
        long = "store-ca",
        env = "ANONYMOUS_DOMAINS_STORE_CA",
        value_name = "FILE"
    )]
    ca: Option<PathBuf>,

    /// Certificate (PEM) with which the gateway proves itself to a store with TLS
    #[arg(long = "store-certificate", value_name = "FILE")]
    #[arg(env = "ANONYMOUS_DOMAINS_STORE_CERTIFICATE")]
    certificate: Option<PathBuf>,

    /// File with the certificate's private key (PEM)
    #[arg(long = "store-key", value_name = "FILE")]
    #[arg(env = "ANONYMOUS_DOMAINS_STORE_KEY")]
    key: Option<PathBuf>,

    /// Connections to a PostgreSQL --store at most
    #[arg(long = "store-connections", value_name = "N")]
    #[arg(env = "ANONYMOUS_DOMAINS_STORE_CONNECTIONS", default_value = "16")]
    pub connections: NonZeroU16,

    /// How long the start waits for a --store that cannot be reached
    #[arg(long = "store-connect-timeout", value_name = "DURATION")]
    #[arg(env = "ANONYMOUS_DOMAINS_STORE_CONNECT_TIMEOUT")]
    #[arg(default_value = "30s", value_parser = duration)]
    pub connect_timeout: Duration,
}

/// Shows nothing: the URL may contain a password.
impl fmt::Debug for StoreArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreArguments").finish_non_exhaustive()
    }
}

impl StoreArguments {
    /// Whether the store is another one than the file in the state directory.
    pub fn is_configured(&self) -> bool {
        self.url().is_some()
    }

    /// The URL as it was given, if any: it may have a password.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref().filter(|url| !url.is_empty())
    }

    /// The server to use, if any.
    ///
    /// # Errors
    ///
    /// If its URL cannot be used, or a file cannot be read. No error shows a password.
    pub fn address(&self) -> anyhow::Result<Option<Address>> {
        let Some(url) = self.url() else {
            let parts = [&self.password_file, &self.ca, &self.certificate, &self.key];
            if parts.iter().any(|part| part.is_some()) {
                bail!("there is a password or a certificate for a --store, but no --store");
            }
            return Ok(None);
        };
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let password = match &self.password_file {
            None => None,
            Some(path) => {
                let text = Zeroizing::new(read(path)?);
                let text = str::from_utf8(&text)
                    .ok()
                    .map(str::trim_end)
                    .filter(|text| !text.is_empty())
                    .with_context(|| format!("{} holds no password", path.display()))?;
                Some(Zeroizing::new(text.to_owned()))
            }
        };
        let identity = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?.into())),
            (None, None) => None,
            _ => bail!("--store-certificate and --store-key are given together"),
        };
        let credentials = Credentials {
            password,
            password_file: std::env::var_os("PGPASSFILE").map(PathBuf::from),
            ca: self.ca.as_ref().map(read).transpose()?,
            identity,
        };
        let connections = usize::from(self.connections.get());
        Ok(Some(Address::new(url, credentials, connections)?))
    }
}
