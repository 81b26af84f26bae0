//! Traces, as a small collector receives them.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    thread::JoinHandle,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span,
};
use prost::Message as _;

use super::*;

/// A collector for one batch of spans.
fn collector() -> (String, JoinHandle<Vec<Span>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let receive = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut length = 0;
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head.push(line);
        }
        assert!(head[0].starts_with("post /v1/traces "), "{head:?}");
        assert!(head.contains(&"content-type: application/x-protobuf".to_owned()));
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
        let resources = request.resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    };
    (url, std::thread::spawn(receive))
}

fn headers(traceparent: Option<&'static str>) -> HeaderMap {
    let parent = traceparent.map(http::HeaderValue::from_static);
    let name = http::HeaderName::from_static("traceparent");
    parent
        .into_iter()
        .map(|value| (name.clone(), value))
        .collect()
}

fn begin(traces: &Traces, headers: &HeaderMap) -> Trace {
    let id = RequestId::of(headers);
    traces.begin(headers, "POST", "/a/{domain}", "/a/b", &id)
}

#[test]
fn a_request_its_component_and_its_store_calls_are_one_trace() {
    let (url, received) = collector();
    let traces = Traces::new(&url, 1.0).unwrap();
    let trace = begin(
        &traces,
        &headers(Some(
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )),
    );
    assert_eq!(trace.id().unwrap(), "0af7651916cd43dd8448eb211c80319c");
    trace.begin_component();
    for outcome in [StoreOutcome::Ok, StoreOutcome::Error] {
        let call = trace.begin_store_call(Operation::Get).unwrap();
        call.end(outcome);
    }
    trace.end_component();
    assert!(trace.begin_store_call(Operation::Get).is_none());
    trace.end(503);
    traces.end();

    let spans = received.join().unwrap();
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let server = named("POST /a/{domain}");
    assert_eq!(
        server.parent_span_id,
        [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]
    );
    assert_eq!(server.kind, 2);
    assert_eq!(server.status.as_ref().unwrap().code, 2);
    let keys: Vec<_> = server.attributes.iter().map(|a| a.key.as_str()).collect();
    for key in [
        "http.route",
        "http.request.method",
        "http.response.status_code",
        "request_id",
    ] {
        assert!(keys.contains(&key), "{keys:?}");
    }
    let component = named("component");
    assert_eq!(component.parent_span_id, server.span_id);
    let calls: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "store get")
        .collect();
    assert_eq!(calls.len(), 2);
    for call in calls {
        assert_eq!(call.parent_span_id, component.span_id);
        assert_eq!(call.trace_id, server.trace_id);
    }
}

#[test]
fn the_client_decides_and_else_the_ratio() {
    let sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let not_sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    // Nobody listens there.
    let url = "http://127.0.0.1:9";
    let (all, none) = (
        Traces::new(url, 1.0).unwrap(),
        Traces::new(url, 0.0).unwrap(),
    );
    for (traces, traceparent, expected) in [
        (&all, None, true),
        (&none, None, false),
        (&none, Some(sampled), true),
        (&all, Some(not_sampled), false),
        (&all, Some("nonsense"), true),
    ] {
        let trace = begin(traces, &headers(traceparent));
        assert_eq!(trace.id().is_some(), expected, "{traceparent:?}");
        trace.begin_component();
        assert_eq!(trace.begin_store_call(Operation::Set).is_some(), expected);
    }
    assert!(Traces::new("no url at all", 1.0).is_err());
}
