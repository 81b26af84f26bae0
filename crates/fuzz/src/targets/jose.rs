//! Keys, signed requests and encrypted messages.

use anonymous_domains_device::{
    certificate::Chain, credentials, domain_url::DomainUrl, state_directory::Identity,
};
use anonymous_domains_protocol::{
    base64url, json, jwe,
    jwk::{PrivateKey, PublicKey},
    request::SignedRequest,
    response::RegisterResponse,
};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Target, requests};
use crate::{
    fixture::{self, ec_key},
    input::{self, seed},
    server::{self, Server},
};

/// A byte chooses whether the rest is a JWK or a SubjectPublicKeyInfo.
pub const JWK: Target = Target {
    name: "jwk",
    about: "public keys as JWK and as SubjectPublicKeyInfo",
    run: jwk,
    seeds: jwk_seeds,
    mutations: 5_000,
};

/// A byte chooses the form: JWK, PEM or PKCS#8.
pub const PRIVATE_KEY: Target = Target {
    name: "private_key",
    about: "private keys as JWK, PEM and PKCS#8",
    run: private_key,
    seeds: private_key_seeds,
    mutations: 2_000,
};

/// A request's body.
pub const SIGNED_REQUEST: Target = Target {
    name: "signed_request",
    about: "requests as flattened JWS, and strict JSON",
    run: signed_request,
    seeds: signed_request_seeds,
    mutations: 3_000,
};

/// A byte chooses the key and whether the rest is a message to encrypt, with changes before it, or
/// one to decrypt.
pub const JWE: Target = Target {
    name: "jwe",
    about: "messages encrypted to machines: they open with the right key only, and unchanged",
    run: jwe,
    seeds: jwe_seeds,
    mutations: 800,
};

/// What a server answers to a device.
pub const ANSWER: Target = Target {
    name: "device_answer",
    about: "a server's answer, as a device reads and checks it",
    run: answer,
    seeds: answer_seeds,
    mutations: 1_000,
};

fn jwk(bytes: &[u8]) {
    let (kind, rest) = input::choice(bytes);
    let read = match kind % 2 {
        0 => {
            let value = serde_json::from_slice::<Value>(rest).ok();
            value.and_then(|value| PublicKey::from_jwk(&value).ok())
        }
        _ => PublicKey::from_spki_der(rest).ok(),
    };
    let Some(key) = read else { return };
    let jwk = key.to_jwk();
    let again = PublicKey::from_jwk(&jwk).expect("what was printed reads");
    assert_eq!(again, key);
    assert_eq!(again.to_jwk(), jwk);
    let der = key.to_spki_der();
    let again = PublicKey::from_spki_der(&der).expect("what was printed reads");
    assert_eq!(again, key);
    assert_eq!(again.thumbprint(), key.thumbprint());
    // Only one encoding of a key is read.
    if kind % 2 == 1 && matches!(key, PublicKey::Rsa(_)) {
        assert_eq!(der, rest);
    }
}

fn jwk_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for key in [fixture::rsa_key(), &ec_key(1)] {
        let public = key.public_key();
        seeds.push(seed(&[&[0], public.to_jwk().to_string().as_bytes()]));
        seeds.push(seed(&[&[1], &public.to_spki_der()]));
        seeds.push(seed(&[&[0], key.to_jwk().as_bytes()]));
    }
    seeds.push(seed(&[
        &[0],
        br#"{"kty":"EC","crv":"P-256","x":"AA","y":""}"#,
    ]));
    seeds
}

fn private_key(bytes: &[u8]) {
    let (kind, rest) = input::choice(bytes);
    let text = std::str::from_utf8(rest).ok();
    let key = match kind % 3 {
        0 => {
            let value = serde_json::from_slice::<Value>(rest).ok();
            value.and_then(|value| PrivateKey::from_jwk(&value).ok())
        }
        1 => {
            let stated = text.and_then(|text| PrivateKey::stated_public_key(text).ok());
            let key = text.and_then(|text| PrivateKey::from_pem(text).ok());
            if key.is_some() {
                assert!(stated.is_some(), "a key that reads states its public half");
            }
            key
        }
        _ => PrivateKey::from_pkcs8_der(rest).ok(),
    };
    let Some(key) = key else { return };
    let jwk = key.to_jwk();
    let value = serde_json::from_str(&jwk).expect("what was printed is JSON");
    let again = PrivateKey::from_jwk(&value).expect("what was printed reads");
    assert_eq!(again.to_jwk(), jwk);
    let again = PrivateKey::from_pem(&key.to_pkcs8_pem()).expect("what was printed reads");
    assert_eq!(again.to_jwk(), jwk);
    let again = PrivateKey::from_pkcs8_der(&key.to_pkcs8_der()).expect("what was printed reads");
    assert_eq!(again.public_key(), key.public_key());
    assert!(PublicKey::from_jwk(&value).is_err(), "it is private");
    let shown = format!("{key:?}");
    assert!(shown.len() < 24, "{shown}");
}

fn private_key_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for key in [fixture::rsa_key(), &ec_key(1)] {
        seeds.push(seed(&[&[0], key.to_jwk().as_bytes()]));
        seeds.push(seed(&[&[1], key.to_pkcs8_pem().as_bytes()]));
        seeds.push(seed(&[&[2], &key.to_pkcs8_der()]));
    }
    seeds
}

