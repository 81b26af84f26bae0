//! The WebAssembly engine: compiles the component once, and interrupts guests that compute for
//! long.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use wasmtime::{
    Cache, CacheConfig, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    component::{Component, Linker},
};
use wasmtime_wasi_http::{handler::ProxyPre, p2, p3};

use crate::host::{self, Instance};

/// How every WebAssembly file begins.
const WASM: &[u8] = b"\0asm";

/// How often a guest that computes without a pause must yield.
const EPOCH: Duration = Duration::from_millis(2);

/// How many stacks one instance may need at a time: one for each suspended task.
const STACKS_PER_COMPONENT: u32 = 4;

/// How many core modules a component may have: the program and the adapters around it.
const CORE_INSTANCES_PER_COMPONENT: u32 = 8;

/// Address space for an instance's memory without a pool. The memory may move when it grows.
const ON_DEMAND_RESERVATION_BYTES: u64 = 16 * 1024 * 1024;

/// Address space of the guard region after an instance's memory, without a pool.
const ON_DEMAND_GUARD_BYTES: u64 = 64 * 1024;

/// The component, compiled, linked and ready to be instantiated.
pub struct Program {
    engine: Engine,
    proxy: ProxyPre<Instance>,
}

impl Program {
    /// Compiles the first of `builds` that this host can run, or loads it from `cache` if it is
    /// there, for at most `max_instances` instances at a time.
    ///
    /// # Errors
    ///
    /// If the last of them is not a component, needs imports that the gateway does not have, or does
    /// export neither `wasi:http/handler@0.3` nor `wasi:http/incoming-handler@0.2`.
    pub fn load(
        builds: &[PathBuf],
        cache: Option<PathBuf>,
        max_instances: u32,
    ) -> anyhow::Result<Self> {
        let (engine, linker) = engine_and_linker(cache, max_instances)?;
        let (last, preferred) = builds.split_last().context("there is no component")?;
        let proxy = preferred
            .iter()
            .find_map(|file| match prepare(&engine, &linker, file) {
                Ok(proxy) => Some(proxy),
                Err(error) => {
                    tracing::warn!(reason = %format!("{error:#}"), "taking the portable build");
                    None
                }
            })
            .map_or_else(|| prepare(&engine, &linker, last), Ok)?;
        start_ticker(&engine)?;
        Ok(Self { engine, proxy })
    }

