//! The same server without the sandbox: the component's crate, compiled natively, behind a plain
//! hyper server with the gateway's SQLite store. What the gateway is held against.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    rc::Rc,
    sync::Arc,
};

use anonymous_domains::{
    error::Error,
    http::{App, Body},
    settings::Settings,
    store::rows::Limits,
    tables::Tables,
};
use anonymous_domains_gateway::store::sqlite::SqliteStore;
use anonymous_domains_protocol::problem::ErrorName;
use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response, Uri, header::HOST};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;

use crate::{
    environment::{self, Native},
    stores::Sqlite,
};

type Server = App<Sqlite, Native>;

/// Serves the state directory on as many threads as the machine has cores, until it is killed.
/// Prints the gateway's line when it can.
///
/// # Errors
///
/// If it cannot begin to serve.
pub fn serve(listen: SocketAddr, directory: &Path) -> anyhow::Result<()> {
    let (state, _) = environment::settings(directory)?;
    let store = Arc::new(SqliteStore::open(&state.store())?);
    let listener = TcpListener::bind(listen).context("cannot listen")?;
    println!("listening on http://{}", listener.local_addr()?);
    let threads = std::thread::available_parallelism()?.get();
    let mut workers = Vec::new();
    for _ in 0..threads {
        let (connections, accepted) = mpsc::unbounded_channel();
        let (_, settings) = environment::settings(directory)?;
        let store = Arc::clone(&store);
        std::thread::spawn(move || work(accepted, settings, store));
        workers.push(connections);
    }
    // In turn, so that all have as much to do.
    for worker in workers.iter().cycle() {
        let (stream, _) = listener.accept()?;
        worker.send(stream).context("a worker ended")?;
    }
    Ok(())
}

/// One thread, which has an app of its own as an instance of the component has.
fn work(
    mut accepted: mpsc::UnboundedReceiver<TcpStream>,
    settings: Settings,
    store: Arc<SqliteStore>,
) -> anyhow::Result<()> {
    let rows = Tables::new(
        Sqlite(store),
        Native,
        settings.key_digests(),
        Limits::default(),
    );
    let app = Rc::new(Server::new(rows, Ok(settings)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        while let Some(stream) = accepted.recv().await {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let stream = tokio::net::TcpStream::from_std(stream)?;
            let app = Rc::clone(&app);
            tokio::task::spawn_local(async move {
                let service = service_fn(|request| answer(&app, request));
                // A connection that breaks off is the client's affair.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
        Ok(())
    })
}

async fn answer(
    app: &Server,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, http::Error> {
    let (mut head, body) = request.into_parts();
    let host = head
        .headers
        .get(HOST)
        .map_or(&b""[..], |host| host.as_bytes());
    head.uri = Uri::builder()
        .scheme("http")
        .authority(host)
        .path_and_query(head.uri.path())
        .build()?;
    let response = app.answer(&head, Whole(body)).await;
    Ok(response.map(|body| Full::new(Bytes::from(body))))
}

struct Whole(Incoming);

impl Body for Whole {
    async fn read(self, limit: usize) -> Result<Vec<u8>, Error> {
        match Limited::new(self.0, limit).collect().await {
            Ok(body) => Ok(body.to_bytes().into()),
            Err(_) => Err(Error::refused(
                ErrorName::InvalidRequest,
                "the body is too large or broke off",
            )),
        }
    }
}
