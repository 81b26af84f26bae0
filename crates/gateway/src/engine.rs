//! The WebAssembly engine: compiles the component once, and stops guests that run away.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use wasmtime::component::{Component, Linker};
use wasmtime::{
    Cache, CacheConfig, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
};
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::host::{self, Instance};

/// How often a guest that computes without a pause has to let others run.
const EPOCH: Duration = Duration::from_millis(2);

/// Stacks that one instance may need at a time: one for each of its tasks that is suspended.
const STACKS_PER_COMPONENT: u32 = 4;

/// Core modules in a component: the program and the adapters around it.
const CORE_INSTANCES_PER_COMPONENT: u32 = 8;

/// Address space for an instance's memory, which may move when it grows, where there is no pool.
const ON_DEMAND_RESERVATION_BYTES: u64 = 16 * 1024 * 1024;

/// Address space that catches stray accesses beyond an instance's memory, where there is no pool.
const ON_DEMAND_GUARD_BYTES: u64 = 64 * 1024;

/// The component, compiled, linked and ready to be instantiated.
pub struct Program {
    engine: Engine,
    service: ServicePre<Instance>,
}

impl Program {
    /// Compiles the component in `file`, or takes it from `cache` if it is there, for at most
    /// `max_instances` instances at a time.
    ///
    /// # Errors
    ///
    /// If the file is no component, wants imports that the gateway does not have, or does not
    /// export `wasi:http/handler@0.3.0`.
    pub fn load(file: &Path, cache: PathBuf, max_instances: u32) -> anyhow::Result<Self> {
        let engine = engine(cache, max_instances)?;
        let bytes =
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let component = Component::new(&engine, bytes)
            .map_err(anyhow::Error::from)
            .with_context(|| format!("{} is no component this host can run", file.display()))?;
        let mut linker = Linker::new(&engine);
        host::link(&mut linker)?;
        let service = linker
            .instantiate_pre(&component)
            .and_then(ServicePre::new)
            .map_err(anyhow::Error::from)
            .with_context(|| format!("{} does not fit this host", file.display()))?;
        start_ticker(&engine)?;
        Ok(Self { engine, service })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The component, ready to be instantiated.
    pub fn service(&self) -> &ServicePre<Instance> {
        &self.service
    }
}

fn engine(cache: PathBuf, max_instances: u32) -> anyhow::Result<Engine> {
    let mut cache_config = CacheConfig::new();
    cache_config.with_directory(cache);
    let mut config = Config::new();
    config
        .cache(Some(Cache::new(cache_config)?))
        .epoch_interruption(true)
        // Lets a component use the proposal, which makes RSA several times as fast.
        .wasm_wide_arithmetic(true);

    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(max_instances)
        .total_memories(max_instances)
        .total_stacks(max_instances.saturating_mul(STACKS_PER_COMPONENT))
        .total_core_instances(max_instances.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
        .total_tables(max_instances.saturating_mul(CORE_INSTANCES_PER_COMPONENT));
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    match Engine::new(&config) {
        Ok(engine) => Ok(engine),
        // The pool reserves terabytes of address space, which a container or `ulimit -v` may
        // refuse.
        Err(error) => {
            tracing::warn!(reason = %format!("{error:#}"),
                "no room for a pool of instances; each is allocated on demand");
            config
                .allocation_strategy(InstanceAllocationStrategy::OnDemand)
                // Slower, as every access is checked, but with no 4 GiB set aside for each.
                .memory_reservation(ON_DEMAND_RESERVATION_BYTES)
                .memory_guard_size(ON_DEMAND_GUARD_BYTES);
            Ok(Engine::new(&config)?)
        }
    }
}

/// Starts the thread that ends each epoch. It ends with the engine.
fn start_ticker(engine: &Engine) -> anyhow::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new()
        .name("epochs".into())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(EPOCH);
            }
        })
        .context("cannot start the epoch thread")?;
    Ok(())
}

/// The component's file name, as `cargo build` makes it.
const COMPONENT: &str = "anonymous_domains.wasm";

/// Finds the component where none was named: in the build directory below the current one, in
/// the build directory that the gateway itself stands in, or beside the gateway.
///
/// # Errors
///
/// If it is in none of these places; the error names them.
pub fn find_component() -> anyhow::Result<PathBuf> {
    let built = Path::new("wasm32-wasip2/release").join(COMPONENT);
    let mut places = vec![Path::new("target").join(&built)];
    if let Some(directory) = std::env::current_exe()
        .ok()
        .as_deref()
        .and_then(Path::parent)
    {
        places.extend(directory.parent().map(|target| target.join(&built)));
        places.push(directory.join(COMPONENT));
    }
    match places.iter().find(|place| place.is_file()) {
        Some(place) => Ok(place.clone()),
        None => bail!(
            "there is no component: name it with --component (looked for {})",
            places
                .iter()
                .map(|place| place.display().to_string())
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}
