//! `wasi:http/incoming-handler@0.2`.
//!
//! A host makes an instance for each request, and its calls block. So the futures of the domain logic
//! never wait for anything but a call of the host, and need no runtime: see [`ready`].

mod body;
mod request;
mod response;

/// What the host offers of `wasi:http`, generated from `wit/`.
pub mod bindings {
    wit_bindgen::generate!({
        world: "incoming",
        path: "wit",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_handler",
    });
}

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

pub use self::bindings::{
    export_handler,
    exports::wasi::http0_2_0::incoming_handler::Guest,
    wasi::http0_2_0::types::{IncomingRequest, ResponseOutparam},
};
use self::{
    bindings::wasi::{http0_2_0::types, io::streams},
    types::ErrorCode,
};
use crate::{environment::Environment, http::App, store::Store};

/// Answers a request.
pub fn answer<S: Store, E: Environment>(
    app: &App<S, E>,
    request: IncomingRequest,
    out: ResponseOutparam,
) {
    match request::head(&request) {
        Some(head) => response::send(ready(app.answer(&head, body::Incoming(request))), out),
        None => ResponseOutparam::set(out, Err(ErrorCode::HttpRequestUriInvalid)),
    }
}

/// The value of a future that never waits.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("every call of a WASI 0.2 host blocks"),
    }
}
