//! The device-domain server as a part of an axum program: `axum-gateway [ADDR:PORT [STATE
//! [COMPONENT]]]`

#![forbid(unsafe_code)]

use anonymous_domains_gateway::Domains;
use axum::{Router, routing::get};
use tokio::net::TcpListener;

/// Where the domain server is in this program.
const PREFIX: &str = "/domains-api";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:3000".to_owned());
    let state = arguments.next().unwrap_or("state".to_owned());
    let listener = TcpListener::bind(address).await?;
    let origin = format!("http://{}", listener.local_addr()?);

    let mut builder = Domains::builder()
        .state_directory(state)
        .setting("domain_key_type", "EC-P256")
        // Behind a proxy with TLS, what devices write: https://tv.example
        .setting("public_origin", &origin)
        .setting("public_path_prefix", PREFIX);
    if let Some(component) = arguments.next() {
        builder = builder.component(component);
    }
    let domains = builder.build().await?;

    let app = Router::new()
        .route("/", get(async || "This is a television service.\n"))
        .route("/channels", get(async || "one\ntwo\n"))
        .nest_service(PREFIX, domains);
    println!("listening on {origin}");
    axum::serve(listener, app).await?;
    Ok(())
}
