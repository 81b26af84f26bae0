//! Requests whose ends two servers may see in different places.
//!
//! Behind each stands a second request. If a gateway answered it although a proxy in front took it for
//! the body of the first one, that would be *request smuggling*: the answer would go to somebody else.

use std::time::Duration;

use tokio::{io::AsyncWriteExt as _, time::timeout};

use super::{Attack, DEFAULT};
use crate::{
    field::{Field, SOURCE},
    requests::Requests,
    wire::{Answer, Wire},
};

/// How long the gateway may take to end a connection that it refused something on.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "smuggling",
        what: "two lengths, a length and chunks, folded fields, lone line feeds, malformed chunks",
        unit: "request",
        limit: "refused, or answered once; then the connection ends",
        settings: DEFAULT,
        run: |field| Box::pin(smuggling(field)),
    },
    Attack {
        name: "wrong-lengths",
        what: "bodies that are shorter or longer than their length",
        unit: "request",
        limit: "at most one answer to a request; the connection ends",
        settings: DEFAULT,
        run: |field| Box::pin(wrong_lengths(field)),
    },
];

/// What must happen to a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Expected {
    /// One answer, 4xx. The connection ends.
    Refused,
    /// One answer, whatever it is. The connection ends.
    AnsweredOnce,
    /// One answer to each of both requests: it is clear where the first ends.
    BothAnswered,
}

/// The start of a `POST`, up to the fields that are in question, and all after them.
struct Shape {
    name: &'static str,
    fields: &'static str,
    body: &'static str,
    expected: Expected,
}

const fn shape(
    name: &'static str,
    fields: &'static str,
    body: &'static str,
    expected: Expected,
) -> Shape {
    Shape {
        name,
        fields,
        body,
        expected,
    }
}

use Expected::{AnsweredOnce, BothAnswered, Refused};

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

const SHAPES: &[Shape] = &[
    shape("a length", "Content-Length: 2\r\n", "{}", BothAnswered),
    shape(
        "two lengths",
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "{}",
        Refused,
    ),
    shape(
        "a list of lengths",
        "Content-Length: 2, 3\r\n",
        "{}",
        Refused,
    ),
    shape("a negative length", "Content-Length: -2\r\n", "{}", Refused),
    shape(
        "a length with a sign",
        "Content-Length: +2\r\n",
        "{}",
        Refused,
    ),
    shape(
        "a length in hexadecimal",
        "Content-Length: 0x2\r\n",
        "{}",
        Refused,
    ),
    shape(
        "a length beyond 64 bits",
        "Content-Length: 18446744073709551618\r\n",
        "{}",
        Refused,
    ),
    shape(
        "a space before the colon",
        "Content-Length : 2\r\n",
        "{}",
        Refused,
    ),
    shape(
        "a folded field",
        "X-Folded: a\r\n Content-Length: 2\r\n",
        "",
        Refused,
    ),
    shape(
        "a carriage return in a field",
        "X-Odd: a\rContent-Length: 2\r\n",
        "",
        Refused,
    ),
    shape("a zero byte in a field", "X-Odd: a\0b\r\n", "", Refused),
    shape("a field without a name", ": a\r\n", "", Refused),
    shape(
        "a length, then chunks",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "0\r\n\r\n",
        AnsweredOnce,
    ),
    shape(
        "chunks, then a length",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "0\r\n\r\n",
        AnsweredOnce,
    ),
    shape(
        "chunks that are not the last encoding",
        "Transfer-Encoding: chunked, identity\r\n",
        "0\r\n\r\n",
        Refused,
    ),
    shape(
        "an unknown encoding",
        "Transfer-Encoding: xchunked\r\n",
        "0\r\n\r\n",
        Refused,
    ),
    shape(
        "a vertical tab before chunked",
        "Transfer-Encoding: \x0bchunked\r\n",
        "0\r\n\r\n",
        Refused,
    ),
    shape("chunks", CHUNKED, "2\r\n{}\r\n0\r\n\r\n", BothAnswered),
    shape(
        "a chunk extension",
        CHUNKED,
        "2;a=b\r\n{}\r\n0\r\n\r\n",
        BothAnswered,
    ),
    shape(
        "a line feed in a chunk extension",
        CHUNKED,
        "2;a\nb\r\n{}\r\n0\r\n\r\n",
        Refused,
    ),
    shape(
        "a line feed after a chunk's size",
        CHUNKED,
        "2\n{}\r\n0\r\n\r\n",
        Refused,
    ),
    shape(
        "a chunk with a sign",
        CHUNKED,
        "+2\r\n{}\r\n0\r\n\r\n",
        Refused,
    ),
    shape(
        "a chunk in hexadecimal",
        CHUNKED,
        "0x2\r\n{}\r\n0\r\n\r\n",
        Refused,
    ),
    shape(
        "a chunk beyond 64 bits",
        CHUNKED,
        "10000000000000002\r\n{}\r\n0\r\n\r\n",
        Refused,
    ),
    shape(
        "a chunk that goes on",
        CHUNKED,
        "2\r\n{}xx0\r\n\r\n",
        Refused,
    ),
    shape(
        "chunks in HTTP/1.0",
        CHUNKED,
        "2\r\n{}\r\n0\r\n\r\n",
        Refused,
    ),
];

