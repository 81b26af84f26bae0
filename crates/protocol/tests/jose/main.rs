//! The protocol crate from outside: the RFCs' own vectors, other libraries' messages, and every
//! rule of strictness.

mod jwe;
mod jwk;
mod jws;
mod request;
mod wycheproof;

use std::sync::OnceLock;

use anonymous_domains_protocol::jwk::{KeyType, PrivateKey};
use serde_json::Value;

/// The examples A.2 (RSA) and A.3 (EC) of RFC 7515: `key`, a private JWK, and `compact`, a JWS.
fn rfc7515(example: &str) -> Value {
    vectors(include_str!("vectors/rfc7515.json"))[example].clone()
}

/// A message that another library made with the keys of RFC 7515.
fn interop(name: &str) -> String {
    text(include_str!("vectors/interop.json"), name)
}

/// A key or certificate that openssl wrote.
fn openssl(name: &str) -> String {
    text(include_str!("vectors/openssl.json"), name)
}

fn vectors(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

fn text(json: &str, name: &str) -> String {
    vectors(json)[name].as_str().unwrap().to_owned()
}

fn rsa_key() -> PrivateKey {
    PrivateKey::from_jwk(&rfc7515("A.2")["key"]).unwrap()
}

fn ec_key() -> PrivateKey {
    PrivateKey::from_jwk(&rfc7515("A.3")["key"]).unwrap()
}

/// An RSA key that nothing else knows, made once: it is slow.
fn other_rsa_key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::generate(KeyType::Rsa2048))
}
