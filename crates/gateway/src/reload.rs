//! What changes without a restart, at SIGHUP: the certificate, the admin tokens and `auth_jwks`, the log
//! filter, the limits of rates, the rules of a test server.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::Signal;

use crate::{
    cli::Arguments,
    http::{Service, faulty::Faults},
    jwks::{AUTH_JWKS, KeySource},
    settings::Settings,
    state::StateDirectory,
    systemd,
    telemetry::{self, LogFilter},
    tls::Tls,
};

/// The settings that can change.
pub(crate) const CHANGEABLE: [&str; 3] = [ADMIN_TOKEN, "admin_read_token", AUTH_JWKS];

const ADMIN_TOKEN: &str = "admin_token";

/// What reads the configuration again.
pub(crate) struct Reloader {
    /// What serves.
    pub service: Service,
    /// The faults that it makes, as a test server.
    pub faults: Option<Faults>,
    /// The certificate, with TLS.
    pub tls: Option<Arc<Tls>>,
    /// What is logged.
    pub log: LogFilter,
    /// What was configured at the start, without what is [`CHANGEABLE`]: a former token is not to stay
    /// in memory.
    pub configured: Settings,
}

impl Reloader {
    /// Reads the configuration again at each signal. What is wrong with it is logged, and then
    /// nothing changes.
    pub(crate) async fn run(self, mut hangup: Signal) {
        while hangup.recv().await.is_some() {
            systemd::reloading();
            match self.reload().await {
                Ok(()) => tracing::info!("the configuration was read again"),
                Err(error) => tracing::error!(
                    reason = %format!("{error:#}"),
                    "the configuration cannot be used, and nothing of it was taken"
                ),
            }
            systemd::ready();
        }
    }

    /// Everything is read and tried before the first change.
    async fn reload(&self) -> anyhow::Result<()> {
        let tls = self.tls.clone();
        let read = move || {
            let arguments = Arguments::read_again()?;
            let filter = telemetry::filter(&arguments.log)?;
            let configured = arguments.configured()?;
            let own_token = StateDirectory::at(&arguments.state)?.admin_token()?;
            let pair = tls.map(|tls| tls.read()).transpose()?;
            let rules = arguments.testing.rules()?;
            anyhow::Ok((arguments, filter, configured, own_token, pair, rules))
        };
        let (arguments, filter, configured, own_token, pair, rules) =
            tokio::task::spawn_blocking(read).await??;

        let mut read = configured.clone();
        if let (None, Some(token)) = (read.get(ADMIN_TOKEN), own_token) {
            read.set(ADMIN_TOKEN, token)?;
        }
        let former = self.service.key_source();
        let source = match &former {
            Some(source) if source.is_of(&read) => Some(Arc::clone(source)),
            _ => {
                let (ca, state) = (arguments.jwks_ca.as_deref(), &arguments.state);
                KeySource::open(&read, ca, state).await?
            }
        };
        if let Some(source) = &source {
            read.set(AUTH_JWKS, source.text())?;
        }
        let changed = self.service.change_settings(|settings| {
            CHANGEABLE
                .iter()
                .try_for_each(|name| settings.take_from(&read, name))
        });
        let changed = changed
            .await
            .context("the component cannot use the settings")?;
        if !changed.is_empty() {
            tracing::info!(settings = %changed.join(", "), "changed");
        }
        match (former, &source) {
            (Some(former), Some(source)) if Arc::ptr_eq(&former, source) => {
                source.refresh().await;
            }
            _ => self.service.set_key_source(source).await?,
        }

        if let (Some(tls), Some(pair)) = (&self.tls, pair) {
            tls.take(pair);
        }
        if let (Some(faults), Some(rules)) = (&self.faults, rules) {
            faults.set_rules(rules);
        }
        self.log.set(filter)?;
        self.service.set_rates(arguments.limits.rates());
        let mut waiting = configured.differing(&self.configured);
        waiting.retain(|name| !CHANGEABLE.contains(name));
        if !waiting.is_empty() {
            tracing::warn!(settings = %waiting.join(", "), "these change at the next start only");
        }
        Ok(())
    }
}
