//! Sizes, starts, instances, memory.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anonymous_domains_bench::{
    load::{self, Pace},
    machines::{machines, registrations},
};
use anonymous_domains_gateway::{
    engine::Program,
    host::{Shared, memory::Memory},
    observation::Observer,
    scheduler::Scheduler,
    settings::{LiveSettings, Settings},
    state::StateDirectory,
    store::sqlite::SqliteStore,
    worker::Workers,
};
use anonymous_domains_protocol::jwk::KeyType;

use super::{Plan, Report, number, race::median, state_directory};
use crate::server::Build;

/// How many requests run at a time when memory is measured.
const CONCURRENT: usize = 1000;

/// The size limit for the component, in bytes.
const SIZE_GOAL: f64 = 1_200_000.0;

pub fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    report.section(
        "Small",
        "A start is timed until the first response (`/healthz`), with and without the compiled \
         component in the cache. Memory is the gateway's resident set.",
    );
    report.table(&["", "portable build", "wide build"]);
    let size = |build: Build| -> anyhow::Result<f64> {
        let file = build.file(&plan.programs.components);
        Ok(std::fs::metadata(file)?.len() as f64 / 1000.0)
    };
    let sizes = [size(Build::Portable)?, size(Build::Wide)?];
    report.row(&[
        "component, kB".to_owned(),
        number(sizes[0]),
        number(sizes[1]),
    ]);
    for (name, size) in [("portable", sizes[0]), ("wide", sizes[1])] {
        report.at_most(
            format!("component, {name} build, kB"),
            SIZE_GOAL / 1000.0,
            size,
        );
    }

    let times = if plan.quick { 1 } else { 7 };
    let mut rows: [Vec<String>; 6] = Default::default();
    for build in [Build::Portable, Build::Wide] {
        let state = state_directory()?;
        let start = || {
            let server = plan.programs.gateway(build, state.path(), &[])?;
            anyhow::Ok((server.start.as_secs_f64() * 1000.0, server))
        };
        let (mut cold, mut cached) = (Vec::new(), Vec::new());
        for _ in 0..times {
            let _ = std::fs::remove_dir_all(state.path().join("cache"));
            cold.push(start()?.0);
            cached.push(start()?.0);
        }
        rows[0].push(number(median(cold)));
        rows[1].push(number(median(cached.iter().copied())));
        if build == Build::Wide {
            report.at_most(
                "start to the first answer, cached, ms",
                300.0,
                median(cached),
            );
        }
        rows[2].push(number(instantiation_us(
            &build.file(&plan.programs.components),
            state.path(),
        )?));
        let (idle, loaded) = (
            start()?.1.memory()?.now as f64 / 1000.0,
            loaded_mb(plan, build)?,
        );
        rows[3].push(number(idle));
        rows[4].push(number(loaded));
        rows[5].push(number((loaded - idle) / CONCURRENT as f64));
    }
    let names = [
        "start without cache, ms".to_owned(),
        "start with cache, ms".to_owned(),
        "a new instance, µs".to_owned(),
        "memory after the start, MB".to_owned(),
        format!("peak memory, {CONCURRENT} concurrent requests, MB"),
        "of it per request, MB".to_owned(),
    ];
    for (name, row) in names.into_iter().zip(rows) {
        report.row(&[vec![name], row].concat());
    }
    Ok(())
}

/// The median time to create an instance, in microseconds.
fn instantiation_us(component: &Path, state: &Path) -> anyhow::Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let state = StateDirectory::open(state)?;
    let program = Program::load(&[component.to_owned()], Some(state.cache()?), 8)?;
    let shared = Shared {
        store: Arc::new(SqliteStore::open(&state.store())?),
        settings: LiveSettings::new(Settings::default()),
        memory: Memory::new(usize::MAX),
        observer: Observer::default(),
    };
    let workers = Workers::new(
        Arc::new(program),
        shared,
        Scheduler::new(1),
        Duration::from_secs(30),
    );
    runtime.block_on(async {
        let mut took = Vec::new();
        for _ in 0..200 {
            let began = Instant::now();
            let instance = workers.instantiate().await.map_err(anyhow::Error::from)?;
            took.push(began.elapsed().as_secs_f64() * 1e6);
            drop(instance);
        }
        Ok(median(took))
    })
}

/// The peak memory of a gateway while it handled all requests at a time, in MB.
fn loaded_mb(plan: &Plan, build: Build) -> anyhow::Result<f64> {
    let state = state_directory()?;
    let all = CONCURRENT.to_string();
    let room = [
        "--max-memory",
        "4GiB",
        "--max-concurrent-requests",
        &all,
        "--max-connections",
        "2000",
    ];
    let gateway = plan.programs.gateway(build, state.path(), &room)?;
    let url = gateway.domain("home");
    let devices = machines(CONCURRENT, KeyType::EcP256);
    load::post(&registrations(&devices[..1], &url, None))?;
    for _ in 0..3 {
        load::run(&registrations(&devices, &url, None), CONCURRENT, Pace::Once)?;
    }
    Ok(gateway.memory()?.peak as f64 / 1000.0)
}
