//! Replacing the key-encryption key and the domain CA while the server works.

use anonymous_domains::store::row;
use anonymous_domains_protocol::jwe;
use http::Response;
use serde_json::{Value, json};
use x509_cert::{Certificate, der::Decode};

use crate::{
    callers::{Machine, admin, assert_refused, get, hand_over, post, versions},
    support::{
        Ca, KEY_ENCRYPTION_KEY as OLD, TestApp, app, ca_params, json, self_signed, settings,
    },
};

pub const NEW: &str = "2222222222222222222222222222222222222222222222222222222222222222";
const NEWER: &str = "3333333333333333333333333333333333333333333333333333333333333333";
const SERVER: &str = "http://127.0.0.1:3000/flashaccess/domainserver";

fn with_keys(ca: &Ca, keys: &[&str]) -> TestApp {
    app(settings(ca, &[("key_encryption_key", &keys.join("\n"))]))
}

/// The server with other keys, on the store of the one before.
pub fn restarted(former: &TestApp, ca: &Ca, keys: &[&str]) -> TestApp {
    let app = with_keys(ca, keys);
    hand_over(former, &app);
    app
}

fn join_in(app: &TestApp, domain: &str, machine: &Machine) -> Response<Vec<u8>> {
    let url = format!("{SERVER}/{domain}/register");
    let request = machine.joining(app.tables.env.now_ms.get());
    post(app, &url, request.sign(&url, &machine.key).unwrap())
}

/// A member's keys, which open.
#[track_caller]
fn opened(app: &TestApp, domain: &str, machine: &Machine) -> Vec<Value> {
    let response = join_in(app, domain, machine);
    assert_eq!(response.status(), 200, "{:?}", json(&response));
    let joined = json(&response);
    let set = jwe::decrypt(joined["encryptedKeys"].as_str().unwrap(), &machine.key).unwrap();
    let set: Value = serde_json::from_slice(&set).unwrap();
    let keys = set["keys"].as_array().unwrap();
    keys.iter().map(|key| key["d"].clone()).collect()
}

fn reseal(app: &TestApp, query: &str) -> Value {
    let response = admin(app, "POST", &format!("/reseal{query}"), None);
    assert_eq!(response.status(), 200, "{:?}", json(&response));
    json(&response)
}

/// Follows `next` to the end; gives how many keys were resealed, and how many pages there were.
fn reseal_all(app: &TestApp, limit: usize) -> (u64, usize) {
    let (mut resealed, mut pages, mut query) = (0, 0, format!("?limit={limit}"));
    let mut remaining = u64::MAX;
    loop {
        let page = reseal(app, &query);
        pages += 1;
        resealed += page["resealed"].as_u64().unwrap();
        let now = page["remaining"].as_u64().unwrap();
        assert!(now < remaining, "{page}");
        remaining = now;
        match page["next"].as_str() {
            Some(next) => query = format!("?limit={limit}&after={next}"),
            None => {
                assert_eq!(remaining, 0);
                return (resealed, pages);
            }
        }
    }
}

fn belongs_to_another(app: &TestApp) -> bool {
    let health = get(app, "http://127.0.0.1:3000/healthz");
    let detail = json(&health)["detail"].as_str().unwrap_or("").to_owned();
    let is_refused = health.status() == 503;
    assert_eq!(is_refused, detail.contains("another key_encryption_key"));
    is_refused
}

