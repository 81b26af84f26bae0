//! Connections and streams that end early.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::watch,
};

use super::*;
use crate::http::{
    connection::tests::connection,
    drive::{
        drive,
        tests::{get, http2},
    },
};

const SIZE: usize = 100_000;

/// Answers with [`SIZE`] bytes; with half of them to `/halfway`, and with nothing to `/after`.
#[derive(Clone)]
struct Answers;

impl Answer for Answers {
    type Body = FaultyBody;
    type Error = Disconnected;

    async fn answer(
        self,
        request: Request<Incoming>,
        connection: Arc<Connection>,
    ) -> Result<Response<FaultyBody>, Disconnected> {
        let unsent = UnsentResponse::from(Bytes::from(vec![b'x'; SIZE]));
        let body = unsent.send(connection.begin(), request.version());
        match request.uri().path() {
            "/after" => Err(Disconnected),
            "/halfway" => Ok(Response::new(FaultyBody::half(body))),
            _ => Ok(Response::new(FaultyBody::whole(body))),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn with_http_1_the_connection_ends_when_half_was_sent() {
    let (_draining, drain) = watch::channel(());
    for (path, sent) in [("/after", 0), ("/halfway", SIZE / 2)] {
        let (mut client, server) = tokio::io::duplex(64);
        let drain = drain.clone();
        tokio::spawn(async move { drive(server, &connection(), &Answers, drain).await });
        let request = format!("GET {path} HTTP/1.1\r\nhost: h\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.unwrap();
        let head = received.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let body = head.map_or(0, |end| received.len() - end - 4);
        assert_eq!(body, sent);
        if sent > 0 {
            let head = String::from_utf8_lossy(&received[..head.unwrap()]).to_lowercase();
            assert!(head.contains(&format!("content-length: {SIZE}")), "{head}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn with_http_2_the_stream_ends_and_the_connection_goes_on() {
    let (_draining, drain) = watch::channel(());
    let (client, server) = tokio::io::duplex(64);
    tokio::spawn(async move { drive(server, &connection(), &Answers, drain).await });
    let (client, _connection) = http2(client, 1 << 20).await;
    let mut client = client.ready().await.unwrap();

    let (response, _) = client.send_request(get("/after"), true).unwrap();
    assert!(response.await.unwrap_err().is_reset());
    for (path, sent, ends) in [("/halfway", SIZE / 2, false), ("/", SIZE, true)] {
        let (response, _) = client.send_request(get(path), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let mut length = 0;
        let end = loop {
            match body.data().await {
                Some(Ok(data)) => {
                    length += data.len();
                    body.flow_control().release_capacity(data.len()).unwrap();
                }
                end => break end,
            }
        };
        assert_eq!((length, end.is_none()), (sent, ends), "{path}");
    }
}
