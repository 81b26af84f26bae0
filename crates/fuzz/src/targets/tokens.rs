//! Authentication tokens and the issuer's keys.

use anonymous_domains::authentication::{KeySet, TokenVerifier};
use anonymous_domains_protocol::{base64url, jwk::KeyType, jws::Algorithm};
use serde_json::Value;

use super::Target;
use crate::{
    fixture::{self, NOW_MS},
    input::{self, seed},
};

/// A byte chooses what the rest is: a token, or the claims or the header of one that the issuer
/// signs.
pub const TOKEN: Target = Target {
    name: "token",
    about: "authentication tokens: no other than the issuer's is valid, and none out of its time",
    run: token,
    seeds: token_seeds,
    mutations: 2_000,
};

/// `auth_jwks`.
pub const ISSUER_KEYS: Target = Target {
    name: "issuer_keys",
    about: "JWK Sets of token issuers",
    run: issuer_keys,
    seeds: issuer_keys_seeds,
    mutations: 3_000,
};

const HEADER: &[u8] = br#"{"alg":"ES256","kid":"issuer","typ":"JWT"}"#;

fn claims() -> Vec<u8> {
    let (now, soon) = (NOW_MS / 1000, NOW_MS / 1000 + 600);
    let claims = serde_json::json!({
        "iss": "https://issuer.example", "aud": ["domains"], "ns": "tv",
        "iat": now, "nbf": now, "exp": soon,
    });
    claims.to_string().into()
}

fn signed(header: &[u8], claims: &[u8]) -> String {
    let message = format!(
        "{}.{}",
        base64url::encode(header),
        base64url::encode(claims)
    );
    let signature = Algorithm::ES256.sign(&fixture::token_key(), message.as_bytes());
    let signature = base64url::encode(&signature.expect("it can be signed"));
    format!("{message}.{signature}")
}

/// A token for the domain `guarded`.
pub(super) fn valid_token() -> String {
    signed(HEADER, &claims())
}

fn verifier() -> TokenVerifier {
    TokenVerifier {
        keys: KeySet::from_json(fixture::issuer_keys()).expect("they do"),
        issuer: Some("https://issuer.example".to_owned()),
        audience: Some("domains".to_owned()),
        namespace_claim: "ns".to_owned(),
    }
}

fn token(bytes: &[u8]) {
    let (kind, rest) = input::choice(bytes);
    let verifier = verifier();
    let is_valid = |token: &str| verifier.verify(token, Some("tv"), NOW_MS).is_ok();
    match kind % 3 {
        0 => {
            let token = String::from_utf8_lossy(rest);
            // Who has no key of the issuer's has only what it once signed.
            assert!(!is_valid(&token) || *token == valid_token());
        }
        1 => {
            if is_valid(&signed(HEADER, rest)) {
                let claims: Value = serde_json::from_slice(rest).expect("valid claims are JSON");
                assert_eq!(claims["iss"], "https://issuer.example");
                assert_eq!(claims["ns"], "tv");
                let exp = claims["exp"].as_f64().expect("exp is required");
                assert!(exp * 1000.0 + 60_000.0 >= NOW_MS as f64 - 1.0);
                if let Some(nbf) = claims["nbf"].as_f64() {
                    assert!(nbf * 1000.0 - 60_000.0 <= NOW_MS as f64 + 1.0);
                }
                let aud = &claims["aud"];
                let is_in = aud
                    .as_array()
                    .is_some_and(|all| all.iter().any(|one| one == "domains"));
                assert!(is_in || aud == "domains");
            }
        }
        _ => {
            if is_valid(&signed(rest, &claims())) {
                let header: Value = serde_json::from_slice(rest).expect("a valid header is JSON");
                assert_eq!(header["alg"], "ES256");
                assert!(header.get("crit").is_none() && header.get("b64").is_none());
                assert!(header.get("kid").is_none_or(|kid| kid == "issuer"));
            }
        }
    }
}

fn token_seeds() -> Vec<Vec<u8>> {
    let string_aud =
        br#"{"iss":"https://issuer.example","aud":"domains","ns":"tv","exp":1795376489.5}"#;
    vec![
        seed(&[&[0], valid_token().as_bytes()]),
        seed(&[&[0], b"eyJhbGciOiJub25lIn0.e30."]),
        seed(&[&[1], &claims()]),
        seed(&[&[1], string_aud]),
        seed(&[&[1], br#"{"exp":1e400,"nbf":-1}"#]),
        seed(&[&[2], HEADER]),
        seed(&[&[2], br#"{"alg":"ES256","crit":["b64"],"b64":false}"#]),
        seed(&[&[2], br#"{"alg":"EdDSA","jwk":{},"jku":"http://a"}"#]),
    ]
}

fn issuer_keys(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Err(wrong) = KeySet::from_json(text) {
        assert!(!wrong.is_empty());
        // The set could be private: nothing of its values is repeated.
        assert!(wrong.iter().all(|line| line.starts_with("auth_jwks")));
        if text.contains(fixture::PASSWORD) {
            let shown = wrong.iter().any(|line| line.contains(fixture::PASSWORD));
            assert!(!shown, "{wrong:?}");
        }
    }
}

fn issuer_keys_seeds() -> Vec<Vec<u8>> {
    let rsa = fixture::rsa_key().public_key().to_jwk();
    assert_eq!(
        fixture::rsa_key().public_key().key_type(),
        Some(KeyType::Rsa2048)
    );
    let ed25519 = serde_json::json!({
        "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "ed",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    let secret = serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "d": fixture::PASSWORD });
    let symmetric = serde_json::json!({ "kty": "oct", "k": fixture::PASSWORD });
    let set = |keys: &[&Value]| serde_json::json!({ "keys": keys }).to_string().into_bytes();
    vec![
        fixture::issuer_keys().as_bytes().to_vec(),
        set(&[&rsa, &ed25519]),
        set(&[&ed25519, &ed25519]),
        set(&[&secret]),
        set(&[&symmetric]),
        format!("{{\"keys\":[\"{}\"]}}", fixture::PASSWORD).into(),
        format!("{}{{", fixture::PASSWORD).into(),
    ]
}
