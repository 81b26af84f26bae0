use anonymous_domains_protocol::{
    base64url,
    ids::MachineGuid,
    jwk::PrivateKey,
    jws::{Algorithm, sign_flattened},
    request::{DeregisterRequest, RegisterRequest, RequestError, SignedRequest},
};
use serde_json::{Value, json};

use crate::{ec_key, openssl, rsa_key};

const URL: &str = "http://127.0.0.1:3000/flashaccess/domainserver/living-room/register";
const GUID: &str = "0d4f3a52-6f0e-4a8e-9d6a-2f1d1c2b3a4f";

fn header(key: &PrivateKey) -> Value {
    json!({
        "typ": "domain-request",
        "alg": Algorithm::default_for(key).as_str(),
        "jwk": key.public_key().to_jwk(),
        "url": URL,
    })
}

fn payload() -> Value {
    json!({ "machineGuid": GUID, "iat": 1_795_376_488 })
}

/// A request with the EC key, its header changed before it was signed.
fn signed(change: impl FnOnce(&mut Value)) -> String {
    let mut header = header(&ec_key());
    change(&mut header);
    sign_flattened(
        &header,
        payload().to_string().as_bytes(),
        Algorithm::ES256,
        &ec_key(),
    )
    .unwrap()
}

/// A request with the EC key, its JSON changed after it was signed.
fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut request = serde_json::from_str(&signed(|_| {})).unwrap();
    change(&mut request);
    request.to_string()
}

fn assert_invalid(body: &[u8]) {
    let parsed = SignedRequest::parse(body);
    assert!(
        matches!(parsed, Err(RequestError::Invalid(_))),
        "{}",
        String::from_utf8_lossy(body)
    );
}

#[test]
fn requests_round_trip() {
    let register = RegisterRequest {
        machine_guid: MachineGuid::parse(GUID).unwrap(),
        iat_ms: 1_795_376_488_123,
        current_domain: Some("living-room".to_owned()),
        known_key_version: Some(3),
    };
    let deregister = DeregisterRequest {
        machine_guid: register.machine_guid,
        iat_ms: 1_795_376_488_000,
        preview: true,
    };
    for key in [rsa_key(), ec_key()] {
        let body = register.sign(URL, &key).unwrap();
        let request = SignedRequest::parse(body.as_bytes()).unwrap();
        assert_eq!(request.url(), URL);
        assert_eq!(request.machine_key(), &key.public_key());
        assert_eq!(request.algorithm(), Algorithm::default_for(&key));
        assert_eq!(request.x5c(), None);
        let request = request.verify().unwrap();
        assert_eq!(
            RegisterRequest::from_payload(request.payload()),
            Ok(register.clone())
        );
        assert_eq!(request.payload_json().unwrap()["machineGuid"], GUID);

        let body = deregister.sign(URL, &key).unwrap();
        let request = SignedRequest::parse(body.as_bytes()).unwrap();
        let request = request.verify().unwrap();
        assert_eq!(
            DeregisterRequest::from_payload(request.payload()),
            Ok(deregister.clone())
        );
    }
}

#[test]
fn ps256_requests_are_accepted() {
    let key = rsa_key();
    let mut header = header(&key);
    header["alg"] = "PS256".into();
    let body = sign_flattened(
        &header,
        payload().to_string().as_bytes(),
        Algorithm::PS256,
        &key,
    )
    .unwrap();
    let request = SignedRequest::parse(body.as_bytes()).unwrap();
    assert_eq!(request.algorithm(), Algorithm::PS256);
    assert!(request.verify().is_ok());
}

#[test]
fn certificates_stand_in_for_the_key() {
    let certificate = openssl("A.3 certificate");
    let body = signed(|header| {
        header.as_object_mut().unwrap().remove("jwk");
        header["x5c"] = json!([certificate, openssl("A.2 certificate")]);
    });
    let request = SignedRequest::parse(body.as_bytes()).unwrap();
    assert_eq!(request.machine_key(), &ec_key().public_key());
    let chain = request.x5c().unwrap();
    assert_eq!(chain.len(), 2);
    assert_eq!(base64url::encode_standard(&chain[0]), certificate);
    assert!(request.verify().is_ok());
}

