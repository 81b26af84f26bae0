//! The same server without the sandbox: the component's crate, compiled natively, behind a plain
//! hyper server with the gateway's SQLite store. What the gateway is held against.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use anonymous_domains::error::Error;
use anonymous_domains::http::{App, Body};
use anonymous_domains::store::rows::Rows;
use anonymous_domains_gateway::store::sqlite::SqliteStore;
use anonymous_domains_protocol::problem::ErrorName;
use anyhow::Context as _;
use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::environment::{self, Native};
use crate::stores::Sqlite;

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
    listener.set_nonblocking(true)?;
    println!("listening on http://{}", listener.local_addr()?);
    let threads = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| work(listener.try_clone()?, directory, Arc::clone(&store))))
            .collect();
        for worker in workers {
            worker.join().expect("a worker panicked")?;
        }
        Ok(())
    })
}

/// One thread, which has an app of its own as an instance of the component has.
fn work(listener: TcpListener, directory: &Path, store: Arc<SqliteStore>) -> anyhow::Result<()> {
    let (_, settings) = environment::settings(directory)?;
    let app = Rc::new(Server {
        rows: Rows::new(Sqlite(store), Native),
        settings: Ok(settings),
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let app = Rc::clone(&app);
            tokio::task::spawn_local(async move {
                let service = service_fn(|request| answer(&app, request));
                // A connection that breaks off is the client's affair.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
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
