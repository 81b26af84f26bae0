//! Hosts the component on wasmtime and hyper, with tables in memory:
//! `embed-wasmtime [ADDR:PORT [COMPONENT]]`

#![forbid(unsafe_code)]

mod imports;
mod settings;

use std::{pin::Pin, sync::Arc};

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use http::{Request, Response, Uri, header::HOST, uri::Scheme};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use imports::{Instance, Shared};
use tokio::net::TcpListener;
use wasmtime::{
    Config, Engine, Store,
    component::{Component, Linker},
};
use wasmtime_wasi_http::{Error, WasiBody, WasiHttpView as _, p3, p3::bindings::ServicePre};

/// The longest request, in bytes. The component has limits of its own, below this.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// The compiled component, and what its instances share.
struct Host {
    engine: Engine,
    component: ServicePre<Instance>,
    shared: Arc<Shared>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:3000".to_owned());
    let built = "target/wasm32-wasip2/component/anonymous_domains.wasm".to_owned();
    let component = arguments.next().unwrap_or(built);
    let host = Arc::new(Host::new(&component).with_context(|| component)?);
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let host = Arc::clone(&host);
        tokio::spawn(async move {
            let service = service_fn(|request| host.answer(request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                eprintln!("a connection ended: {error:?}");
            }
        });
    }
}

impl Host {
    fn new(component: &str) -> anyhow::Result<Self> {
        let mut config = Config::new();
        config.wasm_wide_arithmetic(true);
        let engine = Engine::new(&config)?;
        let mut linker = Linker::new(&engine);
        imports::link(&mut linker)?;
        let component = Component::from_file(&engine, component)?;
        Ok(Self {
            component: ServicePre::new(linker.instantiate_pre(&component)?)?,
            engine,
            shared: Arc::new(Shared::new(settings::make()?)),
        })
    }

    /// Has a new instance of the component answer a request. An error closes the connection.
    async fn answer(&self, request: Request<Incoming>) -> anyhow::Result<Response<Full<Bytes>>> {
        let (mut head, body) = request.into_parts();
        // The component has the server's name from the URI only.
        let host = head.headers.get(HOST).context("no Host header")?;
        let mut uri = head.uri.into_parts();
        uri.authority = Some(host.as_bytes().try_into()?);
        uri.scheme = Some(Scheme::HTTP);
        head.uri = Uri::from_parts(uri)?;
        let body = Limited::new(body, MAX_BYTES).collect().await;
        let body = Full::new(body.map_err(|error| anyhow!(error))?.to_bytes());
        let body: WasiBody = body.map_err(|never| match never {}).boxed_unsync();
        let request = Request::from_parts(head, body);

        let mut store = Store::new(&self.engine, Instance::new(Arc::clone(&self.shared)));
        let service = self.component.instantiate_async(&mut store).await?;
        store
            .run_concurrent(async |accessor| {
                let (request, sent) = accessor.with(|mut store| {
                    let (request, sent) = p3::Request::from_http(store.get().http().hooks, request);
                    // The end of the transfer of the request's body.
                    let sent: Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> =
                        Box::pin(sent);
                    (request, sent)
                });
                let response = service.handle(accessor, request).await??;
                let response = accessor.with(|mut store| response.into_http(&mut store, sent))?;
                let (head, body) = response.into_parts();
                let body = body.collect().await?.to_bytes();
                anyhow::Ok(Response::from_parts(head, Full::new(body)))
            })
            .await?
    }
}