async fn smuggling(field: Field) {
    let client = |field: Field, client: usize| async move {
        for shape in SHAPES.iter().skip(client).step_by(CLIENTS) {
            one(&field, shape, client).await;
        }
        // Once more, for as long as there is time.
        for shape in SHAPES.iter().cycle().skip(client).step_by(CLIENTS) {
            if field.is_over() {
                return;
            }
            one(&field, shape, client).await;
        }
    };
    field.each(CLIENTS, client).await;
    // Each line of these ends with a line feed alone.
    let lone = last(&field.requests).replace('\r', "");
    field.count(1);
    let answers = exchange(&field, lone.as_bytes()).await;
    check(&field, "lone line feeds", &answers, AnsweredOnce);
}

const CLIENTS: usize = 2;

/// Sends one shape with a second request behind it.
async fn one(field: &Field, shape: &Shape, client: usize) {
    let mut requests = field.requests.clone();
    // Rates are no part of this.
    requests.client = format!("203.0.113.{}", 200 + client);
    let head = requests.head("POST", "/flashaccess/domainserver/d/register", &[]);
    let head = head.trim_end();
    let head = match shape.name {
        "chunks in HTTP/1.0" => head.replace("HTTP/1.1", "HTTP/1.0"),
        _ => head.to_owned(),
    };
    let fields = format!("Content-Type: application/jose+json\r\n{}", shape.fields);
    let mut bytes = format!("{head}\r\n{fields}\r\n{}", shape.body).into_bytes();
    bytes.extend(last(&requests).as_bytes());
    field.count(1);
    let answers = exchange(field, &bytes).await;
    check(field, shape.name, &answers, shape.expected);
}

/// The second request, which says that it is the last.
fn last(requests: &Requests) -> String {
    requests.head("GET", "/healthz", &[("Connection", "close")])
}

/// Sends bytes, and reads what comes until the gateway ends the connection.
async fn exchange(field: &Field, bytes: &[u8]) -> Result<Vec<Answer>, String> {
    let exchange = async {
        let mut wire = Wire::connect(SOURCE, field.server).await?;
        wire.send(bytes).await?;
        wire.all_answers().await
    };
    match timeout(PATIENCE, exchange).await {
        Ok(Ok(answers)) => Ok(answers),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the connection stays open".to_owned()),
    }
}

fn check(field: &Field, name: &str, answers: &Result<Vec<Answer>, String>, expected: Expected) {
    let answers = match answers {
        Ok(answers) => answers,
        Err(error) => return field.found_wrong(format!("{name}: {error}")),
    };
    for answer in answers {
        field.count_answer(answer);
    }
    if answers.is_empty() {
        field.count_closed();
    }
    if let Err(wrong) = judge(answers, expected) {
        field.found_wrong(format!("{name}: {wrong}"));
    }
}

/// What is wrong with these answers.
fn judge(answers: &[Answer], expected: Expected) -> Result<(), String> {
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    let is_right = match expected {
        Refused => matches!(&statuses[..], [] | [400..=499]),
        AnsweredOnce => statuses.len() == 1,
        BothAnswered => matches!(&statuses[..], [_, 200 | 429]),
    };
    is_right
        .then_some(())
        .ok_or_else(|| format!("the answers are {statuses:?}"))
}

async fn wrong_lengths(field: Field) {
    let body = "{\"protected\":\"\"}";
    let client = |field: Field, client: usize| async move {
        let mut turn = client;
        while !field.is_over() {
            let short = turn.is_multiple_of(2);
            turn += 1;
            let length = (if short {
                body.len() + 10
            } else {
                body.len() - 4
            })
            .to_string();
            let fields = [
                ("Content-Type", "application/jose+json"),
                ("Content-Length", &length),
            ];
            let path = "/flashaccess/domainserver/d/register";
            let request = field.requests.head("POST", path, &fields) + body;
            let Some(mut wire) = field.connect().await else {
                continue;
            };
            field.count(1);
            let exchange = async {
                wire.send(request.as_bytes()).await?;
                wire.stream.shutdown().await?;
                wire.all_answers().await
            };
            let Ok(answers) = timeout(PATIENCE, exchange).await else {
                field.found_wrong("a wrong length: the connection stays open");
                continue;
            };
            let answers = match answers {
                Ok(answers) => answers,
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                    field.found_wrong(format!("a wrong length: {error}"));
                    continue;
                }
                Err(_) => Vec::new(),
            };
            for answer in &answers {
                field.count_answer(answer);
                if !(400..500).contains(&answer.status) {
                    field.found_wrong(format!("a wrong length is answered by {}", answer.status));
                }
            }
            // What is too much is the start of another request, a malformed one.
            if answers.len() > if short { 1 } else { 2 } {
                field.found_wrong(format!("a wrong length has {} answers", answers.len()));
            }
            if answers.is_empty() {
                field.count_closed();
            }
        }
    };
    field.each(field.pick(8, 2), client).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_right_depends_on_the_shape() {
        let answers = |statuses: &[u16]| {
            let answer = |status: &u16| Answer {
                status: *status,
                closes: true,
                body: Vec::new(),
            };
            statuses.iter().map(answer).collect::<Vec<_>>()
        };
        for (statuses, refused, once, both) in [
            (&[][..], true, false, false),
            (&[400], true, true, false),
            (&[200], false, true, false),
            (&[400, 200], false, false, true),
            (&[400, 404], false, false, false),
        ] {
            let answers = answers(statuses);
            let is_right = |expected| judge(&answers, expected).is_ok();
            let found = (
                is_right(Refused),
                is_right(AnsweredOnce),
                is_right(BothAnswered),
            );
            assert_eq!(found, (refused, once, both), "{statuses:?}");
        }
    }
}
