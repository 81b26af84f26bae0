//! Connects the parts: settings, store, component, limits.

use std::{fmt, num::NonZeroU16, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use zeroize::Zeroizing;

use super::{
    Domains,
    error::{
        BuildError,
        BuildErrorKind::{self, Component, Directory},
        OrBuildError as _,
    },
};
use crate::{
    ca,
    engine::{self, Program},
    host::{Shared, memory::Memory},
    http::{Limits, Service},
    observation::{AuditLog, Observer, Traces},
    scheduler::Scheduler,
    settings::{LiveSettings, Settings},
    state::{self, StateDirectory},
    storage::{self, Location},
    store::{
        Store,
        address::Address,
        postgres,
        shared::{AddressError, Credentials},
    },
    worker::Workers,
};

/// How long the start tries to reach a server that is the store, by default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// What the server is made of, with the gateway's defaults. From [`Domains::builder`].
///
/// A [store](Builder::store) or a [state directory](Builder::state_directory) is needed. Of several
/// calls of one method the last counts.
#[must_use]
pub struct Builder {
    pub(super) state: Option<PathBuf>,
    cache: Option<PathBuf>,
    pub(super) source: Source,
    pub(super) store: Option<Result<Location, AddressError>>,
    pub(super) settings: Result<Settings, anyhow::Error>,
    pub(super) limits: Limits,
    pub(super) max_memory: usize,
    audit: Option<(PathBuf, bool)>,
    traces: Option<Traces>,
}

/// Where the component comes from.
pub(super) enum Source {
    /// Its file, or a directory with its builds; found as the gateway finds it if there is none.
    Path(Option<PathBuf>),
    Bytes(Bytes),
}

/// Shows no settings and no store: they may contain secrets.
impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("limits", &self.limits)
            .field("max_memory", &self.max_memory)
            .finish_non_exhaustive()
    }
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            state: None,
            cache: None,
            source: Source::Path(None),
            store: None,
            settings: Ok(Settings::default()),
            limits: Limits {
                concurrent_requests: 128,
                request_timeout: Duration::from_secs(30),
            },
            max_memory: 1024 * 1024 * 1024,
            audit: None,
            traces: None,
        }
    }

    /// The component's file, or a directory with its builds, of which the fastest is taken. Without
    /// one they are looked for in `target/wasm32-wasip2/component` below the current directory, in
    /// the build directory that contains the program, and beside the program.
    pub fn component(mut self, path: impl Into<PathBuf>) -> Self {
        self.source = Source::Path(Some(path.into()));
        self
    }

    /// The component itself, for example from `include_bytes!`. Of its builds, take
    /// `anonymous_domains.wide.wasm`.
    pub fn component_bytes(mut self, bytes: impl Into<Bytes>) -> Self {
        self.source = Source::Bytes(bytes.into());
        self
    }

    /// A directory, created with mode 0700 if there is none, for everything that the server keeps
    /// on this machine, as the gateway's `--state`: the CA and the secrets that are not among the
    /// settings, the tables if no other store is named, and compiled code. The first start on an
    /// empty store makes the CA and the secrets. Back them up.
    ///
    /// Without one, `ca_certificate`, `ca_private_key` and `key_encryption_key` must be set.
    pub fn state_directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.state = Some(path.into());
        self
    }

    /// Where compiled code is kept; by default in the state directory. The directory is created
    /// with mode 0700 if there is none. What is in it is run as native code, so no other user may
    /// write there. With neither directory every start compiles the component, which takes seconds.
    pub fn cache_directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.cache = Some(path.into());
        self
    }

    /// The tables are in a store of yours. Several servers on one store need the same secrets: set
    /// them, or copy the state directory of the first to the others before they start.
    pub fn store(self, store: Arc<dyn Store>) -> Self {
        self.location(Ok(Location::Own(store)))
    }

    /// The tables are in this SQLite file, which is created if there is none.
    pub fn sqlite(self, file: impl Into<PathBuf>) -> Self {
        self.location(Ok(Location::File(file.into())))
    }

    /// The tables are in a Redis or Valkey: `redis://`, `rediss://` for TLS, or `redis+unix://`.
    /// The start waits 30 s for it.
    pub fn redis(self, url: &str) -> Self {
        self.redis_with(url, Credentials::default())
    }

    /// The tables are in a Redis or Valkey, with credentials that the URL does not have.
    pub fn redis_with(self, url: &str, credentials: Credentials) -> Self {
        self.server(url, credentials)
    }

    /// The tables are in a PostgreSQL: `postgres://`, with the options of
    /// [`postgres::Address::new`]. The start waits 30 s for it, and makes the table if it is missing.
    pub fn postgres(self, url: &str) -> Self {
        self.postgres_with(url, Credentials::default())
    }

    /// The tables are in a PostgreSQL, with credentials that the URL does not have.
    pub fn postgres_with(self, url: &str, credentials: Credentials) -> Self {
        self.server(url, credentials)
    }

    fn server(self, url: &str, credentials: Credentials) -> Self {
        let address = Address::new(url, credentials, postgres::CONNECTIONS);
        self.location(address.map(|address| Location::Shared(Box::new(address), CONNECT_TIMEOUT)))
    }

    /// Sets one of the component's settings: the names in `docs/reference/settings.md`, and values,
    /// secrets too. `public_origin` should be set, and `public_path_prefix` if the server does not
    /// have the whole origin.
    ///
    /// What a value must be is for the component: with one that is unusable it is built, but
    /// answers `INTERNAL`, and `GET /healthz` says what is wrong.
    pub fn setting(mut self, name: &str, value: impl Into<String>) -> Self {
        let value = Zeroizing::new(value.into());
        if let Ok(settings) = &mut self.settings
            && let Err(error) = settings.set(name, value)
        {
            self.settings = Err(error);
        }
        self
    }

    /// How many requests the component handles at a time; by default 128. More wait for 5 s, and
    /// then get 503.
    pub fn max_concurrent_requests(mut self, requests: NonZeroU16) -> Self {
        self.limits.concurrent_requests = usize::from(requests.get());
        self
    }

    /// How long a request's body may take to arrive, and then, separately, its response to be made;
    /// by default 30 s. The setting `request_timeout` follows from it.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.limits.request_timeout = timeout;
        self
    }

    /// How many bytes of memory the component's instances may have together; by default 1 GiB. A
    /// request for which there is none left gets 503. One instance may have 256 MiB, and needs 1 to
    /// 2 as a rule. Requests and responses may take another 256 MiB each.
    pub fn max_memory(mut self, bytes: usize) -> Self {
        self.max_memory = bytes;
        self
    }

    /// Records in this file what the component decides; `fail_open` as in [`AuditLog::open`].
    pub(crate) fn audit_log(mut self, file: PathBuf, fail_open: bool) -> Self {
        self.audit = Some((file, fail_open));
        self
    }

    /// Sends traces of requests.
    pub(crate) fn traces(mut self, traces: Traces) -> Self {
        self.traces = Some(traces);
        self
    }

    /// Settings that were read elsewhere, in place of all others.
    pub(crate) fn settings(mut self, settings: Settings) -> Self {
        self.settings = Ok(settings);
        self
    }

    /// Where the tables are.
    pub(crate) fn location(mut self, location: Result<Location, AddressError>) -> Self {
        self.store = Some(location);
        self
    }

    /// Opens the store, compiles the component, and makes a first instance of it.
    ///
    /// # Errors
    ///
    /// [`BuildError`].
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with I/O and time enabled.
    pub async fn build(self) -> Result<Domains, BuildError> {
        let configured = self.settings.or_build_error(BuildErrorKind::Settings)?;
        let state = self.state.as_deref().map(StateDirectory::open);
        let state = state.transpose().or_build_error(Directory)?;
        let cache = match (self.cache, &state) {
            (Some(path), _) => Some(state::make_cache(&path)),
            (None, Some(state)) => Some(state.cache()),
            (None, None) => None,
        };
        let cache = cache.transpose().or_build_error(Directory)?;

        let timeout = self.limits.request_timeout;
        // Shorter than a request, so that the request can still report that the store failed.
        let call_limit = storage::MAX_CALL.min(timeout / 2);
        let location = match (self.store, &state) {
            (Some(location), _) => location.map_err(anyhow::Error::from),
            (None, Some(state)) => Ok(Location::File(state.store())),
            (None, None) => Err(anyhow!("there is neither a store nor a state directory")),
        };
        let location = location.or_build_error(BuildErrorKind::Store)?;
        let opened = storage::open(state.as_ref(), location, configured, call_limit)
            .await
            .or_build_error(BuildErrorKind::Store)?;
        let settings = opened.settings.or(Settings::of_the_gateway(timeout));
        let names: Vec<_> = settings.iter().map(|(name, _)| name).collect();
        tracing::info!(settings = %names.join(", "), "configured");

        // Idle instances were in use before, and are reused before new ones are created. So there
        // are never more instances than concurrent requests.
        // One more is for the check whether the server is ready.
        let max_instances = u32::try_from(self.limits.concurrent_requests).unwrap_or(u32::MAX);
        let max_instances = max_instances.saturating_add(1);
        let source = self.source;
        let load = move || source.load(cache, max_instances);
        let program = tokio::task::spawn_blocking(load)
            .await
            .map_err(anyhow::Error::from)
            .flatten()
            .or_build_error(Component)?;
        let open = |(file, fail_open): (PathBuf, bool)| AuditLog::open(&file, fail_open);
        let audit = self.audit.map(open).transpose();
        let observer = Observer {
            audit: audit.or_build_error(Directory)?,
            traces: self.traces,
            ..Observer::default()
        };
        let ca = settings.get("ca_certificate");
        if let Some(expiry) = ca.and_then(ca::expiry_s) {
            observer.metrics.set_ca_expiry(expiry);
        }
        let settings = LiveSettings::new(settings);
        let shared = Shared {
            store: opened.store,
            settings: Arc::clone(&settings),
            memory: Memory::new(self.max_memory),
            observer,
        };
        let scheduler = Scheduler::new(std::thread::available_parallelism().map_or(1, usize::from));
        let workers = Workers::new(Arc::new(program), shared, scheduler, timeout);
        // If the component cannot be instantiated, fail now and not at the first request.
        workers
            .instantiate()
            .await
            .map_err(anyhow::Error::from)
            .context("the component cannot be instantiated")
            .or_build_error(Component)?;
        Ok(Domains {
            service: Service::new(workers, self.limits, &settings.get()),
        })
    }
}

impl Source {
    pub(super) fn load(
        self,
        cache: Option<PathBuf>,
        max_instances: u32,
    ) -> anyhow::Result<Program> {
        match self {
            Self::Path(named) => Program::load(&engine::find_builds(named)?, cache, max_instances),
            Self::Bytes(bytes) => Program::from_bytes(&bytes, cache, max_instances),
        }
    }
}
