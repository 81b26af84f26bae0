//! An issuer, and what its tokens must and must not be.

mod claims;
mod forgeries;
mod keys;
mod vectors;
mod wycheproof;

use std::sync::LazyLock;

use anonymous_domains_protocol::{
    base64url,
    jwk::{KeyType, PrivateKey},
    jws,
};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

use super::{InvalidToken, KeySet, TokenVerifier};

/// 2026-11-22T19:41:28Z.
const NOW_S: i64 = 1_795_376_488;

/// One key of each kind for the whole run: to make an RSA key takes long.
static RSA: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(KeyType::Rsa2048));
static EC: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(KeyType::EcP256));
static OTHER_EC: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(KeyType::EcP256));
static ED: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_bytes(&[7; 32]));

/// The public JWK of a key, with members added.
fn jwk(key: &PrivateKey, members: Value) -> Value {
    merged(key.public_key().to_jwk(), members)
}

/// [`ED`]'s public JWK, with members added.
fn ed_jwk(members: Value) -> Value {
    let x = base64url::encode(ED.verifying_key().as_bytes());
    merged(json!({"kty": "OKP", "crv": "Ed25519", "x": x}), members)
}

/// The usual set: one key of each kind.
fn usual_keys() -> Vec<Value> {
    vec![
        jwk(&RSA, json!({"kid": "rsa"})),
        jwk(&EC, json!({"kid": "ec", "use": "sig"})),
        ed_jwk(json!({"kid": "ed"})),
    ]
}

/// `base` with the members of `changes`; a null takes a member out.
fn merged(mut base: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => base.as_object_mut().unwrap().remove(name),
            _ => base
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    base
}

fn key_set(keys: &[Value]) -> Result<KeySet, Vec<String>> {
    KeySet::from_json(&json!({ "keys": keys }).to_string())
}

/// A verifier of the set's tokens, of the issuer and audience of [`usual_claims`].
fn verifier(keys: &[Value]) -> TokenVerifier {
    TokenVerifier {
        keys: key_set(keys).unwrap(),
        issuer: Some("https://issuer.example".into()),
        audience: Some("domains".into()),
        namespace_claim: "ns".into(),
    }
}

fn usual_claims(changes: Value) -> Value {
    let usual = json!({
        "iss": "https://issuer.example",
        "aud": "domains",
        "exp": NOW_S + 600,
        "ns": "acme",
    });
    merged(usual, changes)
}

/// A token over exactly these texts, its signature made for the algorithm `alg`.
fn sign(alg: &str, header: &str, claims: &str) -> String {
    let encoded = |text: &str| base64url::encode(text.as_bytes());
    sign_input(alg, &format!("{}.{}", encoded(header), encoded(claims)))
}

fn sign_input(alg: &str, input: &str) -> String {
    let message = input.as_bytes();
    let signature = match alg {
        "RS256" => jws::Algorithm::RS256.sign(&RSA, message).unwrap(),
        "PS256" => jws::Algorithm::PS256.sign(&RSA, message).unwrap(),
        "ES256" => jws::Algorithm::ES256.sign(&EC, message).unwrap(),
        _ => ED.sign(message).to_bytes().to_vec(),
    };
    format!("{input}.{}", base64url::encode(&signature))
}

/// A token with the usual claims, and header members added to `alg`.
fn token(alg: &str, header: Value) -> String {
    let header = merged(json!({"alg": alg, "typ": "JWT"}), header);
    sign(
        alg,
        &header.to_string(),
        &usual_claims(json!({})).to_string(),
    )
}

/// Verifies against a set of keys, for a domain of the namespace `acme`.
fn verify_under(keys: &[Value], token: &str) -> Result<(), InvalidToken> {
    verifier(keys).verify(token, Some("acme"), NOW_S * 1000)
}

/// Verifies against the usual set.
fn verify(token: &str) -> Result<(), InvalidToken> {
    verify_under(&usual_keys(), token)
}
