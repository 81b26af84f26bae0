//! Which keys a set has, and which of them a token may be signed with.

use serde_json::json;

use super::*;

#[test]
fn every_algorithm_is_accepted_by_kid_and_without() {
    for (alg, kid) in [
        ("RS256", "rsa"),
        ("PS256", "rsa"),
        ("ES256", "ec"),
        ("EdDSA", "ed"),
        ("Ed25519", "ed"),
    ] {
        assert_eq!(verify(&token(alg, json!({"kid": kid}))), Ok(()), "{alg}");
        assert_eq!(verify(&token(alg, json!({}))), Ok(()), "{alg}");
    }
}

#[test]
fn the_kid_selects_the_key() {
    let kid = |kid| verify(&token("ES256", json!({ "kid": kid })));
    assert_eq!(kid("ec"), Ok(()));
    for other in ["rsa", "ed", "EC", "ec ", "", "unknown"] {
        assert_eq!(kid(other), Err(InvalidToken::Signature), "{other}");
    }
    // A key without a kid is none that a kid names.
    let nameless = [jwk(&EC, json!({}))];
    let by_kid = token("ES256", json!({"kid": "ec"}));
    assert_eq!(
        verify_under(&nameless, &by_kid),
        Err(InvalidToken::Signature)
    );
    assert_eq!(verify_under(&nameless, &token("ES256", json!({}))), Ok(()));
    for no_kid in [json!(1), json!(["ec"]), json!(true)] {
        let refused = verify(&token("ES256", json!({ "kid": no_kid })));
        assert!(matches!(refused, Err(InvalidToken::Malformed(_))));
    }
}

#[test]
fn a_new_key_beside_the_old_one_serves_both() {
    let old = jwk(&OTHER_EC, json!({"kid": "2025"}));
    let new = jwk(&EC, json!({"kid": "2026"}));
    let signed = |header| token("ES256", header);
    for keys in [[old.clone(), new.clone()], [new, old.clone()]] {
        assert_eq!(verify_under(&keys, &signed(json!({"kid": "2026"}))), Ok(()));
        assert_eq!(verify_under(&keys, &signed(json!({}))), Ok(()));
        assert_eq!(
            verify_under(&keys, &signed(json!({"kid": "2025"}))),
            Err(InvalidToken::Signature)
        );
    }
    assert_eq!(
        verify_under(&[old], &signed(json!({"kid": "2026"}))),
        Err(InvalidToken::Signature)
    );
}

#[test]
fn a_keys_own_alg_is_the_only_one() {
    for (own, alg, expected) in [
        ("RS256", "RS256", Ok(())),
        ("RS256", "PS256", Err(InvalidToken::Signature)),
        ("PS256", "PS256", Ok(())),
        ("PS256", "RS256", Err(InvalidToken::Signature)),
    ] {
        let keys = [jwk(&RSA, json!({"kid": "rsa", "alg": own}))];
        for header in [json!({}), json!({"kid": "rsa"})] {
            assert_eq!(
                verify_under(&keys, &token(alg, header)),
                expected,
                "{own} {alg}"
            );
        }
    }
    // RFC 9864: two names of one algorithm.
    for own in ["EdDSA", "Ed25519"] {
        let keys = [ed_jwk(json!({"alg": own}))];
        for alg in ["EdDSA", "Ed25519"] {
            assert_eq!(verify_under(&keys, &token(alg, json!({}))), Ok(()));
        }
    }
}

#[test]
fn keys_for_something_else_are_left_out() {
    let good = || jwk(&EC, json!({"kid": "a"}));
    for other in [
        jwk(&OTHER_EC, json!({"use": "enc"})),
        jwk(&OTHER_EC, json!({"use": "tls"})),
        jwk(&OTHER_EC, json!({"key_ops": ["deriveKey"]})),
        jwk(&OTHER_EC, json!({"alg": "ECDH-ES"})),
        jwk(&RSA, json!({"alg": "RSA-OAEP-256"})),
        jwk(&RSA, json!({"alg": "RS512"})),
        jwk(&RSA, json!({"alg": "HS256"})),
        jwk(&RSA, json!({"alg": "none"})),
        json!({"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}),
        json!({"kty": "EC"}),
        json!({"kty": "OKP", "crv": "Ed448", "x": "AA"}),
        json!({"kty": "OKP", "crv": "X25519", "x": "AA"}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}),
        json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}),
        json!({"kty": "rsa", "n": "AA", "e": "AQAB"}),
    ] {
        let other = merged(other, json!({"kid": "b"}));
        assert!(key_set(&[good(), other.clone()]).is_ok(), "{other}");
        let alone = key_set(std::slice::from_ref(&other)).unwrap_err();
        assert_eq!(
            alone,
            ["auth_jwks has no public key for RS256, PS256, ES256 or EdDSA signatures"],
            "{other}"
        );
    }
    // What is left out verifies nothing.
    let keys = [
        jwk(&OTHER_EC, json!({})),
        jwk(&EC, json!({"use": "enc"})),
        jwk(&RSA, json!({"key_ops": ["encrypt"]})),
    ];
    for alg in ["ES256", "RS256"] {
        assert_eq!(
            verify_under(&keys, &token(alg, json!({}))),
            Err(InvalidToken::Signature)
        );
    }
    let verify_only = [jwk(&EC, json!({"key_ops": ["verify"]}))];
    assert_eq!(
        verify_under(&verify_only, &token("ES256", json!({}))),
        Ok(())
    );
}

