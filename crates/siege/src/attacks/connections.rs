//! Many connections, and connections that end halfway.

use std::time::Duration;

use tokio::{io::AsyncWriteExt as _, time::timeout};

use super::{Attack, DEFAULT};
use crate::{field::Field, target::Settings, wire::Wire};

/// How long a connection is looked at that should be closed at once.
const LOOK: Duration = Duration::from_millis(100);

/// How many connections each client opens, of those that connect at the same time.
const EACH: usize = 20;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "connections",
        what: "one client opens 10,000 connections, of which it keeps what it gets, and sends nothing",
        unit: "connection",
        limit: "`--max-connections` (1,000), of which one client gets half; others are closed at once",
        settings: DEFAULT,
        run: |field| Box::pin(connections(field)),
    },
    Attack {
        name: "held-connections",
        what: "one client opens 9,000 connections, and keeps them (20,000 files were allowed)",
        unit: "connection",
        limit: "`--max-connections`, `--max-connections-per-client`; the system's limit of files",
        settings: &[Settings::ManyConnections],
        run: |field| Box::pin(held_connections(field)),
    },
    Attack {
        name: "half-closed",
        what: "clients ask, close their side at once, and wait; or close both sides in a request",
        unit: "connection",
        limit: "`--rate-limit-client`",
        settings: DEFAULT,
        run: |field| Box::pin(half_closed(field)),
    },
];

async fn connections(field: Field) {
    open(&field, field.pick(10_000, 700)).await;
}

async fn held_connections(field: Field) {
    let number = field.pick(9_000, 300);
    let held = open(&field, number).await;
    if held < number && !field.is_over() {
        field.found_wrong(format!("of {number} connections only {held} were kept"));
    }
}

/// Opens connections, keeps those that the gateway keeps until the end, and returns their number.
async fn open(field: &Field, number: usize) -> usize {
    let clients = number.div_ceil(EACH);
    let held = std::rc::Rc::<std::cell::RefCell<Vec<Wire>>>::default();
    let client = |field: Field, client: usize| {
        let held = std::rc::Rc::clone(&held);
        async move {
            for _ in (client..number).step_by(clients) {
                if field.is_over() {
                    return;
                }
                field.count(1);
                let Some(wire) = field.connect().await else {
                    continue;
                };
                // Readable without a request is only the end.
                match timeout(LOOK, wire.stream.readable()).await {
                    Err(_) => held.borrow_mut().push(wire),
                    Ok(_) => field.count_closed(),
                }
            }
        }
    };
    field.each(clients, client).await;
    let number = held.borrow().len();
    field.hold().await;
    number
}

async fn half_closed(field: Field) {
    let request = field.requests.get("/openapi.json");
    let client = |field: Field, client| {
        let request = request.clone();
        async move {
            while !field.is_over() {
                let Some(mut wire) = field.connect().await else {
                    continue;
                };
                field.count(1);
                let exchange = async {
                    if client % 2 == 0 {
                        wire.send(&request).await?;
                        wire.stream.shutdown().await?;
                        wire.all_answers().await
                    } else {
                        wire.send(&request[..request.len() - 4]).await?;
                        Ok(Vec::new())
                    }
                };
                match field.within(exchange).await {
                    Some(Ok(answers)) if answers.len() > 1 => {
                        field.found_wrong("one request has two answers");
                    }
                    Some(Ok(answers)) if answers.is_empty() => field.count_closed(),
                    Some(Ok(answers)) => field.count_answer(&answers[0]),
                    Some(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
                        field.found_wrong(format!("to a half-closed connection: {error}"));
                    }
                    Some(Err(_)) => field.count_closed(),
                    None => {}
                }
            }
        }
    };
    field.each(field.pick(32, 8), client).await;
}