fn signed_request(bytes: &[u8]) {
    // Strict JSON is JSON, and means the same.
    if let Ok(strict) = json::from_slice_strict(bytes) {
        let plain: Value = serde_json::from_slice(bytes).expect("strict JSON is JSON");
        assert_eq!(strict, plain);
        let printed = strict.to_string();
        let again = json::from_slice_strict(printed.as_bytes());
        let again = again.expect("what was printed reads");
        // The library is not exact to the last bit of a fraction.
        assert!(again == strict || printed.contains('.') || printed.contains('e'));
    }
    let Ok(request) = SignedRequest::parse(bytes) else {
        return;
    };
    let key = request.machine_key().clone();
    assert!(request.algorithm().fits(&key));
    let chain = request.x5c().map(<[Vec<u8>]>::to_vec);
    if let Some(chain) = &chain {
        assert!(Chain::parse(chain.clone()).is_ok());
    }
    if let Ok(verified) = request.verify() {
        assert_eq!(*verified.machine_key(), key);
        assert_eq!(verified.x5c().map(<[Vec<u8>]>::to_vec), chain);
    }
}

fn signed_request_seeds() -> Vec<Vec<u8>> {
    let (_, joining) = server::join(1, "living-room");
    let (_, leaving) = server::leave(1, "living-room", true);
    let payload = br#"{"machineGuid":"01010101-0101-0101-0101-010101010101","iat":1}"#;
    let x5c: Vec<_> = fixture::machine_chain(1)
        .iter()
        .map(|der| base64url::encode_standard(der))
        .collect();
    let header = serde_json::json!({
        "typ": "domain-request", "alg": "ES256", "url": "http://a/b",
        "jwk": ec_key(1).public_key().to_jwk(), "x5c": x5c,
    });
    vec![
        joining.into(),
        leaving.into(),
        requests::signed(header.to_string().as_bytes(), payload),
        br#"{"a":[1,-2,2.5e3,true,null,"\u00e9"],"b":{"a":{}}}"#.to_vec(),
    ]
}

fn jwe(bytes: &[u8]) {
    let (kind, rest) = input::choice(bytes);
    let (own, other) = (ec_key(1), ec_key(2));
    // RSA is slow: seldom.
    let own = match kind % 32 {
        31 => fixture::rsa_key(),
        _ => &own,
    };
    if kind & 0x40 == 0 {
        let text = String::from_utf8_lossy(rest);
        // Nobody has encrypted to this key what is here.
        assert!(jwe::decrypt(&text, &ec_key(3)).is_err());
        let _ = jwe::decrypt(&text, own);
        return;
    }
    let (changes, content) = input::take::<6>(rest);
    let secret = Zeroizing::new(content.to_vec());
    let message = jwe::encrypt(secret, &own.public_key(), "jwk-set+json");
    let message = message.expect("it is short");
    let opened = jwe::decrypt(&message, own).expect("it opens with the right key");
    assert_eq!(*opened, content);
    assert!(jwe::decrypt(&message, &other).is_err());
    let mut changed = message.into_bytes();
    if input::change(&mut changed, &changes)
        && let Ok(changed) = String::from_utf8(changed)
    {
        assert!(jwe::decrypt(&changed, own).is_err(), "it was changed");
    }
}

fn jwe_seeds() -> Vec<Vec<u8>> {
    let encrypted = |key: &PrivateKey| {
        let content = Zeroizing::new(b"{\"keys\":[]}".to_vec());
        jwe::encrypt(content, &key.public_key(), "jwk-set+json").expect("it is short")
    };
    vec![
        seed(&[&[0], encrypted(&ec_key(1)).as_bytes()]),
        seed(&[&[31], encrypted(fixture::rsa_key()).as_bytes()]),
        seed(&[&[0x40], &[0, 3, 1, 0, 0, 0], b"content"]),
        seed(&[&[0x41], &[0, 200, 1, 1, 0, 2]]),
        seed(&[&[0x5f], &[0, 200, 1, 1, 0, 2], b"to RSA"]),
    ]
}

fn identity() -> Identity {
    Identity {
        guid: fixture::guid(1),
        key: ec_key(1),
    }
}

fn answer(bytes: &[u8]) {
    // The set of private keys, encrypted here: the server is the one that lies.
    let (answer, set) = input::split_once(bytes, b"\n\n");
    let Ok(mut answer) = serde_json::from_slice::<RegisterResponse>(answer) else {
        return;
    };
    if !set.is_empty() {
        let set = Zeroizing::new(set.to_vec());
        let encrypted = jwe::encrypt(set, &ec_key(1).public_key(), "jwk-set+json");
        answer.encrypted_keys = encrypted.ok();
    }
    let url = format!("{}{}/{}/", server::ORIGIN, server::DOMAINS, answer.domain);
    let url = DomainUrl::parse(&url).expect("it is one");
    let Ok(held) = credentials::open(&answer, &url, &identity()) else {
        return;
    };
    assert_eq!(held.len(), answer.credentials.len());
    for held in held {
        let anchors = [fixture::ca().der.clone()];
        if credentials::check(&held, url.domain(), &anchors).is_ok() {
            let key = PrivateKey::from_pem(&held.private_key).expect("it was checked");
            let chain = credentials::chain(&held.credential).expect("it was checked");
            let version = held.credential.key_version;
            assert_eq!(
                chain.check_leaf(url.domain(), version, &key.public_key()),
                Ok(())
            );
        }
        let _ = credentials::check_dates(&held, 1_795_376_488);
    }
}

fn answer_seeds() -> Vec<Vec<u8>> {
    let (url, body) = server::join(1, "living-room");
    let answer = Server::with(|server| {
        let response = server.send(server::post(&url, body.as_bytes()));
        response.into_body()
    });
    let read: RegisterResponse = serde_json::from_slice(&answer).expect("an answer");
    let encrypted = read.encrypted_keys.clone().unwrap_or_default();
    let set = jwe::decrypt(&encrypted, &ec_key(1)).expect("it is ours");
    vec![
        answer.clone(),
        seed(&[&answer, b"\n\n", &set]),
        seed(&[&answer, b"\n\n{\"keys\":[]}"]),
    ]
}