    /// As [`Program::load`], of a component in memory.
    ///
    /// # Errors
    ///
    /// As [`Program::load`].
    pub fn from_bytes(
        bytes: &[u8],
        cache: Option<PathBuf>,
        max_instances: u32,
    ) -> anyhow::Result<Self> {
        let (engine, linker) = engine_and_linker(cache, max_instances)?;
        let proxy = compile(&engine, &linker, bytes, "the component")?;
        start_ticker(&engine)?;
        Ok(Self { engine, proxy })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The component, ready to be instantiated.
    pub fn proxy(&self) -> &ProxyPre<Instance> {
        &self.proxy
    }
}

/// The engine, and what a component can import.
fn engine_and_linker(
    cache: Option<PathBuf>,
    max_instances: u32,
) -> anyhow::Result<(Engine, Linker<Instance>)> {
    let engine = engine(cache, max_instances)?;
    let mut linker = Linker::new(&engine);
    host::link(&mut linker)?;
    Ok((engine, linker))
}

/// Reads, compiles and links one build of the component.
fn prepare(
    engine: &Engine,
    linker: &Linker<Instance>,
    file: &Path,
) -> anyhow::Result<ProxyPre<Instance>> {
    tracing::info!(component = %file.display(), "loading; the first time this compiles it");
    let bytes = std::fs::read(file)
        .with_context(|| format!("cannot read the component {}", file.display()))?;
    compile(engine, linker, &bytes, &file.display().to_string())
}

/// Compiles and links a component, which errors call `name`.
fn compile(
    engine: &Engine,
    linker: &Linker<Instance>,
    bytes: &[u8],
    name: &str,
) -> anyhow::Result<ProxyPre<Instance>> {
    if !bytes.starts_with(WASM) {
        bail!("{name} is no component: it is no WebAssembly file");
    }
    let component = Component::new(engine, bytes)
        .map_err(anyhow::Error::from)
        .with_context(|| format!("{name} is no component this host can run"))?;
    linker
        .instantiate_pre(&component)
        .and_then(|component| {
            // A component exports one of them.
            p3::bindings::ServicePre::new(component.clone())
                .map(ProxyPre::P3)
                .or_else(|_| p2::bindings::ProxyPre::new(component).map(ProxyPre::P2))
        })
        .map_err(anyhow::Error::from)
        .with_context(|| format!("{name} does not fit this host"))
}

fn engine(cache: Option<PathBuf>, max_instances: u32) -> anyhow::Result<Engine> {
    let cache = cache.map(|directory| {
        let mut config = CacheConfig::new();
        config.with_directory(directory);
        Cache::new(config)
    });
    let mut config = Config::new();
    config
        .cache(cache.transpose()?)
        .epoch_interruption(true)
        // Allows the wide-arithmetic proposal, which makes RSA several times as fast.
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
                // Slower, because every access is checked, but without reserving 4 GiB for each.
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
pub const PORTABLE: &str = "anonymous_domains.wasm";

/// The build that uses WebAssembly's wide arithmetic, which makes RSA several times as fast.
pub const WIDE: &str = "anonymous_domains.wide.wasm";

/// The build for hosts without WASI 0.3. The gateway takes it where there is no other.
pub const P2: &str = "anonymous_domains.p2.wasm";

/// The builds of the component to try, in order: `named` itself if it is a file, or the builds in it
/// if it is a directory. Without a name, the builds in the build directory below the current
/// directory, in the build directory that contains the gateway, or beside the gateway.
///
/// # Errors
///
/// If there is none. The error lists the places.
pub fn find_builds(named: Option<PathBuf>) -> anyhow::Result<Vec<PathBuf>> {
    let places = match named {
        Some(file) if !file.is_dir() => return Ok(vec![file]),
        Some(directory) => vec![directory],
        None => usual_places(),
    };
    match places
        .iter()
        .map(|place| builds_in(place))
        .find(|builds| !builds.is_empty())
    {
        Some(builds) => Ok(builds),
        None => bail!(
            "there is no component: name its file or directory (looked for {PORTABLE} in {})",
            places
                .iter()
                .map(|place| place.display().to_string())
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

fn usual_places() -> Vec<PathBuf> {
    let built = Path::new("wasm32-wasip2/component");
    let mut places = vec![Path::new("target").join(built)];
    if let Some(directory) = std::env::current_exe()
        .ok()
        .as_deref()
        .and_then(Path::parent)
    {
        places.extend(directory.parent().map(|target| target.join(built)));
        places.push(directory.to_owned());
    }
    places
}

/// The builds in a directory. The wide one comes first, unless it is older than the portable one.
fn builds_in(directory: &Path) -> Vec<PathBuf> {
    let built = |name| {
        let file = directory.join(name);
        let time = file.metadata().ok()?.modified().ok()?;
        Some((file, time))
    };
    let (mut wide, portable) = (built(WIDE), built(PORTABLE));
    if let (Some((file, wide_time)), Some((_, time))) = (&wide, &portable)
        && wide_time < time
    {
        tracing::warn!(build = %file.display(), "older than the portable build: not used");
        wide = None;
    }
    [wide, portable, built(P2)]
        .into_iter()
        .flatten()
        .map(|(file, _)| file)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{fs::File, time::SystemTime};

    use super::*;

    fn file(directory: &Path, name: &str, age_s: u64) -> PathBuf {
        let path = directory.join(name);
        let made = SystemTime::now() - Duration::from_secs(age_s);
        File::create(&path).unwrap().set_modified(made).unwrap();
        path
    }

    #[test]
    fn the_wide_build_is_tried_first_unless_it_is_stale_and_wasi_0_2_last() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path();
        assert!(find_builds(Some(place.into())).is_err());

        let portable = file(place, PORTABLE, 10);
        let find = || find_builds(Some(place.into())).unwrap();
        assert_eq!(find(), std::slice::from_ref(&portable));

        let wide = file(place, WIDE, 5);
        assert_eq!(find(), [wide.clone(), portable.clone()]);
        file(place, WIDE, 15);
        assert_eq!(find(), std::slice::from_ref(&portable));

        // The last choice.
        let p2 = file(place, P2, 1);
        assert_eq!(find(), [portable.clone(), p2]);

        // A file that is named is used as it is.
        assert_eq!(find_builds(Some(portable.clone())).unwrap(), [portable]);
    }

    #[test]
    fn a_build_that_cannot_be_run_is_skipped() {
        let directory = tempfile::tempdir().unwrap();
        let bad = directory.path().join("bad.wasm");
        std::fs::write(&bad, b"no component").unwrap();
        let missing = directory.path().join("missing.wasm");
        let load = |builds: &[PathBuf]| {
            let error = Program::load(builds, Some(directory.path().join("cache")), 1).err();
            format!("{:#}", error.expect("none of them is one"))
        };
        assert!(load(&[bad.clone(), missing.clone()]).contains("cannot read"));
        assert!(load(&[missing, bad]).contains("is no component"));
    }
}
