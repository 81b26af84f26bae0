//! Requests as HTTP has them, from devices and from operators.

use anonymous_domains_protocol::{base64url, jws::Algorithm};
use http::{HeaderValue, Request, Uri, header};

use super::Target;
use crate::{
    fixture::{self, NOW_MS, guid},
    input::{self, seed},
    server::{self, DOMAINS, ORIGIN, Server},
    targets::tokens,
};

/// A byte for the path, a byte for what the rest is: a body, a payload or a header that is then
/// signed by the machine, or an `Authorization`.
pub const DEVICE: Target = Target {
    name: "device_request",
    about: "devices' requests through HTTP: bodies, signed headers and payloads, tokens, paths",
    run: device,
    seeds: device_seeds,
    mutations: 1_500,
};

/// Up to eight requests with a valid operator's token, `METHOD PATH`, header fields, an empty line,
/// a body; `%%` between them.
pub const ADMIN: Target = Target {
    name: "admin_request",
    about: "operators' requests, imports among them: paths, queries, preconditions, bodies",
    run: admin,
    seeds: admin_seeds,
    mutations: 3_000,
};

const PATHS: [&str; 8] = [
    "living-room/register",
    "living-room/deregister",
    "guarded/register",
    "guarded/deregister",
    "full/register",
    "new-domain/register",
    "living-room/flashaccess/domain/v4",
    "nowhere/deregister",
];

