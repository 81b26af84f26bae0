//! The RFCs' own examples, through this layer.

use serde_json::{Value, json};

use super::*;
use crate::authentication::Algorithm;

/// When the tokens of RFC 7515's examples expire.
const EXPIRES_S: i64 = 1_300_819_380;

fn verifier_of_joe(jwk: &Value) -> TokenVerifier {
    let public: serde_json::Map<_, _> = jwk
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| ["kty", "n", "e", "crv", "x", "y"].contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    TokenVerifier {
        keys: key_set(&[public.into()]).unwrap(),
        issuer: Some("joe".into()),
        audience: None,
        namespace_claim: "ns".into(),
    }
}

fn rfc_7515(example: &str) -> Value {
    let vectors = include_str!("../../../crates/protocol/tests/jose/vectors/rfc7515.json");
    serde_json::from_str::<Value>(vectors).unwrap()[example].clone()
}

#[test]
fn rfc_7515_appendices_a_2_and_a_3() {
    for example in ["A.2", "A.3"] {
        let example = rfc_7515(example);
        let token = example["compact"].as_str().unwrap();
        let verifier = verifier_of_joe(&example["key"]);
        let verify = |now_s: i64| verifier.verify(token, None, now_s * 1000);
        assert_eq!(verify(EXPIRES_S - 1), Ok(()));
        assert_eq!(verify(EXPIRES_S + 59), Ok(()));
        assert_eq!(verify(EXPIRES_S + 60), Err(InvalidToken::Expired));
        assert_eq!(
            verifier.verify(token, Some("acme"), 0),
            Err(InvalidToken::Namespace)
        );
    }
}

/// The examples with HS256 and `none`, for a server that has the key of A.2.
#[test]
fn rfc_7515_appendices_a_1_and_a_5() {
    const CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                          cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let verifier = verifier_of_joe(&rfc_7515("A.2")["key"]);
    for token in [
        format!(
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{CLAIMS}.\
             dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        ),
        format!("eyJhbGciOiJub25lIn0.{CLAIMS}."),
    ] {
        assert_eq!(
            verifier.verify(&token, None, (EXPIRES_S - 1) * 1000),
            Err(InvalidToken::Algorithm)
        );
    }
}

/// The signature is over a text, so the keys alone are asked.
#[test]
fn rfc_8037_appendix_a_4() {
    let keys = key_set(&[json!({
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    })])
    .unwrap();
    let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = base64url::decode(
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    )
    .unwrap();
    let verify = |message: &[u8]| {
        let algorithm = Algorithm::from_name("EdDSA").unwrap();
        keys.verify(algorithm, None, message, &signature)
    };
    assert!(verify(message));
    assert!(!verify(&message[1..]));
}