#[test]
fn unusable_keys_are_named_by_their_place() {
    let short = jwk(&RSA, json!({"n": "1Q"}));
    for (entry, what) in [
        (json!("key"), "is not a JSON object"),
        (json!({}), "has no kty"),
        (json!({"kty": 1}), "kty that is not a string"),
        (jwk(&EC, json!({"kid": 1})), "kid that is not a string"),
        (jwk(&EC, json!({"use": ["sig"]})), "use that is not"),
        (jwk(&EC, json!({"key_ops": "verify"})), "key_ops that is"),
        (
            jwk(&EC, json!({"alg": "RS256"})),
            "not for keys of its kind",
        ),
        (
            jwk(&RSA, json!({"alg": "EdDSA"})),
            "not for keys of its kind",
        ),
        (ed_jwk(json!({"alg": "ES256"})), "not for keys of its kind"),
        (short, "2048 to 4096 bits"),
        (jwk(&RSA, json!({"e": "Aw"})), "65537"),
        (jwk(&RSA, json!({"n": null})), "cannot be used"),
        (jwk(&EC, json!({"x": "AA"})), "32 octets"),
        (
            jwk(&EC, json!({"x": OTHER_EC.public_key().to_jwk()["x"]})),
            "not on the curve",
        ),
        (ed_jwk(json!({"x": null})), "x is not a point"),
        (ed_jwk(json!({"x": "AA"})), "x is not a point"),
        (
            // The neutral element, which is of order 1.
            ed_jwk(json!({"x": format!("AQ{}", "A".repeat(41))})),
            "x is not a point",
        ),
    ] {
        let wrong = key_set(&[jwk(&OTHER_EC, json!({})), entry.clone()]).unwrap_err();
        assert!(
            matches!(&wrong[..], [one] if one.starts_with("auth_jwks: key 2 ") && one.contains(what)),
            "{entry}: {wrong:?}"
        );
    }
}

#[test]
fn private_keys_are_refused_whatever_they_are_for() {
    let good = || jwk(&OTHER_EC, json!({}));
    for (secret, what) in [
        (jwk(&RSA, json!({"k": "c2VjcmV0"})), "private"),
        (jwk(&EC, json!({"d": "c2VjcmV0"})), "private"),
        (jwk(&EC, json!({"d": "c2VjcmV0", "use": "enc"})), "private"),
        (jwk(&RSA, json!({"p": "c2VjcmV0"})), "private"),
        (ed_jwk(json!({"d": "c2VjcmV0"})), "private"),
        (json!({"kty": "AKP", "priv": "c2VjcmV0"}), "private"),
    ] {
        let wrong = key_set(&[good(), secret]).unwrap_err();
        assert!(
            matches!(&wrong[..], [one] if one.contains(what)),
            "{wrong:?}"
        );
        assert!(!wrong[0].contains("c2VjcmV0"));
    }
}

#[test]
fn what_is_no_usable_set_is_refused() {
    for text in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"keys":{}}"#,
        r#"{"keys":[]}"#,
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[{"kty":"EC","kty":"RSA"}]}"#,
        &jwk(&EC, json!({})).to_string(),
    ] {
        let wrong = KeySet::from_json(text).unwrap_err();
        assert!(
            matches!(&wrong[..], [one] if one.starts_with("auth_jwks ")),
            "{wrong:?}"
        );
    }
    let twice = [
        jwk(&EC, json!({"kid": "a"})),
        jwk(&OTHER_EC, json!({"kid": "a"})),
    ];
    assert_eq!(
        key_set(&twice).unwrap_err(),
        ["auth_jwks: key 2 has the kid of one before it"]
    );
    let many = vec![jwk(&EC, json!({})); 33];
    assert_eq!(
        key_set(&many).unwrap_err(),
        ["auth_jwks has more than 32 keys"]
    );
    assert!(key_set(&many[..32]).is_ok());
    // Each is said, not the first alone.
    assert_eq!(key_set(&[json!(1), json!(2)]).unwrap_err().len(), 2);
}
