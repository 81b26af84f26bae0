//! What a domain may have, what is refused before anything changes, and what is left behind.

use http::Request;
use serde_json::json;

use crate::{
    callers::{
        Machine, URL, admin, assert_refused, get, hand_over, two_instances, versions, working_app,
    },
    support::{ADMIN_TOKEN, NOW_MS, TestApp, app, ca_params, json, self_signed, send, settings},
};

const HEALTH: &str = "http://127.0.0.1:3000/healthz";
const DOMAIN: &str = "/domains/living-room";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn with(replaced: &[(&str, &str)]) -> TestApp {
    app(settings(&self_signed(ca_params("Domain CA")), replaced))
}

/// Everything in the store but the row that `/healthz` writes.
fn rows(app: &TestApp) -> Vec<(String, Vec<u8>)> {
    let rows = app.tables.store.rows.borrow().clone();
    rows.into_iter()
        .filter(|(key, _)| !key.ends_with(":health"))
        .collect()
}

#[test]
fn a_domain_gets_so_many_key_versions_a_day() {
    let app = with(&[("max_key_versions_per_day", "3")]);
    let (resident, leaver) = (Machine::new(), Machine::new());
    resident.join(&app);
    for _ in 0..2 {
        leaver.join(&app);
        app.tables
            .env
            .now_ms
            .set(app.tables.env.now_ms.get() + 3_600_000);
        let now_ms = app.tables.env.now_ms.get();
        assert_eq!(leaver.leave_at(&app, now_ms, false).status(), 200);
        resident.join(&app);
    }
    leaver.join(&app);
    let now_ms = app.tables.env.now_ms.get();
    assert_eq!(leaver.leave_at(&app, now_ms, false).status(), 200);

    // Members and strangers alike are refused, and nothing changes.
    let before = rows(&app);
    for machine in [&resident, &leaver, &Machine::new()] {
        let refused = machine.join_at(&app, now_ms);
        assert_eq!(refused.status(), 429);
        assert_refused(&refused, "RATE_LIMITED");
        // The first key was made two hours ago.
        let headers = refused.headers();
        assert_eq!(headers["retry-after"], "79200");
        assert_eq!(headers["ratelimit-policy"], "\"key-versions\";q=3;w=86400");
        assert_eq!(headers["ratelimit"], "\"key-versions\";r=0;t=79200");
        assert_eq!(headers["cache-control"], "no-store");
    }
    assert_eq!(rows(&app), before);

    // An operator's rollover is not counted, and covers what has left before.
    assert_eq!(
        admin(&app, "POST", "/domains/living-room/rollover", None).status(),
        202
    );
    assert_eq!(versions(&resident.join(&app)), [1, 2, 3, 4]);

    // A day after the first one there is room for one.
    app.tables.env.now_ms.set(NOW_MS + DAY_MS);
    let now_ms = NOW_MS + DAY_MS;
    leaver.join(&app);
    assert_eq!(leaver.leave_at(&app, now_ms, false).status(), 200);
    assert_eq!(versions(&resident.join(&app)).len(), 5);
}

#[test]
fn registrations_insert_so_many_domains() {
    let app = with(&[("max_domains", "1")]);
    let machine = Machine::new();
    machine.join(&app);
    let elsewhere = |name: &str| {
        let url = URL.replace("living-room", name) + "/register";
        let body = machine.joining(NOW_MS).sign(&url, &machine.key).unwrap();
        crate::callers::post(&app, &url, body)
    };
    let before = rows(&app);
    let refused = elsewhere("kitchen");
    assert_eq!(refused.status(), 429);
    assert_refused(&refused, "RATE_LIMITED");
    assert_eq!(refused.headers()["ratelimit-policy"], "\"domains\";q=1");
    assert_eq!(rows(&app), before);
    machine.join(&app);

    // An operator may; and a domain that is deleted makes room.
    assert_eq!(
        admin(&app, "PUT", "/domains/kitchen", Some(json!({}))).status(),
        201
    );
    assert_eq!(elsewhere("kitchen").status(), 200);
    assert_eq!(elsewhere("attic").status(), 429);
    for domain in ["kitchen", "living-room"] {
        let path = format!("/domains/{domain}");
        assert_eq!(admin(&app, "DELETE", &path, None).status(), 204);
    }
    // Instances remember for five seconds that there is none.
    assert_eq!(elsewhere("kitchen").status(), 429);
    app.tables.env.now_ms.set(NOW_MS + 5_000);
    assert_eq!(elsewhere("kitchen").status(), 200);
    assert_refused(&machine.join_at(&app, NOW_MS), "RATE_LIMITED");
}

