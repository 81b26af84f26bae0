//! Opens the store, and adds the secrets that belong to it to the settings.
//!
//! The content of a store needs one key-encryption key, and all gateways on it need one CA. If the
//! store is a file, both are in its directory. A store that gateways share is claimed
//! ([`SharedStore::claim`]): only the gateway that claims an empty one may create secrets. It writes
//! them to the disk before the claim, so that after a crash in between it still has them and can
//! claim the store later.

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};

use crate::{
    settings::Settings,
    state::{Locked, StateDirectory},
    store::{
        Bounded, Store,
        address::Address,
        shared::{Claim, SharedStore},
        sqlite::SqliteStore,
    },
};

/// The opened store, and the complete settings.
pub struct Opened {
    /// The tables.
    pub store: Arc<dyn Store>,
    /// The configured settings, and the secrets of the state directory.
    pub settings: Settings,
}

impl Opened {
    fn new(store: Arc<dyn Store>, settings: Settings, call_limit: Duration) -> Self {
        Self {
            store: Arc::new(Bounded::new(store, call_limit)),
            settings,
        }
    }
}

/// The longest that a call to the store may take.
pub const MAX_CALL: Duration = Duration::from_secs(10);

/// Where the tables are.
pub enum Location {
    /// In this SQLite file.
    File(PathBuf),
    /// In a server that gateways share, to which the start may take so long to connect.
    Shared(Box<Address>, Duration),
    /// In a store of the program that embeds the gateway.
    Own(Arc<dyn Store>),
}

/// Opens the store at `location`. Each call to it ends within `call_limit`. The secrets come from
/// `state`, if there is one, or are all configured.
///
/// # Errors
///
/// If the store cannot be opened, or if a secret that its content needs is missing or different.
pub async fn open(
    state: Option<&StateDirectory>,
    location: Location,
    configured: Settings,
    call_limit: Duration,
) -> anyhow::Result<Opened> {
    match location {
        Location::File(path) => {
            let state = state.cloned();
            let open = move || open_file(state.as_ref(), &path, configured, call_limit);
            // This blocks while another gateway is starting.
            tokio::task::spawn_blocking(open).await?
        }
        Location::Shared(address, connect_timeout) => {
            open_shared(state, *address, connect_timeout, configured, call_limit).await
        }
        Location::Own(store) => open_own(state, store, configured, call_limit).await,
    }
}

/// Whether the store at `location` can be opened, with which settings; creates and claims nothing.
/// `state` need not exist.
///
/// # Errors
///
/// As [`open`].
pub async fn check(
    state: Option<&Path>,
    location: Location,
    configured: Settings,
) -> anyhow::Result<Settings> {
    let mut secrets = state.map(StateDirectory::look);
    match location {
        Location::File(path) => {
            let in_use = path
                .exists()
                .then(|| format!("the store {}", path.display()));
            if in_use.is_some() {
                OpenOptions::new()
                    .write(true)
                    .open(&path)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                SqliteStore::check(&path).with_context(|| cannot_open(&path))?;
            }
            complete(secrets.as_mut(), configured, in_use)
        }
        Location::Shared(address, connect_timeout) => {
            let shown = address.to_string();
            let store = (*address)
                .connect(connect_timeout)
                .await
                .context("cannot open the store")?;
            let claimed = store.is_claimed().await.context("cannot open the store")?;
            let in_use = claimed.then(|| format!("the store {shown}"));
            let settings = complete(secrets.as_mut(), configured, in_use)?;
            if claimed
                && !store
                    .is_claimed_for(&key_encryption_keys(&settings))
                    .await?
            {
                bail!("the store {shown} belongs to another key-encryption key");
            }
            Ok(settings)
        }
        Location::Own(_) => complete(secrets.as_mut(), configured, None),
    }
}

fn cannot_open(store: &Path) -> String {
    format!("cannot open the store {}", store.display())
}

/// Opens the store in a file. The directory stays locked until the store's file exists: of gateways
/// that start at the same time, the later ones find it, and create no secrets.
fn open_file(
    state: Option<&StateDirectory>,
    path: &Path,
    configured: Settings,
    call_limit: Duration,
) -> anyhow::Result<Opened> {
    let mut locked = state.map(StateDirectory::lock).transpose()?;
    let in_use = path
        .exists()
        .then(|| format!("the store {}", path.display()));
    let settings = complete(locked.as_mut(), configured, in_use)?;
    // Half of a call's time to begin, after which it is certain that nothing was done; half to end.
    let store = SqliteStore::open_with(path, call_limit / 2).with_context(|| cannot_open(path))?;
    drop(locked);
    Ok(Opened::new(Arc::new(store), settings, call_limit))
}

