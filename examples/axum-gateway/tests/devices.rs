//! The program, with real devices.
//!
//! `cargo xtask test` names the component and the device's command by `ANONYMOUS_DOMAINS_COMPONENT`
//! and `ANONYMOUS_DOMAINS_DEVICE`. Where they are not set, this test says so and passes.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
};

use anonymous_domains_testkit::{Gateway, component_and_device, domain_life};

/// The whole response to `GET` of a path.
fn get(server: &Gateway, path: &str) -> String {
    let address = server.origin.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn devices_join_and_leave_beside_other_routes() {
    let Some((component, device)) = component_and_device() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_axum-gateway"));
    command
        .arg("127.0.0.1:0")
        .arg(directory.path().join("state"))
        .arg(component);
    let server = Gateway::start(command).unwrap();

    let prefix = format!("{}/domains-api", server.origin);
    domain_life(&device, directory.path(), &prefix).unwrap();
    assert!(get(&server, "/channels").ends_with("one\ntwo\n"));
    assert!(get(&server, "/").starts_with("HTTP/1.1 200 OK\r\n"));
    let health = get(&server, "/domains-api/healthz");
    assert!(
        health.ends_with(r#"{"status":"ok","store":"ok","ca":"ok"}"#),
        "{health}"
    );
    // An error of the server, and one of axum.
    let missing = get(&server, "/domains-api/nothing");
    assert!(
        missing.starts_with("HTTP/1.1 404 Not Found\r\n"),
        "{missing}"
    );
    assert!(missing.contains("application/problem+json"), "{missing}");
    let missing = get(&server, "/healthz");
    assert!(
        missing.starts_with("HTTP/1.1 404 Not Found\r\n"),
        "{missing}"
    );
    assert!(!missing.contains("application/problem+json"), "{missing}");
}
