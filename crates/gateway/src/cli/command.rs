//! What the gateway does instead of serving.

use anonymous_domains_manual::Manual;
use clap::Subcommand;

/// What to do instead of serving.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// What this command says of itself
    #[command(flatten)]
    Manual(Manual),
}
