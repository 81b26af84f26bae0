//! What the gateway makes of a request's head before the component gets it.

use std::net::IpAddr;

use anonymous_domains_gateway::{
    http::{forwarded::client_address, target::make_absolute},
    limits::Network,
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Version,
    header::{FORWARDED, HOST},
    uri::Scheme,
};

use super::Target;
use crate::input::{self, seed};

/// A byte for who connects; then header lines, each with a byte for which of the two headers it is.
pub const FORWARDED_FOR: Target = Target {
    name: "forwarded",
    about: "Forwarded and X-Forwarded-For: nobody but a trusted proxy is believed",
    run: forwarded,
    seeds: forwarded_seeds,
    mutations: 10_000,
};

/// A byte for the version and the method; a line with the target; lines with hosts.
pub const REQUEST_TARGET: Target = Target {
    name: "request_target",
    about: "the targets and hosts of requests, and public_path_prefix",
    run: request_target,
    seeds: request_target_seeds,
    mutations: 10_000,
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

fn trusted() -> [Network; 2] {
    ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().expect("a network"))
}

fn forwarded(bytes: &[u8]) {
    let (remote, rest) = input::choice(bytes);
    let remotes = [
        "10.0.0.1",
        "192.0.2.7",
        "::ffff:10.0.0.1",
        "2001:db8::1",
        "::1",
    ];
    let remote: IpAddr = remotes[usize::from(remote) % remotes.len()]
        .parse()
        .expect("an address");
    let mut headers = HeaderMap::new();
    for line in input::split(rest, b"\n").into_iter().take(16) {
        let (kind, value) = input::choice(line);
        let name = match kind & 1 {
            0 => X_FORWARDED_FOR,
            _ => FORWARDED,
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    let trusted = trusted();
    let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
    let found = client_address(remote, &trusted, &headers);
    assert_eq!(found, found.to_canonical());
    if !is_trusted(remote) || headers.is_empty() {
        assert_eq!(found, remote.to_canonical());
    }
    assert_eq!(
        client_address(remote, &[], &headers),
        remote.to_canonical(),
        "nobody is trusted"
    );
    // What a client writes before what a proxy adds makes no difference.
    if is_trusted(remote) {
        let mut proxied = headers.clone();
        proxied.remove(FORWARDED);
        proxied.append(X_FORWARDED_FOR, HeaderValue::from_static("203.0.113.5"));
        let found = client_address(remote, &trusted, &proxied);
        assert_eq!(found.to_string(), "203.0.113.5");
    }
}

fn forwarded_seeds() -> Vec<Vec<u8>> {
    vec![
        seed(&[&[0], b"0203.0.113.9, 192.0.2.1,10.0.0.2"]),
        seed(&[&[0], b"1for=\"[2001:db8:cafe::17]:4711\";by=10.0.0.1"]),
        seed(&[
            &[0],
            b"1host=\"a,for=9.9.9.9;b\";for=192.0.2.43\n0192.0.2.43",
        ]),
        seed(&[&[1], b"0192.0.2.1:80\n010.0.0.2"]),
        seed(&[&[2], b"1for=192.0.2.43, for=_hidden"]),
        seed(&[&[3], b"1for=\"\\\"192.0.2.43"]),
    ]
}

fn request_target(bytes: &[u8]) {
    let (kind, rest) = input::choice(bytes);
    let mut lines = input::split(rest, b"\n").into_iter();
    let target = lines.next().unwrap_or_default();
    let version = match kind & 3 {
        0 => Version::HTTP_10,
        1 => Version::HTTP_2,
        _ => Version::HTTP_11,
    };
    let method = match kind & 4 {
        0 => Method::GET,
        _ => Method::CONNECT,
    };
    let Ok(target) = std::str::from_utf8(target) else {
        return;
    };
    let Ok(mut request) = Request::builder()
        .version(version)
        .method(method)
        .uri(target)
        .body(())
    else {
        return;
    };
    for host in lines.take(3) {
        if let Ok(host) = HeaderValue::from_bytes(host) {
            request.headers_mut().append(HOST, host);
        }
    }
    let given = request.uri().clone();
    let local = (kind & 8 == 0).then_some(([127, 0, 0, 1], 3000).into());
    if make_absolute(&mut request, Scheme::HTTPS, local, "/prefix").is_err() {
        return;
    }
    let uri = request.uri().clone();
    assert_eq!(uri.scheme(), Some(&Scheme::HTTPS));
    let authority = uri.authority().expect("it is absolute");
    assert!(!authority.host().is_empty() && !authority.as_str().contains('@'));
    assert!(uri.path().starts_with('/'));
    // No part of the path is changed but the prefix that goes.
    let path = given.path();
    let without = path.strip_prefix("/prefix").unwrap_or(path);
    assert!(uri.path() == without || uri.path() == path || path.is_empty());
    // It is a URI that reads as the same.
    let printed: http::Uri = uri.to_string().parse().expect("what was printed reads");
    assert_eq!(printed, uri);
}

fn request_target_seeds() -> Vec<Vec<u8>> {
    vec![
        seed(&[&[2], b"/a?b=c\nh:80"]),
        seed(&[&[2], b"/prefix/a//b%20c\n[::1]:3000"]),
        seed(&[&[2], b"http://u:1/prefix/prefix/a\nh"]),
        seed(&[&[0], b"/prefix/a"]),
        seed(&[&[1], b"https://h?x\nh"]),
        seed(&[&[2], b"*\nh"]),
        seed(&[&[6], b"h:80\nh:80"]),
        seed(&[&[2], b"/\nu@h\nh"]),
        seed(&[&[2], b"/\nh@h:80"]),
    ]
}
