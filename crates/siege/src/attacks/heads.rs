//! Requests with heads that are too large, and many requests at once.

use std::fmt::Write as _;

use super::{Attack, BOTH, DEFAULT};
use crate::field::Field;

/// Requests that are sent at once.
const PIPELINED: usize = 64;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "huge-heads",
        what: "heads of 40 KiB, of 100 fields, with a target of 70,000 bytes, by turns",
        unit: "request",
        limit: "32 KiB and 64 fields; the connection ends",
        settings: DEFAULT,
        run: |field| Box::pin(huge_heads(field)),
    },
    Attack {
        name: "pipelining",
        what: "8 connections send 64 requests at once, again and again",
        unit: "request",
        limit: "one request of a connection at a time; `--rate-limit-client`",
        settings: BOTH,
        run: |field| Box::pin(pipelining(field)),
    },
];

async fn huge_heads(field: Field) {
    let huge = "a".repeat(40 * 1024);
    let many = (0..100).fold(String::new(), |mut many, number| {
        let _ = write!(many, "X-{number}: a\r\n");
        many
    });
    let long = format!("/{}", "a".repeat(70_000));
    let start = field.requests.head("GET", "/healthz", &[]);
    let start = start.trim_end();
    let heads = [
        format!("{start}\r\nX-Huge: {huge}\r\n\r\n"),
        format!("{start}\r\n{many}\r\n"),
        field.requests.head("GET", &long, &[]),
    ];
    let client = |field: Field, client| {
        let heads = heads.clone();
        async move {
            for head in heads.iter().cycle().skip(client) {
                if field.is_over() {
                    return;
                }
                let Some(mut wire) = field.connect().await else {
                    continue;
                };
                field.count(1);
                // It may be refused before it was sent.
                let exchange = async {
                    let _ = wire.send(head.as_bytes()).await;
                    wire.all_answers().await
                };
                match field.within(exchange).await {
                    None => return,
                    Some(Ok(answers)) => match &answers[..] {
                        [] => field.count_closed(),
                        [answer] if (400..500).contains(&answer.status) => {
                            field.count_answer(answer);
                        }
                        answers => {
                            let statuses: Vec<_> =
                                answers.iter().map(|answer| answer.status).collect();
                            field.found_wrong(format!("a huge head is answered by {statuses:?}"));
                        }
                    },
                    Some(Err(error)) => {
                        field.found_wrong(format!("a huge head is answered by {error}"));
                    }
                }
            }
        }
    };
    field.each(field.pick(8, 3), client).await;
}

async fn pipelining(field: Field) {
    let one = field.requests.get("/healthz");
    let many = one.repeat(PIPELINED);
    let client = |field: Field, _| {
        let many = many.clone();
        async move {
            while !field.is_over() {
                let Some(mut wire) = field.connect().await else {
                    continue;
                };
                let exchange = async {
                    loop {
                        wire.send(&many).await?;
                        for _ in 0..PIPELINED {
                            let answer = wire.answer().await?;
                            field.count(1);
                            field.count_answer(&answer);
                        }
                    }
                };
                let ended: Option<std::io::Result<()>> = field.within(exchange).await;
                if let Some(Err(error)) = ended {
                    field.found_wrong(format!("requests in a row are not all answered: {error}"));
                }
            }
        }
    };
    field.each(8, client).await;
}