#[test]
fn a_key_encryption_key_is_replaced_while_members_come_and_go() {
    let ca = self_signed(ca_params("Domain CA"));
    let app = with_keys(&ca, &[OLD]);
    let machine = Machine::new();
    let domains: Vec<String> = (1..=5).map(|number| format!("domain-{number}")).collect();
    let mut keys: Vec<_> = domains
        .iter()
        .map(|domain| opened(&app, domain, &machine))
        .collect();
    // Two versions in one of them, and one domain that is no more.
    admin(&app, "POST", "/domains/domain-2/rollover", None);
    keys[1] = opened(&app, "domain-2", &machine);
    assert_eq!(keys[1].len(), 2);
    join_in(&app, "gone", &machine);
    assert_eq!(admin(&app, "DELETE", "/domains/gone", None).status(), 204);

    let both = restarted(&app, &ca, &[NEW, OLD]);
    let all_open = |app: &TestApp, keys: &[Vec<Value>]| {
        for (domain, keys) in domains.iter().zip(keys) {
            assert_eq!(opened(app, domain, &machine), *keys, "{domain}");
        }
    };
    all_open(&both, &keys);
    let page = reseal(&both, "?limit=2");
    assert_eq!(
        page,
        json!({ "resealed": 3, "remaining": 4, "next": "domain-2" })
    );
    all_open(&both, &keys);
    // As long as both are needed, servers with one of them are turned away.
    let rows = both.tables.store.rows.borrow().clone();
    for keys in [&[OLD], &[NEW]] {
        let one = with_keys(&ca, keys);
        one.tables.store.rows.replace(rows.clone());
        assert!(belongs_to_another(&one));
        assert_refused(&join_in(&one, "domain-1", &machine), "INTERNAL");
        assert_eq!(admin(&one, "POST", "/reseal", None).status(), 500);
        assert_eq!(
            admin(&one, "POST", "/reseal", None).status(),
            500,
            "not at the second try either"
        );
    }
    // Until the walk comes there, a domain's keys are under the old one.
    admin(&both, "POST", "/domains/domain-5/rollover", None);
    keys[4] = opened(&both, "domain-5", &machine);
    // Without `after`, it goes on where it stopped.
    let page = reseal(&both, "?limit=1");
    assert_eq!(
        page,
        json!({ "resealed": 1, "remaining": 3, "next": "domain-3" })
    );
    // One that skips domains is not believed, and one that repeats some does not harm.
    let page = reseal(&both, "?after=domain-4");
    assert_eq!(page, json!({ "resealed": 3, "remaining": 0, "next": null }));
    assert_eq!(reseal_all(&both, 100), (0, 1));
    assert_eq!(reseal_all(&both, 1), (0, 6), "the deleted one among them");

    let new = restarted(&both, &ca, &[NEW]);
    all_open(&new, &keys);
    assert!(!belongs_to_another(&new));
    let old = restarted(&new, &ca, &[OLD]);
    assert!(belongs_to_another(&old));
    assert_refused(&join_in(&old, "domain-1", &machine), "INTERNAL");
}

#[test]
fn a_reseal_may_change_its_mind() {
    let ca = self_signed(ca_params("Domain CA"));
    let app = with_keys(&ca, &[OLD]);
    let machine = Machine::new();
    let domains = ["a", "b", "c"];
    let keys = domains.map(|domain| opened(&app, domain, &machine));
    let app = restarted(&app, &ca, &[NEW, OLD]);
    reseal(&app, "?limit=1");
    // A newer key before all is resealed: now there are three.
    let app = restarted(&app, &ca, &[NEWER, NEW, OLD]);
    reseal(&app, "?limit=2");
    let app = restarted(&app, &ca, &[NEW, NEWER]);
    assert!(belongs_to_another(&app));
    // Back to the first one.
    let app = restarted(&app, &ca, &[OLD, NEW, NEWER]);
    assert_eq!(reseal_all(&app, 2), (2, 2));
    let app = restarted(&app, &ca, &[OLD]);
    assert_eq!(domains.map(|domain| opened(&app, domain, &machine)), keys);
}

