//! Request ids, events, and what operators' tokens allow.

use http::Request;
use serde_json::{Value, json};

use crate::{
    callers::{Machine, URL, admin, assert_refused, get, post, working_app},
    support::{ADMIN_TOKEN, NOW_MS, TestApp, app, ca_params, json, self_signed, send, settings},
};

/// The events since the last call, without their time.
fn events(app: &TestApp) -> Vec<Value> {
    let lines = app.tables.env.log.take();
    let events = lines
        .iter()
        .filter(|line| line.starts_with("{\"event\":\""));
    events
        .map(|line| {
            let mut event: Value = serde_json::from_str(line).unwrap();
            let members = event.as_object_mut().unwrap();
            assert_eq!(members.remove("time").unwrap(), "2026-11-22T19:41:28Z");
            assert!(members.remove("request_id").is_some());
            event
        })
        .collect()
}

#[test]
fn every_answer_has_the_requests_id() {
    let app = working_app();
    let with = |id: &str, url: &str| {
        let request = Request::get(url).header("x-request-id", id);
        send(&app, request.body(String::new()).unwrap())
    };
    let health = "http://127.0.0.1:3000/healthz";
    let answer = with("a.B_c-9", health);
    assert_eq!(answer.headers()["x-request-id"], "a.B_c-9");

    let refused = with("a.B_c-9", URL);
    assert_eq!(refused.headers()["x-request-id"], "a.B_c-9");
    assert_eq!(json(&refused)["instance"], "urn:request:a.B_c-9");

    let refused = with("no id", URL);
    let id = refused.headers()["x-request-id"].to_str().unwrap();
    assert_eq!((id.len(), &id[14..15]), (36, "7"));
    assert_eq!(json(&refused)["instance"], format!("urn:uuid:{id}"));
    let other = get(&app, URL);
    assert_ne!(other.headers()["x-request-id"], id);
}

#[test]
fn an_error_of_the_servers_names_the_request_in_the_log() {
    let app = app(Err(vec!["ca_certificate is not set".into()]));
    let answer = Machine::new().join_at(&app, NOW_MS);
    let id = answer.headers()["x-request-id"].to_str().unwrap();
    let log = app.tables.env.log.borrow();
    let line = log.iter().find(|line| line.starts_with("error: ")).unwrap();
    assert!(line.ends_with(&format!("(request {id})")), "{line}");
}

#[test]
fn devices_requests_are_recorded_with_their_outcome() {
    let app = working_app();
    let machine = Machine::new();
    let guid = machine.guid.to_string();
    let event = |outcome: &str, event: &str| {
        json!({
            "event": event, "outcome": outcome, "domain": "living-room", "machineGuid": guid,
            "actor": "machine",
        })
    };
    machine.join(&app);
    let mut made = events(&app);
    let took = made[1].as_object_mut().unwrap().remove("durationSeconds");
    assert!(took.unwrap().as_f64().unwrap() >= 0.0);
    let mut joined = event("joined", "registration");
    joined["keyVersion"] = json!(1);
    assert_eq!(
        made,
        [
            json!({ "event": "domain_created", "domain": "living-room", "actor": "machine" }),
            json!({
                "event": "key_generated", "domain": "living-room", "keyVersion": 1,
                "keyType": "EC-P256", "actor": "machine",
            }),
            joined,
        ]
    );

    machine.join(&app);
    let mut member = event("member", "registration");
    member["keyVersion"] = json!(1);
    assert_eq!(events(&app), [member]);

    machine.leave_at(&app, NOW_MS, true);
    machine.leave_at(&app, NOW_MS, false);
    machine.leave_at(&app, NOW_MS, false);
    machine.join_at(&app, NOW_MS - 400_000);
    post(&app, &format!("{URL}/register"), "{}".into());
    post(&app, &format!("{URL}%20/deregister"), "{}".into());
    let known = |outcome: &str, event: &str| json!({ "event": event, "outcome": outcome, "domain": "living-room", "actor": "machine" });
    assert_eq!(
        events(&app),
        [
            event("preview", "deregistration"),
            event("left", "deregistration"),
            event("DEREG_DENIED", "deregistration"),
            known("REQUEST_EXPIRED", "registration"),
            known("INVALID_REQUEST", "registration"),
            json!({
                "event": "deregistration", "outcome": "INVALID_DOMAIN_NAME", "actor": "machine",
            }),
        ]
    );
}

#[test]
fn a_request_that_the_server_fails_is_recorded() {
    let app = working_app();
    app.tables.store.is_down.set(true);
    Machine::new().join_at(&app, NOW_MS);
    assert_eq!(events(&app)[0]["outcome"], "STORE_UNAVAILABLE");
}

