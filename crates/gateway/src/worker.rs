//! Creates instances of the component, passes requests to them, and reuses them.
//!
//! An instance serves one request at a time: it is not reused until the whole response was read from
//! it and it has nothing left to do. The calls of `wasi:keyvalue` block their whole instance, so a
//! second request in it would only wait, and a trap would end both. An instance computes only while
//! it has a core ([`crate::scheduler`]), and a request gets an instance, an idle one if possible,
//! when it gets a core: requests that wait for a core need no instance.

use std::{
    convert::Infallible,
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::oneshot;
use tracing::Instrument as _;
use wasmtime_wasi_http::WasiBody;

use crate::{
    client::Client,
    engine::Program,
    guest::{Failure, Guest, Outcome},
    host::{
        Shared,
        memory::{OutOfMemory, Reclaim},
    },
    idle_pool::IdlePool,
    observation::{Observer, metrics::Reason},
    scheduler::{CorePermit, Scheduler},
    settings::{LiveSettings, Settings},
};

/// An instance that was idle for this long is dropped.
const MAX_IDLE: Duration = Duration::from_secs(5);

/// Why an admin token is refused.
const NO_TOKEN: &str = "admin_token is too short, or has characters that a bearer token has not";

/// Passes requests to instances of the component. Clones share the instances.
#[derive(Clone)]
pub struct Workers {
    program: Arc<Program>,
    shared: Shared,
    request_timeout: Duration,
    scheduler: Scheduler,
    idle: Arc<IdlePool<Guest>>,
}

impl Workers {
    /// Instances of `program` that compute when `scheduler` lets them, and must respond within
    /// `request_timeout`.
    pub fn new(
        program: Arc<Program>,
        shared: Shared,
        scheduler: Scheduler,
        request_timeout: Duration,
    ) -> Self {
        let idle = IdlePool::new(MAX_IDLE);
        let reclaim: Arc<dyn Reclaim> = Arc::clone(&idle) as _;
        shared.memory.set_reclaim(Arc::downgrade(&reclaim));
        Self {
            program,
            shared,
            request_timeout,
            scheduler,
            idle,
        }
    }

    /// Who observes the instances.
    pub fn observer(&self) -> &Observer {
        &self.shared.observer
    }

    /// How many instances are idle.
    pub fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Waits for a core for a request of `client`, which [`answer`](Self::answer) needs.
    pub(crate) async fn acquire_core(&self, client: Client) -> CorePermit {
        self.scheduler.acquire(client).await
    }

    /// Answers a request. The whole response is read from the component first, so a client that
    /// reads slowly occupies no instance, and a failure in the middle of the body is a failure of
    /// the request.
    ///
    /// If this future is dropped the component still finishes the request. `held` is dropped when
    /// the request uses no more resources.
    ///
    /// # Errors
    ///
    /// If the component gives no response.
    pub async fn answer<H: Send + 'static>(
        &self,
        core: CorePermit,
        request: Request<WasiBody>,
        held: H,
    ) -> Outcome {
        let (sender, outcome) = oneshot::channel();
        let workers = self.clone();
        let serve = async move {
            workers.serve(core, request, sender).await;
            drop(held);
        };
        tokio::spawn(serve.in_current_span());
        // There is none if the task panicked.
        outcome.await.unwrap_or(Err(Failure::Failed))
    }

    async fn serve(
        &self,
        core: CorePermit,
        request: Request<WasiBody>,
        sender: oneshot::Sender<Outcome>,
    ) {
        let mut sender = Some(sender);
        let mut send = |outcome| {
            if let Some(sender) = sender.take() {
                // The client may have disconnected.
                let _ = sender.send(outcome);
            }
        };
        let metrics = &self.shared.observer.metrics;
        let _busy = metrics.begin_busy();
        let response = Mutex::new(None);
        let mut run = Box::pin(self.scheduler.run(core, async {
            let mut guest = match self.take_idle() {
                Some(guest) => guest,
                None => self.instantiate().await?,
            };
            let is_reusable = guest.exchange(request, &response).await?;
            wasmtime::error::Ok(is_reusable.then_some(guest))
        }));
        // The response is sent when the guest releases the core, so that it does not wait until the
        // next guest releases it. It is also sent when the guest waits for something after it has
        // responded.
        let finished = poll_fn(|cx| {
            let poll = run.as_mut().poll(cx);
            if let Some(outcome) = response
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take()
            {
                if let Err(failure) = outcome {
                    metrics.component_failure(failure.into());
                }
                send(outcome);
            }
            poll
        });
        // The timeout is outside of the guest's future, which is not polled while the guest waits
        // for the store or for a core.
        let finished = tokio::time::timeout(self.request_timeout, finished).await;
        drop(run);
        match finished {
            Ok(Ok(Some(guest))) => self.idle.put(guest),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => {
                let failure = failure(&error);
                metrics.component_failure(failure.into());
                send(Err(failure));
            }
            Err(_) => {
                tracing::error!("the component did not answer in time");
                metrics.component_failure(Reason::Timeout);
                send(Err(Failure::TimedOut));
            }
        }
    }

    /// An idle instance. Those that have former settings are dropped.
    fn take_idle(&self) -> Option<Guest> {
        std::iter::from_fn(|| self.idle.take()).find(Guest::is_current)
    }

    /// The settings in use.
    pub fn settings(&self) -> &LiveSettings {
        &self.shared.settings
    }

    /// Changes the settings: later requests get instances that have the new ones. Idle ones that
    /// have the former are dropped, so that they take no room.
    pub fn change_settings(&self, settings: Settings) {
        self.shared.settings.set(settings);
        self.idle.clear();
    }

    /// Asks an instance that has these settings whether it can use them.
    ///
    /// # Errors
    ///
    /// What it says is wrong with them, or that it fails. Shows no value.
    pub async fn check(&self, settings: Settings) -> anyhow::Result<()> {
        // Of several tokens, one a line, the first is the newest.
        let token = settings.get("admin_token").map(str::trim);
        let token = token.and_then(|token| token.lines().next());
        let authorization = token.map(|token| format!("Bearer {token}"));
        let authorization = authorization.map(HeaderValue::try_from).transpose();
        let authorization = authorization.map_err(|_| anyhow!(NO_TOKEN))?;
        let trial = Self {
            shared: Shared {
                settings: LiveSettings::new(settings),
                ..self.shared.clone()
            },
            idle: IdlePool::new(MAX_IDLE),
            ..self.clone()
        };
        let health = trial.get("/healthz", None).await?;
        let health: serde_json::Value =
            serde_json::from_slice(health.body()).context("the component says nothing")?;
        if health["ca"] != "ok" {
            bail!(
                "{}",
                health["detail"].as_str().unwrap_or("they are unusable")
            );
        }
        // Without a token that it can use the component has no such path.
        if authorization.is_some() {
            let list = trial
                .get("/admin/v1/domains?limit=1", authorization)
                .await?;
            if list.status().is_client_error() {
                bail!(NO_TOKEN);
            }
        }
        Ok(())
    }

    /// A response of the component to a request of the gateway's own.
    async fn get(
        &self,
        path: &str,
        authorization: Option<HeaderValue>,
    ) -> anyhow::Result<Response<Bytes>> {
        let none = Full::default().map_err(|never: Infallible| match never {});
        let uri = format!("http://localhost{path}");
        let mut request = Request::get(uri).body(none.boxed_unsync())?;
        if let Some(value) = authorization {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let core = self.acquire_core(Client::Gateway).await;
        let response = self.answer(core, request, ()).await;
        response.map_err(|_| anyhow!("the component failed; the log says why"))
    }

    /// Creates an instance.
    ///
    /// # Errors
    ///
    /// If there is no memory for it, or it fails at its start.
    pub async fn instantiate(&self) -> wasmtime::Result<Guest> {
        Guest::new(&self.program, self.shared.clone()).await
    }
}

impl From<Failure> for Reason {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoRoom => Self::NoRoom,
            Failure::TimedOut => Self::Timeout,
            Failure::Failed => Self::Failed,
        }
    }
}

/// Logs why an instance ended, and returns what that means for its request.
fn failure(error: &wasmtime::Error) -> Failure {
    if error.is::<OutOfMemory>() || error.is::<wasmtime::PoolConcurrencyLimitError>() {
        tracing::error!(reason = %error.root_cause(), "there is no room for an instance");
        return Failure::NoRoom;
    }
    // The cause is one line. The backtrace is long, and says little about a component without
    // function names.
    tracing::error!(reason = %error.root_cause(), "an instance of the component failed");
    tracing::debug!(backtrace = %format!("{error:#}"), "where it failed");
    Failure::Failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_room_is_told_apart_from_a_failure() {
        let wrapped = wasmtime::Error::from(OutOfMemory).context("a backtrace");
        assert_eq!(failure(&wrapped), Failure::NoRoom);
        let trap = wasmtime::Error::from(wasmtime::Trap::UnreachableCodeReached);
        assert_eq!(failure(&trap), Failure::Failed);
    }
}