fn device(bytes: &[u8]) {
    let (path, rest) = input::pick(&PATHS, bytes);
    let (kind, rest) = input::choice(rest);
    let url = format!("{ORIGIN}{DOMAINS}/{path}");
    let mut authorization = None;
    let (url, body) = match kind % 5 {
        0 => (url, rest.to_vec()),
        1 => {
            let body = signed(&protected(&url), rest);
            (url, body)
        }
        2 => {
            let body = signed(rest, &payload(1));
            (url, body)
        }
        3 => {
            authorization = HeaderValue::from_bytes(rest).ok();
            let body = signed(&protected(&url), &payload(1));
            (url, body)
        }
        // The path itself is the input, and the request is signed for it.
        _ => {
            let path = String::from_utf8_lossy(rest);
            let url = format!("{ORIGIN}/{path}");
            let body = signed(&protected(&url), &payload(1));
            (url, body)
        }
    };
    let Ok(uri) = url.parse::<Uri>() else { return };
    let request = Request::post(uri).header(header::CONTENT_TYPE, "application/jose+json");
    let Ok(mut request) = request.body(&body[..]) else {
        return;
    };
    if let Some(value) = authorization {
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    Server::with(|server| drop(server.send(request)));
}

/// The protected header of machine 1's requests to a URL.
fn protected(url: &str) -> Vec<u8> {
    let header = serde_json::json!({
        "typ": "domain-request",
        "alg": "ES256",
        "url": url,
        "jwk": fixture::ec_key(1).public_key().to_jwk(),
    });
    header.to_string().into()
}

fn payload(machine: u8) -> Vec<u8> {
    let iat = NOW_MS / 1000;
    let payload = serde_json::json!({ "machineGuid": guid(machine), "iat": iat });
    payload.to_string().into()
}

/// A request that machine 1 signed, whatever its header and payload are.
pub(super) fn signed(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let protected = base64url::encode(protected);
    let payload = base64url::encode(payload);
    let message = format!("{protected}.{payload}");
    let signature = Algorithm::ES256.sign(&fixture::ec_key(1), message.as_bytes());
    let signature = base64url::encode(&signature.expect("it can be signed"));
    let body = serde_json::json!({
        "protected": protected, "payload": payload, "signature": signature,
    });
    body.to_string().into()
}

fn device_seeds() -> Vec<Vec<u8>> {
    let url = format!("{ORIGIN}{DOMAINS}/living-room/register");
    let iat = NOW_MS / 1000;
    let known = format!(
        r#"{{"machineGuid":"{}","iat":{iat}.5,"knownKeyVersion":1,"currentDomain":"other"}}"#,
        guid(1)
    );
    let preview = format!(
        r#"{{"machineGuid":"{}","iat":{iat},"preview":true}}"#,
        guid(1)
    );
    let x5c: Vec<_> = fixture::machine_chain(1)
        .iter()
        .map(|der| base64url::encode_standard(der))
        .collect();
    let mut header: serde_json::Value =
        serde_json::from_slice(&protected(&url)).expect("it was written just now");
    header["x5c"] = x5c.into();
    let with_chain = header.to_string();
    let bearer = format!("Bearer {}", tokens::valid_token());
    let mut seeds = vec![
        seed(&[&[0, 1], known.as_bytes()]),
        seed(&[&[0, 1], &payload(9)]),
        seed(&[&[1, 1], preview.as_bytes()]),
        seed(&[&[1, 1], &payload(1)]),
        seed(&[&[0, 2], &protected(&url)]),
        seed(&[&[0, 2], with_chain.as_bytes()]),
        seed(&[&[2, 3], bearer.as_bytes()]),
        seed(&[&[3, 3], b"Bearer x.y.z"]),
        seed(&[&[0, 4], b"flashaccess/domainserver/a%2Eb//register/"]),
        seed(&[&[0, 4], b"drm/flashaccess/domainserver/a/register?x=1"]),
    ];
    for path in 0..PATHS.len() as u8 {
        let url = format!("{ORIGIN}{DOMAINS}/{}", PATHS[usize::from(path)]);
        let body = signed(&protected(&url), &payload(1));
        seeds.push(seed(&[&[path, 0], &body]));
    }
    seeds
}

fn admin(bytes: &[u8]) {
    Server::with(|server| {
        for text in input::split(bytes, b"\n%%\n").into_iter().take(8) {
            match operators_request(text) {
                // The last line of an import is counted before it is refused.
                Some(request) if is_last_line(request.body()) => server.send_step(request),
                Some(request) => server.send(request),
                None => continue,
            };
        }
    });
}

fn is_last_line(body: &[u8]) -> bool {
    let line = serde_json::from_slice::<serde_json::Value>(body);
    line.is_ok_and(|line| line["part"] == "end")
}

/// The request of a text, if it is one that an HTTP server would let pass.
fn operators_request(text: &[u8]) -> Option<Request<&[u8]>> {
    let (head, body) = input::split_once(text, b"\n\n");
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let (method, path) = lines.next()?.split_once(' ')?;
    let uri: Uri = format!("{ORIGIN}/admin/v1{path}").parse().ok()?;
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .header(
            header::AUTHORIZATION,
            format!("Bearer {}", fixture::ADMIN_TOKEN),
        )
        .header(header::CONTENT_TYPE, "application/json");
    for line in lines {
        let (name, value) = line.split_once(':')?;
        request = request.header(name, value.trim());
    }
    request.body(body).ok()
}

fn admin_seeds() -> Vec<Vec<u8>> {
    let one = guid(1);
    let mut seeds: Vec<Vec<u8>> = [
        "GET /domains?limit=2&after=full".to_owned(),
        "GET /domains/living-room".to_owned(),
        "HEAD /domains/living-room/members?limit=1".to_owned(),
        format!("GET /domains/living-room/members?after={one}"),
        format!("DELETE /domains/living-room/members/{one}"),
        "GET /domains/living-room/blocked".to_owned(),
        format!("PUT /domains/living-room/blocked/{one}\n%%\nDELETE /domains/living-room/blocked/{one}"),
        "POST /domains/living-room/rollover\n%%\nGET /domains/living-room/keys".to_owned(),
        "POST /domains/living-room/reissue\n%%\nPOST /reseal?limit=1".to_owned(),
        "PUT /domains/living-room\nif-match: \"1\"\n\n{\"maxMembership\":3,\"authenticationRequired\":true,\"authNamespace\":\"tv\"}".to_owned(),
        "PUT /domains/another\nif-none-match: *\n\n{}\n%%\nDELETE /domains/another\n%%\nPUT /domains/another\n\n{\"maxMembership\":0}".to_owned(),
        "DELETE /domains/full\n%%\nGET /domains/full\n%%\nGET /check?limit=3".to_owned(),
        "POST /check?after=full".to_owned(),
        "GET /export".to_owned(),
        "POST /domains/living-room/export?limit=1".to_owned(),
    ]
    .map(String::into_bytes)
    .into();
    let lines = exported();
    let id = base64url::encode(&[5; 32]);
    let take = |replace: &str| {
        let requests = lines.iter().map(|line| {
            format!("PUT /domains/living-room/import?import={id}&replace={replace}\n\n{line}")
        });
        requests.collect::<Vec<_>>().join("\n%%\n").into_bytes()
    };
    seeds.push(take("false"));
    seeds.push(take("true"));
    let whole = |middle: &[u8]| seed(&[b"DELETE /domains/living-room\n%%\n", middle]);
    seeds.push(whole(&take("false")));
    seeds.extend(
        lines.iter().map(|line| {
            format!("PUT /domains/living-room/import?import={id}\n\n{line}").into_bytes()
        }),
    );
    seeds
}

/// The lines of the export of `living-room`.
pub(super) fn exported() -> Vec<String> {
    Server::with(|server| {
        let mut lines = Vec::new();
        let mut after = String::new();
        loop {
            let path = format!("/domains/living-room/export?{after}");
            let response = server.send(server::admin("POST", &path, b""));
            let page: serde_json::Value =
                serde_json::from_slice(response.body()).expect("a page of an export");
            lines.push(page["part"].to_string());
            match page["next"].as_str() {
                Some(next) => after = format!("after={next}"),
                None => break lines,
            }
        }
    })
}