#[test]
fn what_operators_do_is_recorded() {
    let app = working_app();
    let machine = Machine::new();
    let domain = "/domains/living-room";
    let member = format!("{domain}/members/{}", machine.guid);
    let blocked = format!("{domain}/blocked/{}", machine.guid);
    for (method, path, expected) in [
        ("PUT", domain, "domain_created"),
        ("PUT", domain, "domain_changed"),
        ("POST", &format!("{domain}/rollover"), "rollover_required"),
        ("PUT", &blocked, "machine_blocked"),
        ("DELETE", &blocked, "machine_unblocked"),
        ("DELETE", domain, "domain_deleted"),
    ] {
        let body = path.ends_with("room").then(|| json!({}));
        let answer = admin(&app, method, path, body);
        assert!(answer.status().is_success(), "{method} {path}");
        let [event] = &events(&app)[..] else {
            panic!("{method} {path}: not one event");
        };
        assert_eq!(event["event"], expected);
        assert_eq!(event["domain"], "living-room");
        let actor = event["actor"].as_str().unwrap();
        assert_eq!((&actor[..6], actor.len()), ("admin:", 14));
        let concerns = path.contains("blocked").then(|| machine.guid.to_string());
        assert_eq!(event["machineGuid"].as_str(), concerns.as_deref());
    }
    machine.join(&app);
    events(&app);
    admin(&app, "DELETE", &member, None);
    assert_eq!(events(&app)[0]["event"], "member_removed");
    // What is only read, and what changes nothing, is no event.
    admin(&app, "GET", domain, None);
    admin(&app, "DELETE", &member, None);
    admin(&app, "DELETE", "/domains/nowhere", None);
    assert_eq!(events(&app), [] as [Value; 0]);
}

#[test]
fn several_tokens_and_tokens_that_only_read() {
    let [second, reader] = ["second", "reader"].map(|name| format!("{name}-{}", "t".repeat(32)));
    let ca = self_signed(ca_params("Domain CA"));
    let tokens = format!("{ADMIN_TOKEN}\n{second}\n");
    let app = app(settings(
        &ca,
        &[("admin_token", &tokens), ("admin_read_token", &reader)],
    ));
    let ask = |token: &str, method: &str, path: &str| {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://127.0.0.1:3000/admin/v1{path}"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        send(&app, request.body("{}".to_owned()).unwrap())
    };
    let mut actors = Vec::new();
    for token in [ADMIN_TOKEN, &second] {
        assert!(ask(token, "PUT", "/domains/d").status().is_success());
        actors.push(events(&app)[0]["actor"].clone());
    }
    assert_ne!(actors[0], actors[1]);

    assert_eq!(ask(&reader, "GET", "/domains/d").status(), 200);
    assert_eq!(ask(&reader, "HEAD", "/domains/d").status(), 200);
    assert_eq!(events(&app), [] as [Value; 0]);
    for (method, path) in [
        ("PUT", "/domains/d"),
        ("DELETE", "/domains/d"),
        ("POST", "/domains/d/rollover"),
        ("DELETE", "/nothing"),
    ] {
        let answer = ask(&reader, method, path);
        assert_eq!(answer.status(), 403);
        assert_refused(&answer, "ADMIN_FORBIDDEN");
        let challenge = "Bearer error=\"insufficient_scope\"";
        assert_eq!(answer.headers()["www-authenticate"], challenge);
        let event = &events(&app)[0];
        assert_eq!(event["event"], "admin_refused");
        assert_eq!(event["outcome"], "ADMIN_FORBIDDEN");
        assert!(event["actor"].as_str().unwrap().starts_with("admin:"));
    }

    let nobody = format!("{second}\n");
    for token in ["", "wrong", &nobody[..nobody.len() - 2]] {
        assert_refused(
            &ask(token, "GET", "/domains/d"),
            "ADMIN_AUTHENTICATION_REQUIRED",
        );
        let event = &events(&app)[0];
        assert_eq!(event["outcome"], "ADMIN_AUTHENTICATION_REQUIRED");
        assert_eq!(event["actor"], "anonymous");
    }
}

#[test]
fn a_token_that_only_reads_is_enough_for_the_tree_to_be_there() {
    let reader = "r".repeat(32);
    let ca = self_signed(ca_params("Domain CA"));
    let app = app(settings(
        &ca,
        &[("admin_token", "too short"), ("admin_read_token", &reader)],
    ));
    let answer = admin(&app, "GET", "/domains", None);
    assert_refused(&answer, "ADMIN_AUTHENTICATION_REQUIRED");
}
