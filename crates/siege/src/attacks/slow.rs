//! Clients that are slow to send or to read.

use std::time::Duration;

use super::{Attack, DEFAULT};
use crate::{
    field::{Field, SOURCE},
    requests::register,
    wire::Wire,
};

/// How long a slow client waits after each byte.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "slow-heads",
        what: "600 connections send a head, a byte at a time",
        unit: "connection",
        limit: "30 s for a head; `--max-connections`, of which one client gets half",
        settings: DEFAULT,
        run: |field| Box::pin(slow_heads(field)),
    },
    Attack {
        name: "slow-bodies",
        what: "400 connections announce 60,000 bytes, and send one at a time",
        unit: "request",
        limit: "1 KiB/s after 10 s, and `--request-timeout`; one client gets half of 256 MiB",
        settings: DEFAULT,
        run: |field| Box::pin(slow_bodies(field)),
    },
    Attack {
        name: "slow-readers",
        what: "100 connections ask for /openapi.json 200 times each, and read a byte at a time",
        unit: "request",
        limit: "the burst of `--rate-limit-client`; 16 KiB/s after 30 s; half of 256 MiB of answers",
        settings: DEFAULT,
        run: |field| Box::pin(slow_readers(field)),
    },
];

async fn slow_heads(field: Field) {
    let start = field.requests.head("GET", "/healthz", &[]);
    let start = start.trim_end().to_owned() + "\r\nX-Slow: ";
    let client = |field: Field, _| {
        let start = start.clone();
        async move { drip(&field, start.as_bytes()).await }
    };
    field.each(field.pick(600, 60), client).await;
}

async fn slow_bodies(field: Field) {
    let path = register(&field.honest_domain);
    let fields = [
        ("Content-Type", "application/jose+json"),
        ("Content-Length", "60000"),
    ];
    let start = field.requests.head("POST", &path, &fields);
    let client = |field: Field, _| {
        let start = start.clone();
        async move { drip(&field, start.as_bytes()).await }
    };
    field.each(field.pick(400, 60), client).await;
}

/// Connects, sends this, and then a byte at a time, as often as the gateway ends the connection.
async fn drip(field: &Field, start: &[u8]) {
    while !field.is_over() {
        let Some(mut wire) = field.connect().await else {
            continue;
        };
        field.count(1);
        let send = async {
            wire.send(start).await?;
            loop {
                tokio::time::sleep(PAUSE).await;
                wire.send(b"a").await?;
            }
        };
        let ended: Option<std::io::Result<()>> = field.within(send).await;
        if ended.is_some() {
            field.count_closed();
            // It has to have something to refuse, but not as fast as it can.
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn slow_readers(field: Field) {
    let request = field.requests.get("/openapi.json");
    let client = |field: Field, _| {
        let request = request.clone();
        async move {
            let wire = Wire::connect_with_buffer(SOURCE, field.server, Some(4096));
            let Some(mut wire) = field.connected(wire).await else {
                return;
            };
            let requests = field.pick(200, 20);
            let exchange = async {
                for _ in 0..requests {
                    wire.send(&request).await?;
                    field.count(1);
                }
                let mut byte = [0];
                loop {
                    tokio::io::AsyncReadExt::read_exact(&mut wire.stream, &mut byte).await?;
                    tokio::time::sleep(PAUSE).await;
                }
            };
            let ended: Option<std::io::Result<()>> = field.within(exchange).await;
            if ended.is_some() {
                field.count_closed();
            }
        }
    };
    field.each(field.pick(100, 20), client).await;
}