#[test]
fn a_running_server_without_the_new_key_makes_no_key_under_the_old_one() {
    let ca = self_signed(ca_params("Domain CA"));
    let (late, both) = (with_keys(&ca, &[OLD]), with_keys(&ca, &[OLD, NEW]));
    let machine = Machine::new();
    opened(&late, "a", &machine);
    let rows = late.tables.store.rows.borrow().clone();
    // A reseal under the new key has begun elsewhere.
    let elsewhere = with_keys(&ca, &[NEW, OLD]);
    elsewhere.tables.store.rows.replace(rows);
    reseal(&elsewhere, "?limit=1");
    admin(&elsewhere, "POST", "/domains/a/rollover", None);
    hand_over(&elsewhere, &late);
    assert_refused(&join_in(&late, "a", &machine), "INTERNAL");
    // Nothing stays claimed, so nobody waits; and whoever has the key seals under it, whatever order
    // it was told.
    hand_over(&late, &both);
    let before_ms = both.tables.env.now_ms.get();
    let keys = opened(&both, "a", &machine);
    assert_eq!(both.tables.env.now_ms.get(), before_ms);
    let new = restarted(&both, &ca, &[NEW]);
    assert_eq!(opened(&new, "a", &machine), keys);
}

#[test]
fn a_request_that_died_with_its_claim_delays_no_reseal() {
    let ca = self_signed(ca_params("Domain CA"));
    let app = with_keys(&ca, &[OLD]);
    let machine = Machine::new();
    opened(&app, "a", &machine);
    admin(&app, "POST", "/domains/a/rollover", None);
    // A request claims the next key, and its server dies.
    app.tables.store.writes_left.set(Some(1));
    assert_eq!(join_in(&app, "a", &machine).status(), 503);
    app.tables.store.writes_left.set(None);

    let both = restarted(&app, &ca, &[NEW, OLD]);
    assert_eq!(reseal_all(&both, 100), (1, 1));
    let new = restarted(&both, &ca, &[NEW]);
    assert_eq!(opened(&new, "a", &machine).len(), 2);
}

#[test]
fn a_key_that_does_not_open_ends_no_rotation() {
    let ca = self_signed(ca_params("Domain CA"));
    let app = with_keys(&ca, &[OLD]);
    let machine = Machine::new();
    opened(&app, "a", &machine);
    let both = restarted(&app, &ca, &[NEW, OLD]);
    {
        let mut rows = both.tables.store.rows.borrow_mut();
        let mut keys = rows
            .iter_mut()
            .filter(|(key, _)| key.contains("DomainKeys"));
        let (key, row) = keys.next().unwrap();
        // Within what is sealed, which comes before the certificate.
        row[64] ^= 1;
        row::seal(key, row);
    }
    assert_eq!(admin(&both, "POST", "/reseal", None).status(), 500);
    let log = both.tables.env.log.borrow().join("\n");
    assert!(log.contains("version 1 of the key of domain a does not open"));
    assert!(belongs_to_another(&restarted(&both, &ca, &[NEW])));
}

#[test]
fn a_store_that_was_never_used_needs_no_reseal() {
    let app = with_keys(&self_signed(ca_params("Domain CA")), &[NEW, OLD]);
    assert_eq!(reseal_all(&app, 1), (0, 1));
    assert!(app.tables.store.rows.borrow().is_empty());
    for query in ["?limit=0", "?limit=1001", "?limit=x"] {
        let refused = admin(&app, "POST", &format!("/reseal{query}"), None);
        assert_refused(&refused, "INVALID_REQUEST");
    }
}

/// The issuers of a member's certificates.
fn issuers(app: &TestApp, machine: &Machine) -> Vec<String> {
    let joined = machine.join(app);
    let credentials = joined["credentials"].as_array().unwrap();
    let issuer = |credential: &Value| {
        let der = credential["x5c"][0].as_str().unwrap();
        let der = anonymous_domains_protocol::base64url::decode_standard(der).unwrap();
        let certificate = Certificate::from_der(&der).unwrap();
        certificate.tbs_certificate().issuer().to_string()
    };
    credentials.iter().map(issuer).collect()
}

