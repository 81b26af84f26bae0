//! `bench`: measures the server side by side with what it is compared to.
#![forbid(unsafe_code)]

mod environment;
mod load;
mod machines;
mod native;
mod seed;
mod stores;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anonymous_domains_protocol::jwk::KeyType;
use anonymous_domains_protocol::request;
use clap::{Parser, Subcommand};

/// Measures the server side by side with what it is compared to.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the component's crate natively, without the sandbox, until it is killed
    Native {
        /// Address and port to listen on; port 0 takes a free one
        #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR:PORT")]
        listen: SocketAddr,
        /// The state directory, as the gateway's
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
    },
    /// Fills the empty store of a state directory, and tells how large its rows are
    Seed {
        /// The state directory, as the gateway's
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        #[command(flatten)]
        seed: seed::Seed,
    },
    /// Joins a domain again and again, and prints the rate and the latencies
    Join {
        /// The domain's URL, without the slash at the end
        url: String,
        /// Kind of the machines' keys: RSA-2048 or EC-P256
        #[arg(long, default_value = "EC-P256")]
        key: KeyType,
        /// Connections, each with one request at a time
        #[arg(long, default_value_t = 4)]
        connections: usize,
        /// For how many seconds
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// What the machines say they have already
        #[arg(long)]
        known: Option<u64>,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Native { listen, state } => native::serve(listen, &state),
        Command::Seed { state, seed } => {
            for (table, sizes) in seed::seed(&state, &seed)? {
                println!("{table}: {sizes:?}");
            }
            Ok(())
        }
        Command::Join {
            url,
            key,
            connections,
            seconds,
            known,
        } => {
            let url = format!("{url}/register");
            let requests = load::Requests {
                bodies: machines::machines(64, key)
                    .iter()
                    .map(|machine| machine.registration(&url, known))
                    .collect(),
                url,
                media_type: request::MEDIA_TYPE,
            };
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