#[test]
fn an_insertion_that_broke_off_takes_no_second_place() {
    let app = with(&[("max_domains", "1")]);
    let (machine, store) = (Machine::new(), &app.tables.store);
    machine.join(&app);
    for writes in 0.. {
        let deleted = admin(&app, "DELETE", "/domains/living-room", None);
        assert_eq!(deleted.status(), 204);
        store.writes_left.set(Some(writes));
        let broke_off = machine.join_at(&app, NOW_MS).status() == 503;
        store.writes_left.set(None);
        assert_eq!(machine.join_at(&app, NOW_MS).status(), 200, "{writes}");
        if !broke_off {
            assert!(writes > 4, "{writes}");
            break;
        }
    }
}

#[test]
fn a_key_that_cannot_be_signed_changes_nothing() {
    let app = working_app();
    // The CA's certificate ends on 2046-01-01.
    app.tables.env.now_ms.set(2_400_000_000_000);
    let machine = Machine::new();
    let refused = machine.join_at(&app, 2_400_000_000_000);
    assert_eq!(refused.status(), 500);
    // The domain was inserted; no key is claimed, and nobody is a member.
    let before = rows(&app);
    let began_ms = app.tables.env.now_ms.get();
    for _ in 0..3 {
        assert_eq!(machine.join_at(&app, began_ms).status(), 500);
    }
    assert_eq!(rows(&app), before);
    assert_eq!(app.tables.env.now_ms.get(), began_ms, "nobody waited");
    let members = json(&admin(&app, "GET", "/domains/living-room/members", None));
    assert_eq!(members["members"], json!([]));
}

#[test]
fn health_tells_before_the_ca_ends() {
    let app = working_app();
    // 2046-01-01T00:00:00Z.
    let end_ms = 2_398_377_600_000;
    for (now_ms, status, ca, detail) in [
        (NOW_MS, 200, "ok", None),
        (end_ms - 31 * DAY_MS, 200, "ok", None),
        (
            end_ms - 29 * DAY_MS,
            200,
            "ok",
            Some("ends on 2046-01-01T00:00:00Z"),
        ),
        (
            end_ms + 1000,
            503,
            "error",
            Some("ended on 2046-01-01T00:00:00Z"),
        ),
    ] {
        app.tables.env.now_ms.set(now_ms);
        let health = get(&app, HEALTH);
        assert_eq!(health.status(), status);
        let health = json(&health);
        assert_eq!(health["ca"], ca);
        assert_eq!(health["store"], "ok");
        match detail {
            Some(detail) => assert!(health["detail"].as_str().unwrap().contains(detail)),
            None => assert_eq!(health.get("detail"), None),
        }
    }
}

#[test]
fn health_writes_to_the_store_now_and_then() {
    let app = working_app();
    for (after_ms, writes) in [(0, 1), (4_999, 1), (5_000, 2), (5_001, 2), (-10_000, 3)] {
        app.tables.env.now_ms.set(NOW_MS + after_ms);
        assert_eq!(get(&app, HEALTH).status(), 200);
        assert_eq!(app.tables.store.writes.get(), writes, "after {after_ms} ms");
    }
    app.tables.store.is_read_only.set(true);
    app.tables.env.now_ms.set(NOW_MS + 60_000);
    assert_eq!(get(&app, HEALTH).status(), 503);
}

#[test]
fn one_start_with_another_key_encryption_key_changes_nothing() {
    let ca = self_signed(ca_params("Domain CA"));
    let right = app(settings(&ca, &[]));
    let wrong = app(settings(&ca, &[("key_encryption_key", &"f".repeat(64))]));
    let (first, second) = (Machine::new(), Machine::new());
    first.join(&right);
    second.join(&right);
    second.leave_at(&right, NOW_MS, false);

    hand_over(&right, &wrong);
    let before = rows(&wrong);
    let health = get(&wrong, HEALTH);
    assert_eq!(health.status(), 503);
    let health = json(&health);
    assert_eq!(health["store"], "error");
    assert!(
        health["detail"]
            .as_str()
            .unwrap()
            .contains("key_encryption_key")
    );
    assert_refused(&first.join_at(&wrong, NOW_MS), "INTERNAL");
    assert_refused(&first.leave_at(&wrong, NOW_MS, false), "INTERNAL");
    assert_refused(&get(&wrong, URL), "INTERNAL");
    for (method, path) in [
        ("GET", "/domains"),
        ("GET", DOMAIN),
        ("POST", "/domains/living-room/rollover"),
        ("DELETE", DOMAIN),
    ] {
        assert_refused(&admin(&wrong, method, path, None), "INTERNAL");
    }
    assert_refused(
        &admin(&wrong, "PUT", "/domains/kitchen", Some(json!({}))),
        "INTERNAL",
    );
    assert_eq!(rows(&wrong), before);

    hand_over(&wrong, &right);
    assert_eq!(versions(&first.join(&right)), [1, 2]);
}

