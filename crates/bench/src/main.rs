//! `bench`: measures the server side by side with other programs.
#![forbid(unsafe_code)]

mod report;
mod server;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anonymous_domains_bench::{load, machines, native, seed};
use anonymous_domains_gateway::cli::StoreArguments;
use anonymous_domains_protocol::jwk::KeyType;
use clap::{Parser, Subcommand};

/// Measures the server side by side with other programs.
#[derive(Parser)]
#[command(
    name = "bench",
    after_help = "Examples:\n  \
    cargo xtask bench\n  \
    bench seed --state state --domains 100000"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the component's crate natively, without the sandbox, until it is killed
    #[command(after_help = "Examples:\n  bench native --listen 127.0.0.1:3001 --state state")]
    Native {
        /// Address and port to listen on; port 0 selects a free one
        #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR:PORT")]
        listen: SocketAddr,
        /// The state directory, as for the gateway
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
    },
    /// Fills an empty store, and prints how large its rows are
    #[command(after_help = "Examples:\n  \
        bench seed --state state --members 1000000\n  \
        bench seed --state state --domains 100000 --store postgres://localhost/domains")]
    Seed {
        /// The state directory, as for the gateway
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        #[command(flatten)]
        store: StoreArguments,
        #[command(flatten)]
        seed: seed::Seed,
    },
    /// Measures the comparisons of docs/benchmarks.md
    #[command(after_help = "Examples:\n  \
        cargo xtask bench\n  \
        cargo xtask bench --spin ~/bin/spin    # Spin 4.1 or later too\n  \
        cargo xtask bench --only steady --quick")]
    Report {
        /// The gateway
        #[arg(long, value_name = "FILE")]
        gateway: PathBuf,
        /// The directory with the component's builds
        #[arg(long, value_name = "DIR")]
        components: PathBuf,
        /// The directory with spin.toml and spin-p3.toml
        #[arg(long, value_name = "DIR", default_value = ".")]
        manifests: PathBuf,
        /// The file with the recorded instruction counts
        #[arg(
            long,
            value_name = "FILE",
            default_value = "crates/bench/instructions.tsv"
        )]
        counts: PathBuf,
        /// Spin 4.1 or later, to be measured too
        #[arg(long, value_name = "FILE")]
        spin: Option<PathBuf>,
        /// Use rounds so short that the figures mean nothing
        #[arg(long)]
        quick: bool,
        /// Members of the domain in large stores; a tenth as many domains are beside it
        #[arg(long, value_name = "N", default_value_t = 10_000_000)]
        large: u64,
        /// Sections to measure [default: all but postgres]
        #[arg(long, value_enum, value_name = "SECTION")]
        only: Vec<report::Section>,
        /// The document whose figures are replaced; they are also printed
        #[arg(long, value_name = "FILE")]
        write: Option<PathBuf>,
    },
    /// Joins a domain repeatedly, and prints the rate and the latencies
    #[command(
        after_help = "Examples:\n  bench join http://127.0.0.1:3000/flashaccess/domainserver/living-room --seconds 10"
    )]
    Join {
        /// The domain's URL, without the slash at the end
        url: String,
        /// Type of the machines' keys: RSA-2048 or EC-P256
        #[arg(long, default_value = "EC-P256")]
        key: KeyType,
        /// Connections, each with one request at a time
        #[arg(long, default_value_t = 4)]
        connections: usize,
        /// How many seconds to run
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// The key version that the machines already have
        #[arg(long)]
        known: Option<u64>,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Native { listen, state } => native::serve(listen, &state),
        Command::Seed { state, store, seed } => {
            let seeded = seed::seed(&state, &store, &seed)?;
            for (table, sizes) in seeded.sizes {
                println!("{table}: {sizes:?}");
            }
            if let Some(bytes) = seeded.file_bytes {
                println!("the file has {bytes} bytes");
            }
            Ok(())
        }
        Command::Report {
            gateway,
            components,
            manifests,
            counts,
            spin,
            quick,
            large,
            only,
            write,
        } => {
            let programs = server::Programs {
                gateway,
                // The manifest is in another directory, so the path must be absolute.
                components: components.canonicalize()?,
                spin,
                manifests,
            };
            let plan = report::Plan {
                programs,
                counts,
                quick,
                large,
                only,
            };
            let sections = plan.report()?;
            for (_, text) in &sections {
                println!("{text}");
            }
            match write {
                Some(document) => report::write_into(&document, &sections),
                None => Ok(()),
            }
        }
        Command::Join {
            url,
            key,
            connections,
            seconds,
            known,
        } => {
            let machines = machines::machines(64, key);
            let requests = machines::registrations(&machines, &url, known);
            load::post(&requests)?;
            let sample = load::run(
                &requests,
                connections,
                load::Pace::Closed(Duration::from_secs(seconds)),
            )?;
            println!(
                "{:.0}/s, p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms",
                sample.rate,
                sample.percentile_ms(0.5),
                sample.percentile_ms(0.9),
                sample.percentile_ms(0.99)
            );
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use anonymous_domains_testkit::assert_command;
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_its_examples_are_true() {
        assert_command(
            Cli::command(),
            &[(
                "cargo xtask bench",
                "bench report --gateway GATEWAY --components COMPONENTS",
            )],
        );
    }
}