#[test]
fn malformed_chains_are_refused() {
    let certificate = openssl("A.3 certificate");
    let url_alphabet = certificate.replace('+', "-").replace('/', "_");
    for x5c in [
        json!(null),
        json!(certificate),
        json!([]),
        json!([1]),
        json!([""]),
        json!(["AAAA"]),
        json!([format!("{certificate}\n")]),
        json!([url_alphabet.trim_end_matches('=')]),
        json!([certificate, "AAAA"]),
        json!(vec![certificate.clone(); 9]),
        json!([openssl("P-384 certificate")]),
        // Of a key that ES256 does not fit.
        json!([openssl("A.2 certificate")]),
    ] {
        let body = signed(|header| {
            header.as_object_mut().unwrap().remove("jwk");
            header["x5c"] = x5c;
        });
        assert_invalid(body.as_bytes());
    }
}

#[test]
fn malformed_headers_are_refused() {
    let remove = |name: &'static str| {
        move |header: &mut Value| {
            header.as_object_mut().unwrap().remove(name);
        }
    };
    for name in ["typ", "alg", "jwk", "url"] {
        assert_invalid(signed(remove(name)).as_bytes());
        assert_invalid(signed(|header| header[name] = Value::Null).as_bytes());
        assert_invalid(signed(|header| header[name] = json!(1)).as_bytes());
    }
    for (name, value) in [
        ("typ", json!("JOSE")),
        ("typ", json!("Domain-Request")),
        ("typ", json!("application/domain-request")),
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("es256")),
        ("alg", json!("RS256")),
        ("jwk", json!("key")),
        ("jwk", rsa_key().public_key().to_jwk()),
        (
            "jwk",
            serde_json::from_str(&ec_key().to_jwk()).expect("a private JWK"),
        ),
        ("x5c", json!([openssl("A.3 certificate")])),
        ("crit", json!([])),
        ("crit", json!(["url"])),
        ("b64", json!(true)),
        ("url", json!(["http://x"])),
    ] {
        assert_invalid(signed(|header| header[name] = value).as_bytes());
    }
    let ignored = signed(|header| header["kid"] = json!({ "any": "thing" }));
    let request = SignedRequest::parse(ignored.as_bytes()).unwrap();
    assert!(request.verify().is_ok());
}

