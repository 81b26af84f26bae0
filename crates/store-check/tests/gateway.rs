//! The component in the real gateway: both builds, on both of its stores, with a restart.
//!
//! `cargo xtask test` names the files by `ANONYMOUS_DOMAINS_GATEWAY`, `ANONYMOUS_DOMAINS_STORE_CHECK`
//! and `ANONYMOUS_DOMAINS_STORE_CHECK_P2`. Where they are not set, these tests say so and pass.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
};

use anonymous_domains_testkit::{Gateway, RedisServer};
use serde_json::Value;

/// How often all calls at once may be answered by the instance that wrote last.
const ROUNDS: usize = 20;

/// A file that the environment names.
fn file(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os(name);
    if path.is_none() {
        eprintln!("not run: {name} is not set; `cargo xtask test` sets it");
    }
    path.map(PathBuf::from)
}

/// Both builds.
fn components() -> Option<[PathBuf; 2]> {
    Some([
        file("ANONYMOUS_DOMAINS_STORE_CHECK")?,
        file("ANONYMOUS_DOMAINS_STORE_CHECK_P2")?,
    ])
}

/// The body of a response to `GET`, whose status must be 200.
fn get(url: &str, accept: &str) -> String {
    let rest = url.strip_prefix("http://").unwrap();
    let (authority, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(authority).unwrap();
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nhost: {authority}\r\naccept: {accept}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{response}");
    body.to_owned()
}

/// The report of a response.
fn report(url: &str) -> Value {
    let body = get(url, "application/json");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// What to call next, the nth.
fn next(report: &Value, nth: usize) -> &str {
    report["next"][nth]["call"].as_str().unwrap()
}

fn finding(report: &Value, check: &str) -> String {
    let mut checks = report["checks"].as_array().unwrap().iter();
    let outcome = checks.find(|outcome| outcome["check"] == check).unwrap();
    outcome["finding"].as_str().unwrap().to_owned()
}

/// A gateway's command. Its store is a Redis, or else SQLite.
fn command(component: &Path, state: &Path, redis: Option<&RedisServer>) -> Option<Command> {
    let gateway = file("ANONYMOUS_DOMAINS_GATEWAY")?;
    let mut command = Gateway::command(&gateway, component, state);
    command.args(["--listen", "127.0.0.1:0"]);
    if let Some(redis) = redis {
        command.arg("--store").arg(redis.url());
    }
    Some(command)
}

/// A whole run: the first request, requests that other instances answer, and one after a restart.
fn run(component: &Path, redis: Option<&mut RedisServer>) -> Option<()> {
    let state = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(command(component, state.path(), redis.as_deref())?).unwrap();
    let url = format!("{}/check", gateway.origin);
    let text = get(&url, "*/*");
    let headline = "Safe for Anonymous Domains: yes, as far as it was tested\n";
    assert!(text.starts_with(headline), "{text}");

    let first = report(&url);
    let mut other = first.clone();
    for _ in 0..ROUNDS {
        let call = next(&first, 0);
        let calls: Vec<_> = std::thread::scope(|scope| {
            let calls: Vec<_> = (0..4).map(|_| scope.spawn(|| report(call))).collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        let seen = calls
            .into_iter()
            .find(|report| finding(report, "instances") != "not-yet");
        if let Some(seen) = seen {
            other = seen;
            break;
        }
    }
    assert_eq!(finding(&other, "instances"), "fresh", "{other}");
    assert_eq!(other["complete"], false, "{other}");
    let (_, query) = next(&other, 0).split_once('?').unwrap();

    drop(gateway);
    let redis = redis.map(|redis| {
        redis.process.kill().unwrap();
        redis.restart().unwrap();
        &*redis
    });
    let gateway = Gateway::start(command(component, state.path(), redis)?).unwrap();
    let last = report(&format!("{}/check?{query}", gateway.origin));
    for outcome in last["checks"].as_array().unwrap() {
        assert_eq!(outcome["effect"], "good", "{outcome}");
    }
    assert_eq!(last["verdict"], "yes");
    assert_eq!(last["complete"], true);
    Some(())
}

#[test]
fn on_sqlite() {
    for component in components().iter().flatten() {
        run(component, None);
    }
}

#[test]
fn on_redis() {
    for component in components().iter().flatten() {
        let directory = tempfile::tempdir().unwrap();
        let mut redis = RedisServer::start(directory.path(), &[]).unwrap();
        run(component, Some(&mut redis));
    }
}

#[test]
fn a_state_directory_that_is_lost() {
    let Some([component, _]) = components() else {
        return;
    };
    let start = || {
        let state = tempfile::tempdir().unwrap();
        let gateway = Gateway::start(command(&component, state.path(), None)?).unwrap();
        Some((gateway, state))
    };
    let Some((gateway, state)) = start() else {
        return;
    };
    let first = report(&format!("{}/check", gateway.origin));
    let (_, query) = next(&first, 1).split_once('?').unwrap();
    drop((gateway, state));
    let Some((gateway, _state)) = start() else {
        return;
    };
    let last = report(&format!("{}/check?{query}", gateway.origin));
    assert_eq!(finding(&last, "restart"), "lost");
    assert_eq!(last["verdict"], "no");
}
