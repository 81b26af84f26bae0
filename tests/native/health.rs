//! A server whose settings or store cannot be used, and what it says of that.

use anonymous_domains_protocol::base64url;

use crate::{
    callers::{Machine, assert_refused, get, versions, working_app},
    support::{NOW_MS, app, ca_params, json, self_signed, settings},
};

#[test]
fn settings_that_cannot_be_used_are_told_in_healthz_and_the_log_only() {
    let app = app(Err(vec!["ca_certificate is not set".into()]));
    let health = get(&app, "http://127.0.0.1:3000/healthz");
    assert_eq!(health.status(), 503);
    assert_eq!(json(&health)["ca"], "error");
    assert_eq!(json(&health)["store"], "ok");
    assert_eq!(json(&health)["detail"], "ca_certificate is not set");

    let response = Machine::new().join_at(&app, NOW_MS);
    assert_eq!(response.status(), 500);
    assert_refused(&response, "INTERNAL");
    assert!(
        !json(&response)["detail"]
            .as_str()
            .unwrap()
            .contains("ca_certificate")
    );
    let log = app.tables.env.log.borrow();
    assert!(
        log.iter()
            .any(|line| line.contains("ca_certificate is not set"))
    );
}

/// The two halves in `ca_private_key` are compared when the key is first used.
#[test]
fn a_ca_key_whose_halves_do_not_fit_signs_nothing() {
    let (ca, other) = (
        self_signed(ca_params("Domain CA")),
        self_signed(ca_params("Another")),
    );
    let mut der = other.key.serialize_der();
    let (wrong, right) = (other.key.public_key_raw(), ca.key.public_key_raw());
    let at = der.windows(65).position(|point| point == wrong).unwrap();
    der[at..at + 65].copy_from_slice(right);
    let text = base64url::encode_standard(&der);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");

    let app = app(settings(&ca, &[("ca_private_key", &pem)]));
    let health = get(&app, "http://127.0.0.1:3000/healthz");
    assert_eq!(health.status(), 503);
    assert_eq!(json(&health)["ca"], "error");
    let detail = json(&health)["detail"].to_string();
    assert!(detail.contains("ca_private_key"), "{detail}");
    assert_refused(&Machine::new().join_at(&app, NOW_MS), "INTERNAL");
    // The claim on the key was given back.
    assert_refused(&Machine::new().join_at(&app, NOW_MS), "INTERNAL");
}

/// RFC 5915 lets an EC key leave its public half out.
#[test]
fn a_ca_key_without_its_public_half_is_taken() {
    let ca = self_signed(ca_params("Domain CA"));
    let der = ca.key.serialize_der();
    let secret = der.windows(2).position(|two| two == [0x04, 0x20]).unwrap() + 2;
    // ECPrivateKey { version 1, privateKey } in SEC 1.
    let mut bare = vec![0x30, 0x25, 0x02, 0x01, 0x01, 0x04, 0x20];
    bare.extend(&der[secret..secret + 32]);
    let text = base64url::encode_standard(&bare);
    let pem = format!("-----BEGIN EC PRIVATE KEY-----\n{text}\n-----END EC PRIVATE KEY-----\n");
    let app = app(settings(&ca, &[("ca_private_key", &pem)]));
    assert_eq!(versions(&Machine::new().join(&app)), [1]);
}

#[test]
fn a_store_that_does_not_answer_is_told_with_a_time_to_come_back() {
    let app = working_app();
    app.tables.store.is_down.set(true);
    let response = Machine::new().join_at(&app, NOW_MS);
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_refused(&response, "STORE_UNAVAILABLE");
    assert_eq!(
        json(&get(&app, "http://127.0.0.1:3000/healthz"))["store"],
        "error"
    );
    app.tables.store.is_down.set(false);
    Machine::new().join(&app);
}
