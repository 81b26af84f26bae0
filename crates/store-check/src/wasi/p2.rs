//! `wasi:http/incoming-handler@0.2`.

use self::bindings::{
    export_handler,
    exports::wasi::http0_2_0::incoming_handler::Guest,
    wasi::http0_2_0::types::{
        ErrorCode, Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse,
        ResponseOutparam, Scheme,
    },
};
use super::keyvalue::Wasi;
use crate::answer::{Request, Response, answer};

/// What the host offers of `wasi:http`, generated from the server's `wit/`.
mod bindings {
    wit_bindgen::generate!({
        world: "incoming",
        path: "../../wit",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_handler",
    });
}

struct Handler;

impl Guest for Handler {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        send(&answer(&Wasi, &read(&request)), out);
    }
}

export_handler!(Handler with_types_in bindings);

fn read(request: &IncomingRequest) -> Request {
    let scheme = match request.scheme() {
        Some(Scheme::Https) => "https",
        _ => "http",
    };
    let accept = request.headers().get("accept");
    let accept = accept.into_iter().next();
    Request {
        method: match request.method() {
            Method::Get => "GET".into(),
            // It is only compared with GET.
            _ => String::new(),
        },
        origin: request
            .authority()
            .map(|authority| format!("{scheme}://{authority}")),
        path_and_query: request.path_with_query().unwrap_or_else(|| "/".into()),
        accept: accept.and_then(|value| String::from_utf8(value).ok()),
    }
}

fn send(response: &Response, out: ResponseOutparam) {
    let headers: Vec<_> = response
        .headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    let refused = |what: &str| Err(ErrorCode::InternalError(Some(what.into())));
    let Ok(fields) = Fields::from_list(&headers) else {
        return ResponseOutparam::set(out, refused("the host refuses a header of the response"));
    };
    let outgoing = OutgoingResponse::new(fields);
    let body = outgoing.body();
    let (Ok(()), Ok(body)) = (outgoing.set_status_code(response.status), body) else {
        return ResponseOutparam::set(out, refused("the host refuses the response"));
    };
    ResponseOutparam::set(out, Ok(outgoing));
    let Ok(stream) = body.write() else { return };
    // The most that this call takes at a time.
    for chunk in response.body.as_bytes().chunks(4096) {
        if stream.blocking_write_and_flush(chunk).is_err() {
            // The client is gone.
            return;
        }
    }
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}
