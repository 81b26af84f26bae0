//! A small native host for the Anonymous Domains component: the gateway, and a service for programs
//! that embed it.
//!
//! It embeds wasmtime, gives the component its key-value store (SQLite, PostgreSQL, Redis or your own) and its
//! settings, and limits both. It knows nothing about domains: it passes requests to the component
//! and responses to the client.
//!
//! # Embedding
//!
//! [`Domains`] is a [`tower::Service`](tower_service::Service) for HTTP requests. Here it is part
//! of an axum program:
//!
//! ```no_run
//! use anonymous_domains_gateway::Domains;
//! use axum::{Router, routing::get};
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let domains = Domains::builder()
//!     .component("anonymous_domains.wide.wasm")
//!     .state_directory("state")
//!     .setting("public_origin", "https://tv.example")
//!     .setting("public_path_prefix", "/domains-api")
//!     .build()
//!     .await?;
//! let app = Router::new()
//!     .route("/", get(async || "television"))
//!     .nest_service("/domains-api", domains);
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! axum::serve(listener, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Builder`] has the settings and limits, [`BuildError`] says why it failed.
//! `examples/axum-gateway` in the repository is a whole program.
//!
//! **The path.** A device signs the URL to which it sends a request, so the component must know the
//! whole path: under `/domains-api` that is the setting `public_path_prefix`. It compares the
//! signed path with the prefix and the path of the request, byte for byte, and certificates name
//! the URL with the prefix. The service takes requests with the prefix (as in a hyper program) or
//! without it (`nest_service` removes it). No other part of the path may be changed, and the
//! request must keep its `Host` header (HTTP/1.1) or authority (HTTP/2). Without the setting the
//! service has the root of its origin; it answers 404 to other paths than its own.
//!
//! **Operators' paths.** `/admin/v1` is part of the service if there is an `admin_token`, which a
//! state directory always has.
//!
//! **The store.** Implement [`Store`] to keep the tables elsewhere; [`store`] has what it needs.
//! The guarantees of the server hold if it keeps its contract.
//!
//! **The log** is [tracing](https://docs.rs/tracing) events, those of a request in a span with its
//! `request_id`. At more verbose levels than `warn`, `h2` and `hyper` would log header fields, and so
//! tokens.
//!
//! # The modules
//!
//! What is at the root of this crate, and [`store`], are for programs that embed it. The other
//! public modules are for the program `gateway`, the benchmarks and tests, and change without
//! notice.
//!
//! A module uses only modules below it in this list:
//!
//! 1. `main`: the command
//! 2. [`check`]: says whether a start would succeed
//! 3. [`run`], [`backup`]: serves until a signal comes; copies the store's file
//! 4. `reload`, `systemd`: what changes without a restart; what systemd is told
//! 5. `domains`: connects the parts
//! 6. [`http`]: connections, requests and responses
//! 7. [`worker`]: passes requests to instances of the component
//! 8. [`guest`], [`scheduler`], `idle_pool`: an instance and its requests, which instance computes,
//!    which are idle
//! 9. [`engine`]: compiles the component
//! 10. [`host`]: what an instance can import
//! 11. [`storage`]: opens the store, and completes the settings
//! 12. [`jwks`], [`tls`]: an issuer's keys, the certificate
//! 13. [`state`], [`telemetry`]: the state directory, the log
//! 14. [`cli`], [`ca`]: the command line, creating a CA
//! 15. [`limits`], [`settings`], [`store`], `client`: rates and networks, the component's settings
//!     and its key-value store, what counts as one client
//! 16. [`observation`]: what operators can watch
//! 17. `disk`, `toml_file`, `nearest`: whether a disk can be written; files with names and values; what
//!     was meant by a name

#![forbid(unsafe_code)]

pub mod backup;
pub mod ca;
pub mod check;
pub mod cli;
mod client;
mod disk;
mod domains;
pub mod engine;
pub mod guest;
pub mod host;
pub mod http;
mod idle_pool;
pub mod jwks;
pub mod limits;
mod nearest;
pub mod observation;
mod reload;
pub mod run;
pub mod scheduler;
pub mod settings;
pub mod state;
pub mod storage;
pub mod store;
mod systemd;
pub mod telemetry;
pub mod tls;
mod toml_file;
pub mod worker;

pub use domains::{Body, BuildError, BuildErrorKind, Builder, Domains};
pub use store::{Store, shared::Credentials};