#[test]
fn strangers_cannot_ask_who_is_a_member() {
    let app = working_app();
    let machine = Machine::new();
    machine.join(&app);
    let thief = Machine {
        guid: machine.guid,
        ..Machine::new()
    };
    let stranger = Machine::new();
    for preview in [true, false] {
        let answers = [&thief, &stranger].map(|asks| {
            let mut answer = json(&asks.leave_at(&app, NOW_MS, preview));
            for of_this_request in ["machineGuid", "instance"] {
                answer[of_this_request].take();
            }
            answer
        });
        assert_eq!(answers[0]["error"], "DEREG_DENIED");
        assert_eq!(answers[0], answers[1]);
    }
    assert_refused(&thief.join_at(&app, NOW_MS), "MACHINE_KEY_MISMATCH");
    assert_eq!(machine.join(&app)["newMember"], false);
}

#[test]
fn unblocking_does_not_forget_a_departure() {
    let app = working_app();
    let machine = Machine::new();
    machine.join(&app);
    app.tables.env.now_ms.set(NOW_MS + 10_000);
    machine.leave_at(&app, NOW_MS + 10_000, false);
    let path = format!("/domains/living-room/blocked/{}", machine.guid);
    assert_eq!(admin(&app, "PUT", &path, None).status(), 204);
    assert_refused(&machine.join_at(&app, NOW_MS + 11_000), "DOM_REG_DENIED");
    assert_eq!(admin(&app, "DELETE", &path, None).status(), 204);
    // The registration from before the departure, sent again by somebody else.
    assert_refused(&machine.join_at(&app, NOW_MS), "REQUEST_REPLAYED");
    assert_eq!(machine.join_at(&app, NOW_MS + 11_000).status(), 200);
}

#[test]
fn settings_with_if_match_never_create_a_domain() {
    let (here, elsewhere) = two_instances();
    Machine::new().join(&here);
    let tag = admin(&here, "GET", DOMAIN, None).headers()["etag"].clone();
    hand_over(&here, &elsewhere);
    let existing = elsewhere.tables.store.rows.borrow().clone();
    assert_eq!(admin(&elsewhere, "DELETE", DOMAIN, None).status(), 204);
    let deleted = elsewhere.tables.store.rows.borrow().clone();

    // Deleted by another instance after any of the reads that the request makes.
    for reads in 0..10 {
        here.tables.store.rows.replace(existing.clone());
        here.tables
            .store
            .others
            .replace(Some((reads, deleted.clone())));
        let request = Request::put(format!("http://127.0.0.1:3000/admin/v1{DOMAIN}"))
            .header("authorization", format!("Bearer {ADMIN_TOKEN}"))
            .header("content-type", "application/json")
            .header("if-match", &tag)
            .body("{}".to_owned());
        let status = send(&here, request.unwrap()).status().as_u16();
        if here.tables.store.others.take().is_some() {
            assert_eq!(status, 200, "the domain was there all the while");
            break;
        }
        assert!([412, 503].contains(&status), "{status} after {reads} reads");
        assert_refused(&get(&here, URL), "UNKNOWN_DOMAIN");
    }
}

#[test]
fn a_steady_join_stays_cheap_in_the_last_third_of_the_ca() {
    let app = working_app();
    let machine = Machine::new();
    // A credential of ten years that ends with the CA, in 2046, cannot be renewed by it.
    for year in [2037, 2043, 2045] {
        let now_ms = NOW_MS + (year - 2026) * 365 * DAY_MS;
        app.tables.env.now_ms.set(now_ms);
        machine.join(&app);
        let before = (app.tables.store.reads.get(), app.tables.store.writes.get());
        machine.join(&app);
        let after = (app.tables.store.reads.get(), app.tables.store.writes.get());
        assert_eq!(
            (after.0 - before.0, after.1 - before.1),
            (2, 0),
            "in {year}"
        );
    }
}

#[test]
fn what_has_no_body_is_not_to_be_kept_either() {
    let app = working_app();
    Machine::new().join(&app);
    let rollover = admin(&app, "POST", "/domains/living-room/rollover", None);
    let deleted = admin(&app, "DELETE", DOMAIN, None);
    for (answer, status) in [(rollover, 202), (deleted, 204)] {
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["cache-control"], "no-store");
    }
}

#[test]
fn an_operator_is_shown_what_it_has_set() {
    let app = working_app();
    Machine::new().join(&app);
    let put = |maximum: u64| {
        let answer = admin(
            &app,
            "PUT",
            DOMAIN,
            Some(json!({ "maxMembership": maximum })),
        );
        assert_eq!(answer.status(), 200);
        json(&answer)["maxMembership"].clone()
    };
    let before = app.tables.store.rows.borrow().clone();
    put(5);
    put(7);
    // What another operator's 7 after it makes of the store, after any read of the request.
    let after = app.tables.store.rows.borrow().clone();
    for reads in 0..20 {
        app.tables.store.rows.replace(before.clone());
        app.tables
            .store
            .others
            .replace(Some((reads, after.clone())));
        assert_eq!(put(5), 5, "after {reads} reads");
        app.tables.store.others.take();
    }
}
