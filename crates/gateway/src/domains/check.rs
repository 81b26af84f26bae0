//! Whether the server could be built.

use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};

use super::builder::Builder;
use crate::{
    disk,
    host::{Shared, memory::Memory},
    observation::Observer,
    scheduler::Scheduler,
    settings::{LiveSettings, Settings},
    state::StateDirectory,
    storage::{self, Location},
    store::sqlite::SqliteStore,
    worker::Workers,
};

impl Builder {
    /// What keeps [`Builder::build`] from succeeding, or the component from using its settings. Makes
    /// nothing: no directory, no store, no secret, no compiled code that stays.
    pub(crate) async fn check(mut self) -> Vec<anyhow::Error> {
        let (settings, mut wrong) = match self.check_store().await {
            Ok(settings) => (Some(settings), Vec::new()),
            Err(error) => (None, vec![error]),
        };
        wrong.extend(self.check_component(settings).await.err());
        wrong
    }

    /// The settings that a start would have.
    async fn check_store(&mut self) -> anyhow::Result<Settings> {
        let settings = std::mem::replace(&mut self.settings, Ok(Settings::default()))?;
        if let Some(path) = &self.state
            && path.exists()
            && !path.is_dir()
        {
            bail!("the state directory {} is no directory", path.display());
        }
        if let Some(path) = &self.state {
            disk::try_writing_at(path).with_context(|| {
                format!("the state directory {} cannot be written", path.display())
            })?;
        }
        let location = match (self.store.take(), &self.state) {
            (Some(location), _) => location?,
            (None, Some(state)) => Location::File(StateDirectory::store_in(state)),
            (None, None) => bail!("there is neither a store nor a state directory"),
        };
        let settings = storage::check(self.state.as_deref(), location, settings).await?;
        Ok(settings.or(Settings::of_the_gateway(self.limits.request_timeout)))
    }

    /// Runs the component, with a store of its own.
    async fn check_component(self, settings: Option<Settings>) -> anyhow::Result<()> {
        let source = self.source;
        let load = move || source.load(None, 2);
        let program = tokio::task::spawn_blocking(load).await??;
        let directory = tempfile::tempdir().context("cannot make a directory for the check")?;
        let store = SqliteStore::open(&directory.path().join("store.db"))?;
        let shared = Shared {
            store: Arc::new(store),
            settings: LiveSettings::new(Settings::default()),
            memory: Memory::new(self.max_memory),
            observer: Observer::default(),
        };
        let scheduler = Scheduler::new(1);
        let timeout = self.limits.request_timeout;
        let workers = Workers::new(Arc::new(program), shared, scheduler, timeout);
        match settings {
            Some(settings) => workers
                .check(settings)
                .await
                .context("the component cannot use the settings"),
            None => match workers.instantiate().await {
                Ok(_) => Ok(()),
                Err(error) => Err(anyhow!(error).context("the component cannot be instantiated")),
            },
        }
    }
}
