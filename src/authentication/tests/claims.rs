//! What the claims of a token with a good signature must be.

use serde_json::{Value, json};

use super::*;

/// Verifies a token with changed claims for a domain of a namespace.
fn verify_claims(changes: Value, namespace: Option<&str>) -> Result<(), InvalidToken> {
    verify_text(&usual_claims(changes).to_string(), namespace)
}

fn verify_text(claims: &str, namespace: Option<&str>) -> Result<(), InvalidToken> {
    let token = sign("ES256", r#"{"alg":"ES256"}"#, claims);
    verifier(&usual_keys()).verify(&token, namespace, NOW_S * 1000)
}

fn assert_claims(changes: Value, expected: Result<(), InvalidToken>) {
    assert_eq!(
        verify_claims(changes.clone(), Some("acme")),
        expected,
        "{changes}"
    );
}

#[test]
fn a_token_is_good_until_a_minute_after_it_expired() {
    for seconds in [json!(NOW_S - 59), json!(NOW_S as f64 - 59.5)] {
        assert_claims(json!({ "exp": seconds }), Ok(()));
    }
    for seconds in [
        json!(NOW_S - 60),
        json!(NOW_S as f64 - 60.5),
        json!(0),
        json!(0.0),
    ] {
        assert_claims(json!({ "exp": seconds }), Err(InvalidToken::Expired));
    }
}

#[test]
fn a_token_is_good_from_a_minute_before_its_time() {
    for seconds in [json!(NOW_S + 60), json!(NOW_S), json!(0)] {
        assert_claims(json!({ "nbf": seconds }), Ok(()));
    }
    for seconds in [json!(NOW_S + 61), json!(NOW_S as f64 + 60.5)] {
        assert_claims(json!({ "nbf": seconds }), Err(InvalidToken::NotYetValid));
    }
}

#[test]
fn dates_are_numbers_within_the_calendar() {
    let far = NOW_S + 600;
    for no_date in [
        json!(format!("{far}")),
        json!(-1),
        json!(-1e30),
        json!(253_402_300_800_u64),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e300),
        json!(true),
        json!([far]),
        json!({"seconds": far}),
    ] {
        for name in ["exp", "nbf"] {
            let refused = verify_claims(json!({name: no_date}), Some("acme"));
            assert!(
                matches!(refused, Err(InvalidToken::Malformed(_))),
                "{name} {no_date}"
            );
        }
    }
    let without = verify_claims(json!({"exp": null}), Some("acme"));
    assert!(matches!(without, Err(InvalidToken::Malformed(_))));
    // What no JSON library would write.
    for number in [
        "null",
        "1e400",
        "-1e400",
        "NaN",
        "Infinity",
        "0x7fffffff",
        "01795377088",
        &"9".repeat(400),
    ] {
        let claims = usual_claims(json!({"exp": "EXP"}))
            .to_string()
            .replace("\"EXP\"", number);
        let refused = verify_text(&claims, Some("acme"));
        assert!(
            matches!(refused, Err(InvalidToken::Malformed(_))),
            "{number}"
        );
    }
}

#[test]
fn the_issuer_is_the_configured_one() {
    for other in [
        json!(null),
        json!("https://issuer.example/"),
        json!("HTTPS://ISSUER.EXAMPLE"),
        json!(["https://issuer.example"]),
        json!(""),
        json!(1),
    ] {
        assert_claims(json!({ "iss": other }), Err(InvalidToken::Issuer));
    }
}

#[test]
fn the_audience_is_or_holds_the_configured_one() {
    for good in [
        json!("domains"),
        json!(["domains"]),
        json!(["other", "domains"]),
    ] {
        assert_claims(json!({ "aud": good }), Ok(()));
    }
    for other in [
        json!(null),
        json!("other"),
        json!("Domains"),
        json!("domains "),
        json!([]),
        json!(["other", "more"]),
        json!(["domains", 1]),
        json!([["domains"]]),
        json!({"domains": true}),
        json!(1),
    ] {
        assert_claims(json!({ "aud": other }), Err(InvalidToken::Audience));
    }
}

#[test]
fn what_is_not_configured_is_not_asked_for() {
    let token = sign(
        "ES256",
        r#"{"alg":"ES256"}"#,
        &usual_claims(json!({"iss": null, "aud": 1, "ns": "acme"})).to_string(),
    );
    let anyone = TokenVerifier {
        issuer: None,
        audience: None,
        ..verifier(&usual_keys())
    };
    assert_eq!(anyone.verify(&token, Some("acme"), NOW_S * 1000), Ok(()));
}

#[test]
fn the_namespace_is_the_domains_byte_for_byte() {
    for other in [
        json!(null),
        json!("other"),
        json!("ACME"),
        json!("acme "),
        json!("acmex"),
        json!(""),
        json!("acme\u{0}"),
        json!(["acme"]),
        json!(1),
    ] {
        assert_claims(json!({ "ns": other }), Err(InvalidToken::Namespace));
        assert_eq!(verify_claims(json!({ "ns": other }), None), Ok(()));
    }
    // One letter to a reader, two texts: composed (NFC) and decomposed (NFD).
    let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}");
    for (claim, domain, expected) in [
        (composed, composed, Ok(())),
        (decomposed, decomposed, Ok(())),
        (composed, decomposed, Err(InvalidToken::Namespace)),
        (decomposed, composed, Err(InvalidToken::Namespace)),
    ] {
        assert_eq!(
            verify_claims(json!({ "ns": claim }), Some(domain)),
            expected
        );
    }
    // An empty namespace is one too.
    assert_eq!(verify_claims(json!({"ns": ""}), Some("")), Ok(()));
    assert_eq!(
        verify_claims(json!({"ns": null}), Some("")),
        Err(InvalidToken::Namespace)
    );
}

#[test]
fn the_namespace_claim_has_any_name() {
    let elsewhere = TokenVerifier {
        namespace_claim: "https://issuer.example/ns".into(),
        ..verifier(&usual_keys())
    };
    let verify = |changes| {
        let claims = usual_claims(changes).to_string();
        let token = sign("ES256", r#"{"alg":"ES256"}"#, &claims);
        elsewhere.verify(&token, Some("home"), NOW_S * 1000)
    };
    assert_eq!(verify(json!({"https://issuer.example/ns": "home"})), Ok(()));
    assert_eq!(verify(json!({"ns": "home"})), Err(InvalidToken::Namespace));
}

#[test]
fn claims_are_one_strict_json_object() {
    let good = usual_claims(json!({})).to_string();
    assert_eq!(verify_text(&good, Some("acme")), Ok(()));
    for claims in [
        "",
        "acme",
        "null",
        "[]",
        &format!("[{good}]"),
        &format!("{good}{good}"),
        &good.replacen('{', r#"{"exp":1,"#, 1),
        &good.replacen('{', r#"{"ns":"other","#, 1),
        &good.replacen('{', r#"{"\u006es":"other","#, 1),
        &good.replacen('{', r#"{"x":{"a":1,"a":2},"#, 1),
        &good.replacen('{', "{\"x\":\"\u{1}\",", 1),
    ] {
        let refused = verify_text(claims, Some("acme"));
        assert!(
            matches!(refused, Err(InvalidToken::Malformed(_))),
            "{claims}"
        );
    }
}
