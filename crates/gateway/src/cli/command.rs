//! What the gateway does instead of serving.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do instead of serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copies the store's file, also while a gateway serves it
    ///
    /// The copy is one state of the store, and complete: with all that was answered before. It is
    /// checked before it gets its name. The secrets of the state directory are not in it.
    Backup(BackupArguments),
}

/// Where to copy the store.
#[derive(Debug, Args)]
pub struct BackupArguments {
    /// The copy, which must not exist yet; it gets mode 0600
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}
