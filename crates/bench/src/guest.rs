//! One instance of the component in this process. Counts how many of its instructions a request takes
//! (wasmtime's fuel), which does not depend on the machine's load.

use std::{path::Path, pin::Pin, sync::Arc};

use anonymous_domains_gateway::{
    host::{self, Instance, Shared, memory::Memory},
    observation::Observer,
    settings::{LiveSettings, Settings},
    store::sqlite::SqliteStore,
};
use anyhow::{Context as _, anyhow, ensure};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::oneshot;
use wasmtime::{
    Cache, CacheConfig, Config, Engine, Store,
    component::{Component, Linker},
};
use wasmtime_wasi_http::{
    WasiBody, WasiHttpView as _,
    handler::{Proxy, ProxyPre},
    p2::{self, bindings::http::types::Scheme},
    p3,
};

use crate::environment;

/// The end of the transfer of a request's body.
type Sent = Pin<Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>>;

/// The component, and an instance of it.
pub struct Guest {
    engine: Engine,
    proxy: ProxyPre<Instance>,
    shared: Shared,
    instance: Option<(Store<Instance>, Proxy)>,
}

impl Guest {
    /// An instance of the component in a file, with the tables and secrets of a state directory,
    /// which are created if there are none.
    ///
    /// # Errors
    ///
    /// If the component cannot be run.
    pub async fn new(component: &Path, state: &Path, settings: &[&str]) -> anyhow::Result<Self> {
        let settings: Vec<String> = settings.iter().map(|&text| text.to_owned()).collect();
        let (state, settings) = environment::complete(state, Settings::from_arguments(&settings)?)?;
        let shared = Shared {
            store: Arc::new(SqliteStore::open(&state.store())?),
            settings: LiveSettings::new(settings),
            memory: Memory::new(usize::MAX),
            observer: Observer::default(),
        };
        let mut cache = CacheConfig::new();
        cache.with_directory(state.cache()?);
        let mut config = Config::new();
        config
            .cache(Some(Cache::new(cache)?))
            .wasm_wide_arithmetic(true)
            .consume_fuel(true);
        let engine = Engine::new(&config)?;
        let mut linker = Linker::new(&engine);
        host::link(&mut linker)?;
        let component = Component::from_file(&engine, component)?;
        let component = linker.instantiate_pre(&component)?;
        let proxy = p3::bindings::ServicePre::new(component.clone())
            .map(ProxyPre::P3)
            .or_else(|_| p2::bindings::ProxyPre::new(component).map(ProxyPre::P2))?;
        Ok(Self {
            engine,
            proxy,
            shared,
            instance: None,
        })
    }

    /// Posts a device's request, which must be answered with 200. Returns how many instructions it
    /// took; a new instance's first request, with the making of it.
    ///
    /// # Errors
    ///
    /// If it is refused.
    pub async fn post(&mut self, url: &str, media_type: &str, body: Bytes) -> anyhow::Result<u64> {
        let request = Request::post(url)
            .header(http::header::CONTENT_TYPE, media_type)
            .body(body)?;
        self.send(request, StatusCode::OK).await
    }

    /// Sends a request, which must be answered with this status. Returns what [`post`](Self::post)
    /// does.
    ///
    /// # Errors
    ///
    /// If it has another answer.
    pub async fn send(
        &mut self,
        request: Request<Bytes>,
        expected: StatusCode,
    ) -> anyhow::Result<u64> {
        let request: Request<WasiBody> = request.map(|body| {
            Full::new(body)
                .map_err(|never| match never {})
                .boxed_unsync()
        });
        let (mut store, proxy, before) = match self.instance.take() {
            Some((store, proxy)) => {
                let before = store.get_fuel()?;
                (store, proxy, before)
            }
            None => {
                let mut store = Store::new(&self.engine, Instance::new(self.shared.clone()));
                store.set_fuel(u64::MAX)?;
                let proxy = self.proxy.instantiate_async(&mut store).await?;
                (store, proxy, u64::MAX)
            }
        };
        let (status, body) = match &proxy {
            Proxy::P2(proxy) => exchange_p2(&mut store, proxy, request).await?,
            Proxy::P3(service) => exchange_p3(&mut store, service, request).await?,
        };
        ensure!(
            status == expected,
            "answered {status}: {}",
            String::from_utf8_lossy(&body)
        );
        let instructions = before - store.get_fuel()?;
        // With WASI 0.2 the next request has an instance of its own.
        if let Proxy::P3(_) = proxy {
            self.instance = Some((store, proxy));
        }
        Ok(instructions)
    }
}

async fn exchange_p2(
    store: &mut Store<Instance>,
    proxy: &p2::bindings::Proxy,
    request: Request<WasiBody>,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let (sender, response) = oneshot::channel();
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(Scheme::Http, request)?;
    let out = http.new_response_outparam(sender)?;
    let call = proxy
        .wasi_http_incoming_handler()
        .call_handle(store, request, out);
    let read = async {
        let response = response.await.context("there was no response")?;
        let response = response.map_err(|code| anyhow!("the component answered {code:?}"))?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.context("the body broke off")?;
        anyhow::Ok((head.status, body.to_bytes()))
    };
    let (called, response) = tokio::join!(call, read);
    called?;
    response
}

async fn exchange_p3(
    store: &mut Store<Instance>,
    service: &p3::bindings::Service,
    request: Request<WasiBody>,
) -> anyhow::Result<(StatusCode, Bytes)> {
    store
        .run_concurrent(async |accessor| {
            let (request, sent) = accessor.with(|mut store| {
                let hooks = store.get().http().hooks;
                let (request, sent) = p3::Request::from_http(hooks, request);
                (request, Box::pin(sent) as Sent)
            });
            let response = service
                .handle(accessor, request)
                .await?
                .map_err(|code| anyhow!("the component answered {code:?}"))?;
            let response = accessor.with(|mut store| response.into_http(&mut store, sent))?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.context("the body broke off")?;
            anyhow::Ok((head.status, body.to_bytes()))
        })
        .await?
}