#[test]
fn malformed_bodies_are_refused() {
    let body = signed(|_| {});
    for bytes in [
        &b""[..],
        b"[]",
        b"null",
        b"{}",
        b"eyJ0eXAi.e30.AAAA",
        &body.as_bytes()[..body.len() - 1],
        format!("{body}{body}").as_bytes(),
        body.replacen('{', r#"{"payload":"e30","#, 1).as_bytes(),
        &[body.as_bytes(), b"\xff"].concat(),
    ] {
        assert_invalid(bytes);
    }
    for name in ["protected", "payload", "signature"] {
        assert_invalid(
            changed(|request| {
                request.as_object_mut().unwrap().remove(name);
            })
            .as_bytes(),
        );
        for value in [
            json!(null),
            json!(1),
            json!("*"),
            json!("AB"),
            json!("AA=="),
        ] {
            assert_invalid(changed(|request| request[name] = value).as_bytes());
        }
    }
    for (name, value) in [
        ("header", json!({})),
        ("header", json!({ "kid": "1" })),
        ("signatures", json!([])),
        ("protected", json!("")),
        ("protected", json!(base64url::encode(b"[]"))),
        (
            "protected",
            json!(base64url::encode(br#"{"typ":"domain-request","typ":"x"}"#)),
        ),
    ] {
        assert_invalid(changed(|request| request[name] = value).as_bytes());
    }
    let extended = changed(|request| request["other"] = json!(1));
    assert!(SignedRequest::parse(extended.as_bytes()).is_ok());
}

#[test]
fn what_was_not_signed_is_refused() {
    let other_payload = base64url::encode(br#"{"machineGuid":"x"}"#);
    let other_header = {
        let other: Value = serde_json::from_str(&signed(|header| {
            header["url"] = "http://elsewhere/".into();
        }))
        .unwrap();
        other["protected"].clone()
    };
    for (name, value) in [
        ("payload", json!(other_payload)),
        ("payload", json!("")),
        ("protected", other_header),
        ("signature", json!("")),
        ("signature", json!(base64url::encode(&[0; 64]))),
        ("signature", json!(base64url::encode(&[1; 63]))),
        ("signature", json!(base64url::encode(&[1; 64]))),
    ] {
        let body = changed(|request| request[name] = value);
        let request = SignedRequest::parse(body.as_bytes()).expect(name);
        assert_eq!(
            request.verify().err(),
            Some(RequestError::InvalidSignature),
            "{name}"
        );
    }
}

fn register(payload: &Value) -> Result<RegisterRequest, RequestError> {
    RegisterRequest::from_payload(payload.to_string().as_bytes())
}

#[test]
fn payloads_are_read() {
    let request = register(&payload()).unwrap();
    assert_eq!(request.machine_guid.to_string(), GUID);
    assert_eq!(request.iat_ms, 1_795_376_488_000);
    assert_eq!(request.current_domain, None);
    assert_eq!(request.known_key_version, None);

    let with = |name: &str, value: Value| {
        let mut payload = payload();
        payload[name] = value;
        payload
    };
    for (iat, ms) in [
        (json!(0), 0),
        (json!(1_795_376_488.25), 1_795_376_488_250),
        (json!(1_795_376_488.0), 1_795_376_488_000),
        (json!(253_402_300_799_u64), 253_402_300_799_000),
    ] {
        assert_eq!(register(&with("iat", iat)).unwrap().iat_ms, ms);
    }
    for (version, expected) in [
        (json!(1), 1),
        (json!(2.0), 2),
        (json!(u64::MAX), u64::MAX),
        (json!(1e30), u64::MAX),
    ] {
        let request = register(&with("knownKeyVersion", version)).unwrap();
        assert_eq!(request.known_key_version, Some(expected));
    }
    let request = register(&with("currentDomain", json!("anything at all"))).unwrap();
    assert_eq!(request.current_domain.as_deref(), Some("anything at all"));
    assert!(register(&with("other", json!(null))).is_ok());
    assert!(register(&with("preview", json!("ignored here"))).is_ok());

    let deregister = |payload: Value| {
        DeregisterRequest::from_payload(payload.to_string().as_bytes()).map(|it| it.preview)
    };
    assert_eq!(deregister(payload()), Ok(false));
    assert_eq!(deregister(with("preview", json!(true))), Ok(true));
    for preview in [json!(null), json!("true"), json!(1)] {
        assert!(deregister(with("preview", preview)).is_err());
    }
}

#[test]
fn malformed_payloads_are_refused() {
    for bytes in [
        &b""[..],
        b"[]",
        b"{}",
        br#"{"machineGuid":"0d4f3a52-6f0e-4a8e-9d6a-2f1d1c2b3a4f","iat":1,"iat":1}"#,
    ] {
        assert!(RegisterRequest::from_payload(bytes).is_err());
        assert!(DeregisterRequest::from_payload(bytes).is_err());
    }
    for (name, values) in [
        (
            "machineGuid",
            vec![
                json!(null),
                json!(1),
                json!(""),
                json!("00000000-0000-0000-0000-000000000000"),
                json!("ffffffff-ffff-ffff-ffff-ffffffffffff"),
                json!("0d4f3a526f0e4a8e9d6a2f1d1c2b3a4f"),
                json!("{0d4f3a52-6f0e-4a8e-9d6a-2f1d1c2b3a4f}"),
            ],
        ),
        (
            "iat",
            vec![
                json!(null),
                json!("1795376488"),
                json!(-1),
                json!(-0.5),
                json!(1e300),
                json!(253_402_300_800_u64),
                json!(1_795_376_488_000_u64),
                json!([1]),
            ],
        ),
        ("currentDomain", vec![json!(null), json!(1), json!({})]),
        (
            "knownKeyVersion",
            vec![
                json!(null),
                json!(0),
                json!(-1),
                json!(1.5),
                json!(0.0),
                json!("1"),
                json!(true),
            ],
        ),
    ] {
        for value in values {
            let mut payload = payload();
            payload[name] = value;
            assert!(register(&payload).is_err(), "{payload}");
        }
    }
}
