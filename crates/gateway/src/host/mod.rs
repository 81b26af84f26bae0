//! The host side of the component: one [`Instance`] per wasm instance, and the linker that connects
//! the component's imports to it.
//!
//! The guest gets clocks, random numbers, standard error, the key-value store and its settings.
//! It gets no environment, no arguments, no files and no network.

pub mod config;
pub mod keyvalue;
pub mod memory;
mod observed_store;
mod output;

use std::sync::Arc;

use getrandom::{SysRng, rand_core::UnwrapErr};
use keyvalue::Refused;
use memory::{Limiter, Memory};
use output::LogOutput;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::{
    WasiCtx, WasiCtxView, WasiView,
    cli::{WasiCli, WasiCliView},
};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttp, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks,
    WasiHttpView,
};

use crate::{
    observation::{Current, Observed, Observer},
    settings::{LiveSettings, Settings},
    store::Store,
};

/// Bindings for the component's own imports.
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "anonymous-domains:server/imports",
        imports: { default: async | trappable },
        with: {
            "wasi:keyvalue/store.bucket": super::keyvalue::Bucket,
            "wasi:keyvalue/atomics.cas": super::keyvalue::Cas,
        },
    });
}

/// The most handles (requests, buckets, streams) that one instance may hold at a time.
const MAX_RESOURCES: usize = 10_000;

/// What all instances share.
#[derive(Clone)]
pub struct Shared {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The settings, which may change.
    pub settings: Arc<LiveSettings>,
    /// The memory that they may use together.
    pub memory: Arc<Memory>,
    /// Who observes them.
    pub observer: Observer,
}

/// The host's side of one wasm instance.
pub struct Instance {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: NoClient,
    limiter: Limiter,
    refused: Refused,
    /// The settings when it was made.
    settings: Arc<Settings>,
    /// The request that it answers.
    current: Current,
    shared: Shared,
}

impl Instance {
    /// The host side of a new instance.
    pub fn new(shared: Shared) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        let current = Current::default();
        let errors = LogOutput::with_events(shared.observer.clone(), current.clone());
        Self {
            table,
            wasi: WasiCtx::builder()
                .stdout(LogOutput::default())
                .stderr(errors)
                // A generator of the process's own would keep the last numbers that it gave, of
                // which keys were made.
                .secure_random(UnwrapErr(SysRng))
                .build(),
            http: WasiHttpCtx::new(),
            hooks: NoClient,
            limiter: Limiter::new(Arc::clone(&shared.memory)),
            refused: None,
            settings: shared.settings.get(),
            current,
            shared,
        }
    }

    /// Whether it has the settings that are in use.
    pub fn is_current(&self) -> bool {
        Arc::ptr_eq(&self.settings, &self.shared.settings.get())
    }

    /// From now on the instance answers this request, or none.
    pub fn set_request(&self, request: Option<Arc<Observed>>) {
        self.current.set(request);
    }

    /// The limits on the instance's memory.
    pub fn limiter(&mut self) -> &mut Limiter {
        &mut self.limiter
    }
}

impl WasiView for Instance {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Instance {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// Refuses every outgoing request. The client interface is not linked either.
struct NoClient;

impl WasiHttpHooks for NoClient {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _sent: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

/// The result of sending a request: the response, and the end of its transfer.
type Sent = Result<
    (
        http::Response<WasiBody>,
        Box<dyn Future<Output = Result<(), Error>> + Send>,
    ),
    Error,
>;

/// Links what a component of the world `anonymous-domains:server` may import: WASI 0.2 and 0.3
/// except sockets and outgoing HTTP, the key-value store, and the settings.
///
/// # Errors
///
/// Never in practice: only if a name is defined twice.
pub fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
    use wasmtime_wasi::{
        filesystem::{WasiFilesystem, WasiFilesystemView},
        p2::bindings as p2,
        random::{WasiRandom, WasiRandomView},
    };

    // 0.2: the imports of Rust's standard library on wasm32-wasip2.
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(linker)?;
    p2::random::insecure::add_to_linker::<_, WasiRandom>(linker, Instance::random)?;
    p2::random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, Instance::random)?;
    p2::cli::environment::add_to_linker::<_, WasiCli>(linker, Instance::cli)?;
    p2::cli::exit::add_to_linker::<_, WasiCli>(linker, Instance::cli)?;
    p2::cli::terminal_input::add_to_linker::<_, WasiCli>(linker, Instance::cli)?;
    p2::cli::terminal_output::add_to_linker::<_, WasiCli>(linker, Instance::cli)?;
    p2::cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, Instance::cli)?;
    p2::cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, Instance::cli)?;
    p2::cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, Instance::cli)?;
    p2::filesystem::types::add_to_linker::<_, WasiFilesystem>(linker, Instance::filesystem)?;
    p2::filesystem::preopens::add_to_linker::<_, WasiFilesystem>(linker, Instance::filesystem)?;
    // 0.3
    wasmtime_wasi::p3::cli::add_to_linker(linker)?;
    wasmtime_wasi::p3::clocks::add_to_linker(linker)?;
    wasmtime_wasi::p3::random::add_to_linker(linker)?;
    wasmtime_wasi_http::p3::bindings::http::types::add_to_linker::<_, WasiHttp>(
        linker,
        Instance::http,
    )?;
    wasmtime_wasi_http::p2::bindings::http::types::add_to_linker::<_, WasiHttp>(
        linker,
        &Default::default(),
        Instance::http,
    )?;
    keyvalue::link(linker)?;
    config::link(linker)
}
