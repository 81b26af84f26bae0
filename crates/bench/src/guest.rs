//! One instance of the component in this process. Counts how many of its instructions a request takes
//! (wasmtime's fuel), which does not depend on the machine's load.

use std::{path::Path, pin::Pin, sync::Arc};

use anonymous_domains_gateway::{
    host::{self, Instance, Shared, memory::Memory},
    settings::Settings,
    store::sqlite::SqliteStore,
};
use anyhow::{Context as _, anyhow, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use wasmtime::{
    Cache, CacheConfig, Config, Engine, Store,
    component::{Component, Linker},
};
use wasmtime_wasi_http::{
    WasiBody, WasiHttpView as _,
    p3::{
        self,
        bindings::{Service, ServicePre},
    },
};

use crate::environment;

/// The end of the transfer of a request's body.
type Sent = Pin<Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>>;

/// An instance, and its store.
pub struct Guest {
    store: Store<Instance>,
    service: Service,
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
            settings: Arc::new(settings),
            memory: Memory::new(usize::MAX),
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
        let service = ServicePre::new(linker.instantiate_pre(&component)?)?;
        let mut store = Store::new(&engine, Instance::new(shared));
        store.set_fuel(u64::MAX)?;
        let service = service.instantiate_async(&mut store).await?;
        Ok(Self { store, service })
    }

    /// Posts a device's request, which must be answered with 200. Returns how many instructions it
    /// took.
    ///
    /// # Errors
    ///
    /// If it is refused.
    pub async fn post(&mut self, url: &str, media_type: &str, body: Bytes) -> anyhow::Result<u64> {
        let body: WasiBody = Full::new(body)
            .map_err(|never| match never {})
            .boxed_unsync();
        let request = Request::post(url)
            .header(http::header::CONTENT_TYPE, media_type)
            .body(body)?;
        let before = self.store.get_fuel()?;
        let service = &self.service;
        let (status, body) = self
            .store
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
            .await??;
        ensure!(
            status == 200,
            "answered {status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(before - self.store.get_fuel()?)
    }
}
