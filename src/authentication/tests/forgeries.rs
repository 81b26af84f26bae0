//! Attempts to pass off a token as the issuer's (RFC 8725 section 2).

use serde_json::json;
use sha2::{Digest, Sha256};

use super::*;

fn assert_malformed(token: &str) {
    let refused = verify(token);
    assert!(
        matches!(refused, Err(InvalidToken::Malformed(_))),
        "{refused:?} {token}"
    );
}

/// HMAC with SHA-256 (RFC 2104).
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    match key.len() {
        0..=64 => block[..key.len()].copy_from_slice(key),
        _ => block[..32].copy_from_slice(&Sha256::digest(key)),
    }
    let inner = Sha256::digest([&block.map(|byte| byte ^ 0x36)[..], message].concat());
    Sha256::digest([&block.map(|byte| byte ^ 0x5c)[..], &inner[..]].concat()).into()
}

/// The token with its signature's octets changed.
fn with_signature(token: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = change(base64url::decode(signature).unwrap());
    format!("{input}.{}", base64url::encode(&signature))
}

#[test]
fn none_and_unknown_algorithms_are_refused() {
    for alg in [
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!(""),
        json!("HS256"),
        json!("HS384"),
        json!("RS384"),
        json!("RS512"),
        json!("PS512"),
        json!("ES384"),
        json!("ES256K"),
        json!("Ed448"),
        json!("RSA-OAEP-256"),
        json!("dir"),
        json!("rs256"),
        json!("RS256 "),
        json!("eddsa"),
        json!(1),
        json!(["RS256"]),
        json!(true),
    ] {
        let header = json!({"alg": alg, "kid": "rsa"}).to_string();
        let signed = sign("RS256", &header, &usual_claims(json!({})).to_string());
        assert_eq!(verify(&signed), Err(InvalidToken::Algorithm), "{header}");
        let (input, _) = signed.rsplit_once('.').unwrap();
        assert_eq!(
            verify(&format!("{input}.")),
            Err(InvalidToken::Algorithm),
            "{header}"
        );
    }
    let without = sign("RS256", "{}", &usual_claims(json!({})).to_string());
    assert_eq!(verify(&without), Err(InvalidToken::Algorithm));
}

#[test]
fn a_public_key_is_no_secret_to_sign_with() {
    let der = RSA.public_key().to_spki_der();
    let jwk = RSA.public_key().to_jwk();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        base64url::encode_standard(&der)
    );
    let n = base64url::decode(jwk["n"].as_str().unwrap()).unwrap();
    for secret in [
        der.as_slice(),
        pem.as_bytes(),
        jwk.to_string().as_bytes(),
        jwk["n"].as_str().unwrap().as_bytes(),
        &n,
        &ED.verifying_key().to_bytes(),
        b"",
    ] {
        // Also called an algorithm that is accepted.
        for (alg, expected) in [
            ("HS256", InvalidToken::Algorithm),
            ("RS256", InvalidToken::Signature),
            ("EdDSA", InvalidToken::Signature),
        ] {
            let input = format!(
                "{}.{}",
                base64url::encode(json!({ "alg": alg }).to_string().as_bytes()),
                base64url::encode(usual_claims(json!({})).to_string().as_bytes())
            );
            let tag = hmac_sha256(secret, input.as_bytes());
            let forged = format!("{input}.{}", base64url::encode(&tag));
            assert_eq!(verify(&forged), Err(expected));
        }
    }
    // RFC 4231 section 4.3: that this was HMAC.
    let tag = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
    assert_eq!(tag[..4], [0x5b, 0xdc, 0xc1, 0x46]);
}

#[test]
fn a_signature_counts_for_its_own_algorithm_alone() {
    let claims = usual_claims(json!({})).to_string();
    for called in ["RS256", "PS256", "ES256", "EdDSA"] {
        for signed in ["RS256", "PS256", "ES256", "EdDSA"] {
            let header = json!({ "alg": called }).to_string();
            let expected = match called == signed {
                true => Ok(()),
                false => Err(InvalidToken::Signature),
            };
            assert_eq!(
                verify(&sign(signed, &header, &claims)),
                expected,
                "{signed} called {called}"
            );
        }
    }
}

#[test]
fn keys_in_the_header_are_never_used() {
    let offered = jwk(&EC, json!({"kid": "ec"}));
    let only_other = [jwk(&OTHER_EC, json!({"kid": "ec"}))];
    for header in [
        json!({"jwk": offered}),
        json!({"jwk": offered, "kid": "ec"}),
        json!({"jku": "https://issuer.example/jwks.json"}),
        json!({"x5u": "https://issuer.example/cert.pem"}),
        json!({"x5c": [base64url::encode_standard(&EC.public_key().to_spki_der())]}),
    ] {
        let signed = token("ES256", header.clone());
        assert_eq!(
            verify_under(&only_other, &signed),
            Err(InvalidToken::Signature),
            "{header}"
        );
        // Nor do they harm where the signature is by a key of the set.
        assert_eq!(verify(&signed), Ok(()), "{header}");
    }
}

