//! Wycheproof's vectors, through this layer. The other signatures' are tested with the protocol
//! crate, which they are from.

use std::fs;

use ::wycheproof::{
    TestResult,
    eddsa::{TestName, TestSet},
};
use anonymous_domains_protocol::base64url;
use serde_json::{Value, json};

use super::{InvalidToken, KeySet, TokenVerifier, key_set};
use crate::authentication::{Algorithm, object};

#[test]
fn ed25519() {
    let algorithm = Algorithm::from_name("EdDSA").unwrap();
    let set = TestSet::load(TestName::Ed25519).unwrap();
    for group in &set.test_groups {
        let x = base64url::encode(&group.key.pk);
        let keys = key_set(&[json!({"kty": "OKP", "crv": "Ed25519", "x": x})]).unwrap();
        for case in &group.tests {
            let verified = keys.verify(algorithm, None, &case.msg, &case.sig);
            let valid = case.result == TestResult::Valid;
            assert_eq!(verified, valid, "{}: {}", case.tc_id, case.comment);
        }
    }
    assert!(set.number_of_tests > 140);
}

/// The algorithms of theirs that are this server's.
const ALGORITHMS: [&str; 3] = ["RS256", "PS256", "ES256"];

/// The vectors, and those whose answer is another here: a modulus that can be factored (ROCA) is not
/// recognized. An operator chooses these keys.
const VECTORS: [(&str, &[u64]); 2] = [("json_web_signature", &[]), ("json_web_key", &[7])];

/// Tokens that are whole, of which only the claims are other things than claims.
#[test]
#[ignore = "WYCHEPROOF must name a clone of github.com/C2SP/wycheproof"]
fn json_web_signatures_and_keys() {
    let directory = std::env::var("WYCHEPROOF").unwrap();
    for (name, different) in VECTORS {
        let file = format!("{directory}/testvectors_v1/{name}_test.json");
        let set: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let mut number = [0, 0];
        let mut found = Vec::new();
        for group in set["testGroups"].as_array().unwrap() {
            let public = group.get("public").unwrap_or(&group["private"]);
            let keys = match public["keys"].as_array() {
                Some(keys) => keys.clone(),
                None => vec![public.clone()],
            };
            let keys = key_set(&keys);
            for case in group["tests"].as_array().unwrap() {
                // Some are JSON instead of text.
                let token = case["jws"].as_str().unwrap_or("{}");
                let verified = keys.as_ref().is_ok_and(|keys| is_signed(keys, token));
                let valid = case["result"] == "valid" && is_ours(token);
                if verified != valid {
                    found.push(case["tcId"].as_u64().unwrap());
                }
                number[usize::from(verified)] += 1;
            }
        }
        println!("{name}: {} refused, {} verified", number[0], number[1]);
        assert_eq!(found, different, "{name}");
    }
}

/// Whether a token is of an algorithm that this server takes.
fn is_ours(token: &str) -> bool {
    let header = token.split('.').next().unwrap_or_default();
    let header = object(header).unwrap_or_default();
    ALGORITHMS
        .map(Some)
        .contains(&header.get("alg").and_then(Value::as_str))
}

/// Whether a token is taken up to its claims: it is read as one, and its signature is right.
fn is_signed(keys: &KeySet, token: &str) -> bool {
    let verifier = TokenVerifier {
        keys: keys.clone(),
        issuer: None,
        audience: None,
        namespace_claim: "ns".into(),
    };
    let header = token.split('.').next().unwrap_or_default();
    match verifier.verified_claims(token) {
        Ok(_) => true,
        // The claims are read last.
        Err(InvalidToken::Malformed(what)) => {
            what.contains("not a JSON object") && object(header).is_ok()
        }
        Err(_) => false,
    }
}