async fn open_shared(
    state: Option<&StateDirectory>,
    address: Address,
    connect_timeout: Duration,
    configured: Settings,
    call_limit: Duration,
) -> anyhow::Result<Opened> {
    tracing::info!(store = %address, "using a store that others may share");
    if let Some(file) = state
        .map(StateDirectory::store)
        .filter(|file| file.exists())
    {
        tracing::warn!(file = %file.display(), "this store is there too, and is not used");
    }
    let shown = address.to_string();
    let store = address
        .connect(connect_timeout)
        .await
        .context("cannot open the store")?;
    store.prepare().await.context("cannot open the store")?;
    let mut locked = lock(state).await?;
    let claimed = store.is_claimed().await.context("cannot open the store")?;
    let in_use = claimed.then(|| format!("the store {shown}"));
    let settings = complete(locked.as_mut(), configured, in_use)?;
    claim(&*store, &shown, locked.as_mut(), &settings).await?;
    drop(locked);
    Ok(Opened::new(store, settings, call_limit))
}

/// Takes a store that may have content: then no secrets are created.
async fn open_own(
    state: Option<&StateDirectory>,
    store: Arc<dyn Store>,
    configured: Settings,
    call_limit: Duration,
) -> anyhow::Result<Opened> {
    let mut locked = lock(state).await?;
    let page = store
        .list_keys(None)
        .await
        .context("cannot read the store")?;
    let in_use = (!page.keys.is_empty()).then(|| "the store".to_owned());
    let settings = complete(locked.as_mut(), configured, in_use)?;
    drop(locked);
    Ok(Opened::new(store, settings, call_limit))
}

/// Locks the state directory. The holder of the lock waits for the store, and if it is in this
/// process it needs this thread to go on.
async fn lock(state: Option<&StateDirectory>) -> anyhow::Result<Option<Locked>> {
    let Some(state) = state.cloned() else {
        return Ok(None);
    };
    let locked = tokio::task::spawn_blocking(move || state.lock()).await??;
    Ok(Some(locked))
}

/// Adds the secrets of the state directory. Without one, what the content of a store needs must be
/// configured.
fn complete(
    locked: Option<&mut Locked>,
    configured: Settings,
    in_use: Option<String>,
) -> anyhow::Result<Settings> {
    if let Some(locked) = locked {
        return locked.complete(configured, in_use);
    }
    for name in ["ca_certificate", "ca_private_key", "key_encryption_key"] {
        if configured.get(name).is_none() {
            bail!("{name} is not set, and there is no state directory that may have it");
        }
    }
    Ok(configured)
}

/// The key-encryption keys, which are one a line.
fn key_encryption_keys(settings: &Settings) -> Vec<&str> {
    let keys = settings.get("key_encryption_key").unwrap_or_default();
    let keys = keys.lines().map(str::trim);
    keys.filter(|key| !key.is_empty()).collect()
}

/// Claims the store for the key-encryption key.
async fn claim(
    store: &dyn SharedStore,
    address: &str,
    locked: Option<&mut Locked>,
    settings: &Settings,
) -> anyhow::Result<()> {
    let keys = key_encryption_keys(settings);
    let is_key = |key: &&str| key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    if keys.is_empty() || !keys.iter().all(is_key) {
        // The component will refuse this key. A typing error must not claim a store.
        return Ok(());
    }
    let claim = store.claim(&keys).await.context("cannot claim the store")?;
    let has_created = locked.filter(|locked| locked.has_created_any());
    match (claim, has_created) {
        (Claim::First, _) => {
            tracing::info!(store = %address, "claimed the store for the key-encryption key");
            Ok(())
        }
        (Claim::Same, None) => Ok(()),
        // Another gateway was faster, so its secrets are the ones in use.
        (Claim::Same | Claim::Other, Some(locked)) => {
            locked.remove_created()?;
            bail!(
                "another gateway began to use the store {address} at the same time: copy ca.pem, \
                 ca-key.pem and key-encryption-key from its state directory, or configure them"
            )
        }
        (Claim::Other, None) => bail!(
            "the store {address} belongs to another key-encryption key: gateways on one store \
             need the same one, and a new one goes together with the old one at first"
        ),
    }
}

#[cfg(test)]
mod tests;
