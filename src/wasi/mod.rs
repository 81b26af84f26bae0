//! The component's side of its world: `wasi:http` in, `wasi:keyvalue` and the rest out.
//!
//! There are two builds, by cargo feature: `wasi-p3` exports `wasi:http/handler@0.3`, and `wasi-p2`
//! exports `wasi:http/incoming-handler@0.2`, for hosts that do not have the other. A component may
//! export one of them only. All else is the same.

mod bindings;
mod environment;
mod instance;
mod keyvalue;
#[cfg(feature = "wasi-p2")]
mod p2;
#[cfg(feature = "wasi-p3")]
mod p3;

#[cfg(all(feature = "wasi-p2", feature = "wasi-p3"))]
compile_error!("a component exports one handler: build wasi-p2 with --no-default-features");
#[cfg(not(any(feature = "wasi-p2", feature = "wasi-p3")))]
compile_error!("choose the handler to export: the feature wasi-p2 or wasi-p3");

#[cfg(feature = "wasi-p3")]
#[spin_sdk::http_service]
async fn handle(
    request: spin_sdk::http::Request,
) -> Result<p3::Response, spin_sdk::wasip3::http::types::ErrorCode> {
    p3::answer(&instance::app(), request).await
}

#[cfg(feature = "wasi-p2")]
struct Handler;

#[cfg(feature = "wasi-p2")]
impl p2::Guest for Handler {
    fn handle(request: p2::IncomingRequest, out: p2::ResponseOutparam) {
        p2::answer(&instance::app(), request, out);
    }
}

#[cfg(feature = "wasi-p2")]
p2::export_handler!(Handler with_types_in p2::bindings);