#[test]
fn extensions_are_refused() {
    for header in [
        json!({"crit": ["exp"], "exp": 1}),
        json!({"crit": ["b64"], "b64": true}),
        json!({"crit": []}),
        json!({"crit": "alg"}),
        json!({"b64": false}),
    ] {
        assert_malformed(&token("ES256", header));
    }
    let null = r#"{"alg":"ES256","crit":null}"#;
    assert_malformed(&sign("ES256", null, &usual_claims(json!({})).to_string()));
    assert_eq!(verify(&token("ES256", json!({"colour": "red"}))), Ok(()));
}

#[test]
fn the_header_is_one_strict_json_object() {
    let claims = usual_claims(json!({})).to_string();
    for header in [
        r#"{"alg":"none","alg":"ES256"}"#,
        r#"{"alg":"ES256","alg":"ES256"}"#,
        r#"{"alg":"ES256","\u0061lg":"none"}"#,
        r#"{"alg":"ES256","kid":"rsa","kid":"ec"}"#,
        r#"{"alg":"ES256","x":{"a":1,"a":1}}"#,
        r#"{"alg":"ES256"}{}"#,
        r#"{"alg":"ES256",}"#,
        r#"["ES256"]"#,
        r#""ES256""#,
        "",
    ] {
        assert_malformed(&sign("ES256", header, &claims));
    }
}

#[test]
fn a_token_has_three_parts_in_canonical_base64url() {
    let good = token("ES256", json!({}));
    assert_eq!(verify(&good), Ok(()));
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        panic!()
    };
    for text in [
        String::new(),
        "..".into(),
        "a".into(),
        format!("{header}.{claims}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.x.y"),
        format!("{good}="),
        format!("{good}=="),
        format!("{good} "),
        format!("{header}=.{claims}.{signature}"),
        format!("{header}.{claims}.{signature}AAA"),
        good.replacen('e', "+", 1),
        "x".repeat(16 * 1024 + 1),
    ] {
        assert_malformed(&text);
    }
    // Nor where the issuer itself signed such a text.
    for claims in [
        format!("{claims}="),
        format!("{claims}\n"),
        format!(" {claims}"),
    ] {
        assert_malformed(&sign_input("ES256", &format!("{header}.{claims}")));
    }
    // 64 octets leave four bits unused in the last character: 15 other texts of the same octets.
    let (all_but_last, last) = signature.split_at(signature.len() - 1);
    let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').collect();
    let place = alphabet.iter().position(|c| last.starts_with(*c)).unwrap();
    assert_eq!(place % 16, 0);
    for unused in 1..16 {
        let Some(other) = alphabet.get(place + unused) else {
            break;
        };
        assert_malformed(&format!("{header}.{claims}.{all_but_last}{other}"));
    }
}

#[test]
fn malformed_ecdsa_signatures_are_refused() {
    /// The order of P-256.
    const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let good = token("ES256", json!({}));
    let zero = [0; 32];
    let ones = [0xff; 32];
    for (r, s) in [
        (Some(zero), Some(zero)),
        (Some(zero), None),
        (None, Some(zero)),
        (Some(N), None),
        (None, Some(N)),
        (Some(N), Some(N)),
        (Some(ones), Some(ones)),
        (Some(N), Some(zero)),
    ] {
        let forged = with_signature(&good, |signature| {
            let (own_r, own_s) = signature.split_at(32);
            let half = |half: Option<[u8; 32]>, own: &[u8]| half.map_or(own.to_vec(), Vec::from);
            [half(r, own_r), half(s, own_s)].concat()
        });
        assert_eq!(verify(&forged), Err(InvalidToken::Signature));
    }
    // Of another length, and in DER.
    let lengthened = with_signature(&good, |signature| [signature, vec![0]].concat());
    assert_eq!(verify(&lengthened), Err(InvalidToken::Signature));
    let der = with_signature(&good, |signature| {
        let signature = anonymous_domains_p256_wasm::Signature::from_bytes(&signature).unwrap();
        signature.to_der()
    });
    assert_eq!(verify(&der), Err(InvalidToken::Signature));
}

#[test]
fn changed_signatures_and_contents_are_refused() {
    for alg in ["RS256", "PS256", "ES256", "EdDSA"] {
        let good = token(alg, json!({}));
        for change in [
            |signature: Vec<u8>| [&[signature[0] ^ 1], &signature[1..]].concat(),
            |signature: Vec<u8>| signature[1..].to_vec(),
            |signature: Vec<u8>| [&[0], &signature[..]].concat(),
            |signature: Vec<u8>| vec![0; signature.len()],
            |_| Vec::new(),
        ] {
            let forged = with_signature(&good, change);
            assert_eq!(verify(&forged), Err(InvalidToken::Signature), "{alg}");
        }
        let other_claims =
            base64url::encode(usual_claims(json!({"sub": "admin"})).to_string().as_bytes());
        let parts: Vec<&str> = good.split('.').collect();
        let forged = format!("{}.{other_claims}.{}", parts[0], parts[2]);
        assert_eq!(verify(&forged), Err(InvalidToken::Signature), "{alg}");
    }
}

/// RFC 8032 section 5.1.7: S must be below the group's order, or every signature has a second form.
#[test]
fn a_malleable_ed25519_signature_is_refused() {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let forged = with_signature(&token("EdDSA", json!({})), |mut signature| {
        let mut carry = 0;
        for (octet, order) in signature[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*octet) + u16::from(order) + carry;
            *octet = sum as u8;
            carry = sum >> 8;
        }
        signature
    });
    assert_eq!(verify(&forged), Err(InvalidToken::Signature));
}
