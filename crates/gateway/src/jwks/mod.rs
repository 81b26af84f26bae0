//! `auth_jwks` at a URL: the keys of an issuer, fetched, kept, and fetched again.
//!
//! The gateway knows nothing of tokens but which key one names: a name that it does not know has it
//! fetch the keys. Everything else is the component's.

mod fetch;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, header::AUTHORIZATION};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::settings::Settings;
use fetch::{Fetched, Location};

/// The setting.
pub const AUTH_JWKS: &str = "auth_jwks";

/// How often names of unknown keys have the keys fetched at most.
const ASK_INTERVAL: Duration = Duration::from_secs(30);

/// How long a request waits for that at most.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// When the next attempt is after one that failed.
const RETRY: Duration = Duration::from_secs(60);

/// The longest header of a token that is looked at, in bytes.
const MAX_HEADER: usize = 8 * 1024;

/// Takes a new set, or says why not.
type Apply =
    Box<dyn Fn(String) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> + Send + Sync>;

/// An issuer's keys.
pub struct KeySource {
    url: Zeroizing<String>,
    location: Location,
    cache: PathBuf,
    kept: Mutex<Kept>,
    apply: OnceLock<Apply>,
    /// Held while the keys are fetched. When they were last fetched because of an unknown key.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

/// The set that is in use.
struct Kept {
    text: String,
    names: HashSet<String>,
    fresh_for: Duration,
}

impl KeySource {
    /// Gets the keys, if `auth_jwks` is a URL: from there, or as they were kept in the state
    /// directory. `ca` has CA certificates to believe besides the system's.
    ///
    /// # Errors
    ///
    /// If the URL cannot be used, or the keys can be had from neither.
    pub async fn open(
        settings: &Settings,
        ca: Option<&Path>,
        state: &Path,
    ) -> anyhow::Result<Option<Arc<Self>>> {
        let Some(url) = settings.get(AUTH_JWKS).filter(|value| is_url(value)) else {
            return Ok(None);
        };
        let location = Location::new(url, ca)?;
        let cache = cache_file(state, url);
        let fetched = match (location.get().await, std::fs::read_to_string(&cache)) {
            (Ok(fetched), _) => fetched,
            (Err(error), Ok(text)) => {
                tracing::warn!(
                    reason = %format!("{error:#}"),
                    "the issuer's keys cannot be fetched; those that were kept are used"
                );
                let fresh_for = RETRY;
                Fetched { text, fresh_for }
            }
            (Err(error), Err(_)) => return Err(error.context("there are no keys for auth_jwks")),
        };
        Ok(Some(Arc::new(Self {
            url: Zeroizing::new(url.to_owned()),
            location,
            cache,
            kept: Mutex::new(Kept::new(fetched)),
            apply: OnceLock::new(),
            asked: tokio::sync::Mutex::new(None),
        })))
    }

    /// The JWK Set.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(self.kept().text.clone())
    }

    /// Whether the setting is this source's URL.
    pub fn is_of(&self, settings: &Settings) -> bool {
        settings.get(AUTH_JWKS) == Some(self.url.as_str())
    }

    /// Keeps the keys on disk, and from now on fetches them again when they have been used for long
    /// enough, until the source is dropped. Other keys are given to `apply`.
    pub fn begin<A, F>(self: &Arc<Self>, apply: A)
    where
        A: Fn(String) -> F + Send + Sync + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let _ = self.apply.set(Box::new(move |text| Box::pin(apply(text))));
        self.save();
        let source = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut wait = RETRY;
            if let Some(source) = source.upgrade() {
                wait = source.kept().fresh_for;
            }
            loop {
                tokio::time::sleep(wait).await;
                let Some(source) = source.upgrade() else {
                    return;
                };
                wait = source.refresh().await;
            }
        });
    }

    /// Fetches the keys now. Returns when to do so again. The former keys stay if it fails.
    pub async fn refresh(&self) -> Duration {
        let _turn = self.asked.lock().await;
        self.fetch().await
    }

    /// Fetches the keys if a request's token names one that is not among them, but not too often.
    pub async fn look_for_key(&self, headers: &HeaderMap) {
        let Some(name) = key_name(headers).filter(|name| !self.has(name)) else {
            return;
        };
        let look = async {
            let mut asked = self.asked.lock().await;
            // Another request may have waited for the same.
            if self.has(&name) || asked.is_some_and(|asked| asked.elapsed() < ASK_INTERVAL) {
                return;
            }
            *asked = Some(Instant::now());
            self.fetch().await;
        };
        let _ = tokio::time::timeout(MAX_WAIT, look).await;
    }

    async fn fetch(&self) -> Duration {
        match self.try_fetch().await {
            Ok(fresh_for) => fresh_for,
            Err(error) => {
                tracing::warn!(
                    reason = %format!("{error:#}"),
                    "the issuer's keys were not renewed; the former ones stay in use"
                );
                RETRY
            }
        }
    }

    async fn try_fetch(&self) -> anyhow::Result<Duration> {
        let fetched = self.location.get().await?;
        let fresh_for = fetched.fresh_for;
        if fetched.text != self.kept().text {
            if let Some(apply) = self.apply.get() {
                let applied = apply(fetched.text.clone()).await;
                applied.context("the component cannot use the keys")?;
            }
            *self.kept() = Kept::new(fetched);
            self.save();
            tracing::info!("the issuer has other keys");
        }
        Ok(fresh_for)
    }

    fn has(&self, name: &str) -> bool {
        self.kept().names.contains(name)
    }

    /// Replaces the file at once, so that no reader sees a part.
    fn save(&self) {
        let text = self.kept().text.clone();
        let write = || -> anyhow::Result<()> {
            let directory = self.cache.parent().context("there is no directory")?;
            let file = tempfile::NamedTempFile::new_in(directory)?;
            std::fs::write(file.path(), text)?;
            file.persist(&self.cache)?;
            Ok(())
        };
        if let Err(error) = write() {
            tracing::warn!(
                reason = %format!("{error:#}"),
                "the issuer's keys cannot be kept in the state directory"
            );
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn new(fetched: Fetched) -> Self {
        let set: serde_json::Value = serde_json::from_str(&fetched.text).unwrap_or_default();
        let keys = set["keys"].as_array().into_iter().flatten();
        Self {
            names: keys
                .filter_map(|key| key["kid"].as_str())
                .map(str::to_owned)
                .collect(),
            text: fetched.text,
            fresh_for: fetched.fresh_for,
        }
    }
}

/// Whether the value of `auth_jwks` is a URL and not a JWK Set.
fn is_url(value: &str) -> bool {
    let value = value.trim_start();
    value.starts_with("https://") || value.starts_with("http://")
}

/// Each URL has a file of its own: keys of another issuer would be wrong.
fn cache_file(state: &Path, url: &str) -> PathBuf {
    let digest = Sha256::digest(url.as_bytes());
    let name: String = digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    state.join(format!("auth-jwks-{name}.json"))
}

/// The name of the key that the bearer token of a request names in its header (RFC 7515 section
/// 4.1.4).
fn key_name(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let (header, _) = token.trim().split_once('.')?;
    if !scheme.eq_ignore_ascii_case("bearer") || header.len() > MAX_HEADER {
        return None;
    }
    let header = URL_SAFE_NO_PAD.decode(header).ok()?;
    let header: serde_json::Value = serde_json::from_slice(&header).ok()?;
    Some(header["kid"].as_str()?.to_owned())
}

#[cfg(test)]
mod tests;