#[test]
fn certificates_are_reissued_by_another_ca_on_an_operators_word() {
    let (old, new) = (
        self_signed(ca_params("Old CA")),
        self_signed(ca_params("New CA")),
    );
    let before = app(settings(&old, &[]));
    let machine = Machine::new();
    machine.join(&before);
    admin(&before, "POST", "/domains/living-room/rollover", None);
    assert_eq!(versions(&machine.join(&before)), [1, 2]);

    let bundle = format!("{}{}", old.pem, new.pem);
    let with_bundle = || app(settings(&new, &[("ca_certificate", &bundle)]));
    let (after, another) = (with_bundle(), with_bundle());
    hand_over(&before, &after);
    // A registration does not ask who has signed, only how old it is.
    assert_eq!(issuers(&after, &machine), ["CN=Old CA"; 2]);
    // Another server remembers the certificates, and sees that they are others now.
    another
        .tables
        .store
        .rows
        .replace(after.tables.store.rows.borrow().clone());
    assert_eq!(issuers(&another, &machine), ["CN=Old CA"; 2]);

    let reissued = admin(&after, "POST", "/domains/living-room/reissue", None);
    assert_eq!(reissued.status(), 200);
    assert_eq!(json(&reissued), json!({ "reissued": 2 }));
    assert_eq!(issuers(&after, &machine), ["CN=New CA"; 2]);
    // Only the issuers that are left are kept.
    let rows = after.tables.store.rows.borrow().clone();
    let chains_of = |ca: &Ca| {
        let der = Certificate::load_pem_chain(ca.pem.as_bytes())
            .unwrap()
            .remove(0);
        let der = x509_cert::der::Encode::to_der(&der).unwrap();
        let holds = |row: &[u8]| row.windows(der.len()).any(|window| window == der);
        rows.values().filter(|row| holds(row)).count()
    };
    assert_eq!((chains_of(&old), chains_of(&new)), (0, 1));

    hand_over(&after, &another);
    assert_eq!(issuers(&another, &machine), ["CN=New CA"; 2]);

    for (path, error) in [
        ("/domains/nowhere/reissue", "UNKNOWN_DOMAIN"),
        ("/domains/-/reissue", "INVALID_DOMAIN_NAME"),
    ] {
        assert_refused(&admin(&another, "POST", path, None), error);
    }
    admin(&another, "PUT", "/domains/empty", Some(json!({})));
    let nothing = admin(&another, "POST", "/domains/empty/reissue", None);
    assert_eq!(json(&nothing), json!({ "reissued": 0 }));
}

#[test]
fn another_ca_is_announced() {
    let (old, new) = (
        self_signed(ca_params("Old CA")),
        self_signed(ca_params("New CA")),
    );
    let published = |app: &TestApp, name: &str| get(app, &format!("{SERVER}/{name}"));
    let quiet = app(settings(&old, &[]));
    assert!(published(&quiet, "ca.pem").headers().get("link").is_none());
    let nothing = published(&quiet, "ca-next.pem");
    assert_refused(&nothing, "NOT_FOUND");

    let announcing = app(settings(&old, &[("ca_certificate_next", &new.pem)]));
    let ca = published(&announcing, "ca.pem");
    assert_eq!(ca.headers()["link"], "<ca-next.pem>; rel=\"next\"");
    let next = published(&announcing, "ca-next.pem");
    assert_eq!(
        next.headers()["content-type"],
        "application/pem-certificate-chain"
    );
    let der = |pem: &[u8]| Certificate::load_pem_chain(pem).unwrap();
    assert_eq!(der(next.body()), der(new.pem.as_bytes()));

    // The one that signs comes first, wherever it is configured.
    let bundle = format!("{}{}", old.pem, new.pem);
    let switched = app(settings(&new, &[("ca_certificate", &bundle)]));
    let expected = format!("{}{}", new.pem, old.pem);
    let ca = published(&switched, "ca.pem");
    assert_eq!(der(ca.body()), der(expected.as_bytes()));
}
