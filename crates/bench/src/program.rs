//! A WebAssembly program in this process, and how many instructions it takes.

use std::path::Path;

use anyhow::anyhow;
use wasmtime::{
    Config, Engine, Store,
    component::{Component, Linker, ResourceTable},
};
use wasmtime_wasi::{
    WasiCtx, WasiCtxView, WasiView,
    p2::{
        bindings::{Command, CommandPre},
        pipe::{MemoryInputPipe, MemoryOutputPipe},
    },
};

/// More than a program here writes.
const OUTPUT_BYTES: usize = 1 << 20;

struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// A program that exports `wasi:cli/run`.
pub struct Program {
    engine: Engine,
    command: CommandPre<Host>,
}

impl Program {
    /// The program in a file.
    ///
    /// # Errors
    ///
    /// If it cannot be run.
    pub fn new(path: &Path) -> anyhow::Result<Self> {
        let mut config = Config::new();
        config.wasm_wide_arithmetic(true).consume_fuel(true);
        let engine = Engine::new(&config)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        let component = Component::from_file(&engine, path)?;
        let command = CommandPre::new(linker.instantiate_pre(&component)?)?;
        Ok(Self { engine, command })
    }

    /// Runs it with this standard input. Gives its standard output, and how many instructions it took.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub async fn run(&self, input: Vec<u8>) -> anyhow::Result<(Vec<u8>, u64)> {
        let output = MemoryOutputPipe::new(OUTPUT_BYTES);
        let wasi = WasiCtx::builder()
            .stdin(MemoryInputPipe::new(input))
            .stdout(output.clone())
            .inherit_stderr()
            .build();
        let table = ResourceTable::new();
        let mut store = Store::new(&self.engine, Host { wasi, table });
        store.set_fuel(u64::MAX)?;
        let command: Command = self.command.instantiate_async(&mut store).await?;
        command
            .wasi_cli_run()
            .call_run(&mut store)
            .await?
            .map_err(|()| anyhow!("the program failed"))?;
        let instructions = u64::MAX - store.get_fuel()?;
        drop(store);
        let written = output.try_into_inner();
        let written = written.ok_or_else(|| anyhow!("the program still writes"))?;
        Ok((written.to_vec(), instructions))
    }
}
