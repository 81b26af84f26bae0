//! `gateway backup`: copies the store's file.

use std::{io::Write as _, path::Path};

use anonymous_domains_terminal::{Progress, grouped};
use anyhow::{Context as _, bail};

use crate::{
    cli::Arguments,
    state::StateDirectory,
    store::sqlite::backup::{self, Step},
};

/// Copies the store of the state directory, and prints what was copied.
///
/// # Errors
///
/// If the store is not a file, or cannot be copied, or the copy is damaged.
pub fn run(arguments: &Arguments, copy: &Path) -> anyhow::Result<()> {
    if arguments.store.is_configured() {
        bail!(
            "the store is a server, and only a store in a file is copied: back the server up by its \
             own means, or use domainctl export"
        );
    }
    let shown = arguments.state.display();
    if !arguments.state.is_dir() {
        bail!("there is no state directory {shown}: name the gateway's with --state");
    }
    let store = StateDirectory::open(&arguments.state)?.store();
    if !store.exists() {
        bail!("there is no store in the state directory {shown}: name the gateway's with --state");
    }
    let progress = Progress::start(false);
    let done = backup::backup(&store, copy, &|step| progress.show(|| shown_step(step)));
    drop(progress);
    let done = done.with_context(|| format!("cannot copy {}", store.display()))?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "copied {} rows, {} bytes, to {}",
        done.keys,
        done.bytes,
        copy.display()
    )?;
    out.flush()?;
    Ok(())
}

fn shown_step(step: Step) -> String {
    const MEGABYTE: u64 = 1_000_000;
    match step {
        Step::Copying { bytes, of } => format!(
            "copied {} MB of at most {} MB",
            grouped(bytes / MEGABYTE),
            grouped(of.div_ceil(MEGABYTE))
        ),
        Step::Checking => "checking the copy".to_owned(),
    }
}
