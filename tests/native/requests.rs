//! Whole requests, from HTTP to the rows and back.

use anonymous_domains_protocol::{
    base64url, jwe,
    jwk::{PrivateKey, PublicKey},
    request::RegisterRequest,
    response::{PrivateKeySet, RegisterResponse},
};
use serde_json::{Value, json};
use x509_cert::der::{Decode, Encode};

use crate::{
    callers::{
        Machine, URL, admin, assert_refused, get, hand_over, post, private_keys, two_instances,
        versions, working_app,
    },
    support::{NOW_MS, TestApp, app, ca_params, json, self_signed, settings},
};

#[test]
fn joining_leaving_and_joining_again_rolls_the_keys_over() {
    let app = working_app();
    let (first, second) = (Machine::new(), Machine::new());
    assert_eq!(versions(&first.join(&app)), [1]);
    let again = first.join(&app);
    assert_eq!(
        (&again["newMember"], versions(&again)),
        (&json!(false), vec![1])
    );
    assert_eq!(versions(&second.join(&app)), [1]);

    let before = app.tables.store.rows.borrow().clone();
    let preview = first.leave_at(&app, NOW_MS, true);
    assert_eq!(json(&preview)["deregistered"], false);
    assert_eq!(*app.tables.store.rows.borrow(), before);

    assert_eq!(
        json(&first.leave_at(&app, NOW_MS, false))["deregistered"],
        true
    );
    assert_eq!(json(&get(&app, URL))["keyRolloverRequired"], true);
    assert_refused(&first.leave_at(&app, NOW_MS, false), "DEREG_DENIED");
    let rejoined = first.join(&app);
    assert_eq!(
        (&rejoined["newMember"], versions(&rejoined)),
        (&json!(true), vec![1, 2])
    );
    assert_eq!(json(&get(&app, URL))["keyRolloverRequired"], false);
}

#[test]
fn the_private_keys_reach_the_machine_and_fit_the_certificates() {
    let app = working_app();
    let machine = Machine::new();
    let joined = machine.join(&app);
    let jwe = joined["encryptedKeys"].as_str().unwrap();
    let set: Value = serde_json::from_slice(&jwe::decrypt(jwe, &machine.key).unwrap()).unwrap();
    let keys = set["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    for (key, credential) in keys.iter().zip(joined["credentials"].as_array().unwrap()) {
        assert_eq!(key["kid"], credential["kid"]);
        assert_eq!(key["x5c"], Value::Null, "the credential has it");
        let private = PrivateKey::from_jwk(key).unwrap();
        let der = credential["x5c"][0].as_str().unwrap();
        let der = base64url::decode_standard(der).unwrap();
        let certificate = x509_cert::Certificate::from_der(&der).unwrap();
        let spki = certificate.tbs_certificate().subject_public_key_info();
        let certified = PublicKey::from_spki_der(&spki.to_der().unwrap()).unwrap();
        assert_eq!(private.public_key().thumbprint(), certified.thumbprint());
    }
}

#[test]
fn what_each_flow_costs_the_store() {
    let cost = |app: &TestApp, flow: &dyn Fn(&TestApp)| {
        let (reads, writes) = (app.tables.store.reads.get(), app.tables.store.writes.get());
        flow(app);
        let store = &app.tables.store;
        (store.reads.get() - reads, store.writes.get() - writes)
    };
    let (app, another) = two_instances();
    let (first, second) = (Machine::new(), Machine::new());
    first.join(&app);

    // The domain and its roster; the keys are known.
    assert_eq!(
        cost(&app, &|app| drop(first.join(app))),
        (2, 0),
        "a member, again"
    );
    // And the roster once more, for the compare-and-swap.
    assert_eq!(
        cost(&app, &|app| drop(second.join(app))),
        (3, 1),
        "a new member"
    );
    assert_eq!(
        cost(&app, &|app| drop(second.leave_at(
            app,
            app.tables.env.now_ms.get(),
            false
        ))),
        (6, 3),
        "a departure"
    );
    // The keys are read before anything is changed, then to see what is due, to claim it, to save it
    // and to answer.
    assert_eq!(
        cost(&app, &|app| drop(first.join(app))),
        (7, 2),
        "a rollover"
    );
    // The cell of the root, the directory, which is also asked whose store it is, and the keys
    // besides.
    hand_over(&app, &another);
    assert_eq!(
        cost(&another, &|app| drop(first.join(app))),
        (6, 0),
        "an instance's first"
    );
    // A place is taken in the domain's row before, and becomes a member after.
    admin(
        &another,
        "PUT",
        "/domains/living-room",
        Some(json!({ "maxMembership": 9 })),
    );
    let third = Machine::new();
    assert_eq!(
        cost(&another, &|app| drop(third.join(app))),
        (5, 3),
        "a new member of a domain with a maximum"
    );
}

#[test]
fn what_an_instance_remembers_of_keys_ends_with_a_departure_elsewhere() {
    let (here, elsewhere) = two_instances();
    let (first, second) = (Machine::new(), Machine::new());
    first.join(&here);
    second.join(&here);

    hand_over(&here, &elsewhere);
    second.leave_at(&elsewhere, NOW_MS, false);
    assert_eq!(versions(&first.join(&elsewhere)), [1, 2]);

    hand_over(&elsewhere, &here);
    assert_eq!(versions(&first.join(&here)), [1, 2]);
}

#[test]
fn a_domain_of_the_same_name_has_none_of_the_deleted_ones_keys() {
    let (here, elsewhere) = two_instances();
    let machine = Machine::new();
    let deleted = machine.join(&here);

    hand_over(&here, &elsewhere);
    let gone = admin(&elsewhere, "DELETE", "/domains/living-room", None);
    assert_eq!(gone.status(), 204);
    let new = machine.join(&elsewhere);

    hand_over(&elsewhere, &here);
    let joined = machine.join(&here);
    assert_eq!(joined["credentials"], new["credentials"]);
    assert_ne!(joined["credentials"], deleted["credentials"]);
}

#[test]
fn only_credentials_above_the_known_version_are_delivered() {
    let app = working_app();
    let (resident, leaver) = (Machine::new(), Machine::new());
    for _ in 0..3 {
        resident.join(&app);
        leaver.join(&app);
        leaver.leave_at(&app, NOW_MS, false);
    }
    let all = resident.join(&app);
    assert_eq!(versions(&all), [1, 2, 3, 4]);
    let url = format!("{URL}/register");
    for known in [1, 3, 4, 5, u64::MAX] {
        let request = RegisterRequest {
            known_key_version: Some(known),
            ..resident.joining(NOW_MS)
        };
        let response = post(&app, &url, request.sign(&url, &resident.key).unwrap());
        // All of its members, of the types that clients read.
        let joined: RegisterResponse = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(joined.key_version, 4);
        let delivered: Vec<u64> = joined.credentials.iter().map(|it| it.key_version).collect();
        let expected: Vec<u64> = (1..=4).filter(|version| *version > known).collect();
        assert_eq!(delivered, expected, "above {known}");
        let kids: Vec<_> = joined.credentials.iter().map(|it| it.kid.clone()).collect();
        let private = joined.encrypted_keys.map(|jwe| {
            let set = jwe::decrypt(&jwe, &resident.key).unwrap();
            serde_json::from_slice::<PrivateKeySet>(&set).unwrap().keys
        });
        let private_kids: Vec<_> = private
            .iter()
            .flatten()
            .map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(private_kids, kids, "above {known}");
        assert_eq!(private.is_none(), expected.is_empty());
    }
}

#[test]
fn what_an_instance_has_opened_before_a_rollover_is_what_another_opens_after_it() {
    let (app, another) = two_instances();
    let (resident, leaver) = (Machine::new(), Machine::new());
    resident.join(&app);
    leaver.join(&app);
    leaver.leave_at(&app, NOW_MS, false);
    let joined = resident.join(&app);
    assert_eq!(versions(&joined), [1, 2]);
    hand_over(&app, &another);
    let same = resident.join(&another);
    assert_eq!(joined["credentials"], same["credentials"]);
    assert_eq!(
        private_keys(&joined, &resident),
        private_keys(&same, &resident)
    );
}

#[test]
fn a_replayed_request_changes_nothing() {
    let app = working_app();
    let machine = Machine::new();
    machine.join(&app);
    app.tables.env.now_ms.set(NOW_MS + 10_000);
    assert_eq!(machine.leave_at(&app, NOW_MS + 10_000, false).status(), 200);
    // The registration from before the departure.
    assert_refused(&machine.join_at(&app, NOW_MS), "REQUEST_REPLAYED");
    app.tables.env.now_ms.set(NOW_MS + 20_000);
    machine.join(&app);
    // The departure from before the new membership.
    assert_refused(
        &machine.leave_at(&app, NOW_MS + 10_000, false),
        "REQUEST_REPLAYED",
    );
    // Within the slack of a second, and by a clock that is four minutes slow all the time.
    let slow = Machine::new();
    let slow_ms = NOW_MS + 20_000 - 240_000;
    assert_eq!(slow.join_at(&app, slow_ms).status(), 200);
    assert_eq!(slow.leave_at(&app, slow_ms - 1000, false).status(), 200);
    assert_eq!(slow.join_at(&app, slow_ms - 1000).status(), 200);
}

#[test]
fn freshness_ends_with_the_clock_tolerance() {
    let app = working_app();
    let machine = Machine::new();
    for (iat_ms, fresh) in [
        (NOW_MS - 300_000, true),
        (NOW_MS + 300_000, true),
        (NOW_MS - 300_001, false),
        (NOW_MS + 300_001, false),
    ] {
        let response = machine.join_at(&app, iat_ms);
        assert_eq!(response.status() == 200, fresh, "{iat_ms}");
        if !fresh {
            assert_refused(&response, "REQUEST_EXPIRED");
        }
    }
}

#[test]
fn a_request_must_have_been_made_for_this_place() {
    let ca = self_signed(ca_params("Domain CA"));
    let app = app(settings(
        &ca,
        &[("public_origin", "https://domains.example")],
    ));
    let machine = Machine::new();
    let came_to = format!("{URL}/register");
    let made_for = |url: &str| {
        post(
            &app,
            &came_to,
            machine.joining(NOW_MS).sign(url, &machine.key).unwrap(),
        )
    };
    let path = "/flashaccess/domainserver/living-room/register";
    for wrong in [
        format!("https://other.example{path}"),
        format!("http://domains.example{path}"),
        format!("https://domains.example:8443{path}"),
        format!("https://domains.example{path}/"),
        path.to_owned(),
        "https://domains.example/flashaccess/domainserver/kitchen/register".to_owned(),
    ] {
        assert_refused(&made_for(&wrong), "INVALID_REQUEST");
    }
    assert_eq!(app.tables.store.writes.get(), 0);
    assert_eq!(
        made_for(&format!("https://domains.example:443{path}")).status(),
        200
    );
}

/// RFC 5280 section 4.2.1.6: the host of a certificate's URI is a DNS name or an address.
#[test]
fn a_request_comes_to_a_host_that_a_certificate_may_name() {
    let app = app(settings(&self_signed(ca_params("Domain CA")), &[]));
    let machine = Machine::new();
    let path = "/flashaccess/domainserver/living-room/register";
    let come_to = |host: &str| {
        let signed = machine
            .joining(NOW_MS)
            .sign(&format!("{URL}/register"), &machine.key);
        post(&app, &format!("http://{host}{path}"), signed.unwrap())
    };
    for host in ["[zz]", "a..b", "$(id)"] {
        assert_refused(&come_to(host), "INVALID_REQUEST");
    }
    assert_eq!(app.tables.store.writes.get(), 0);
    assert_eq!(come_to("[::1]:3000").status(), 200);
}

#[test]
fn under_a_path_prefix_devices_sign_it_and_certificates_name_it() {
    let ca = self_signed(ca_params("Domain CA"));
    let app = app(settings(&ca, &[("public_path_prefix", "/drm")]));
    let machine = Machine::new();
    // The host has removed the prefix.
    let came_to = format!("{URL}/register");
    let made_for = |url: &str| {
        let request = machine.joining(NOW_MS).sign(url, &machine.key).unwrap();
        post(&app, &came_to, request)
    };
    let path = "/flashaccess/domainserver/living-room/register";
    for wrong in [
        path.to_owned(),
        format!("/other{path}"),
        format!("/drm/drm{path}"),
    ] {
        let wrong = format!("https://domains.example{wrong}");
        assert_refused(&made_for(&wrong), "INVALID_REQUEST");
    }
    let joined = made_for(&format!("https://domains.example/drm{path}"));
    assert_eq!(joined.status(), 200);
    let joined = json(&joined);
    let certificate = joined["credentials"][0]["x5c"][0].as_str().unwrap();
    let der = anonymous_domains_protocol::base64url::decode_standard(certificate).unwrap();
    let named = b"/drm/flashaccess/domainserver/living-room/#v1";
    assert!(der.windows(named.len()).any(|window| window == named));
}

#[test]
fn a_certificate_that_runs_out_is_renewed_over_the_same_key() {
    let ca = self_signed(ca_params("Domain CA"));
    let app = app(settings(&ca, &[("credential_ttl_days", "30")]));
    let machine = Machine::new();
    let first = machine.join(&app);
    let day_ms = 24 * 60 * 60 * 1000;
    app.tables.env.now_ms.set(NOW_MS + 19 * day_ms);
    assert_eq!(machine.join(&app)["credentials"], first["credentials"]);
    app.tables.env.now_ms.set(NOW_MS + 21 * day_ms);
    let renewed = machine.join(&app);
    assert_eq!(versions(&renewed), [1]);
    assert_ne!(renewed["credentials"], first["credentials"]);
    assert_eq!(machine.join(&app)["credentials"], renewed["credentials"]);
}

#[test]
fn a_maximum_may_be_set_on_a_roster_of_many_rows_and_lifted_again() {
    let app = working_app();
    let machines: Vec<Machine> = (0..600).map(|_| Machine::new()).collect();
    for machine in &machines {
        machine.join(&app);
    }
    let domain = "/domains/living-room";
    let count = || json(&admin(&app, "GET", domain, None))["memberCount"].clone();
    assert_eq!(count(), 600);
    let newcomer = Machine::new();
    for maximum in [0, 599, 600] {
        let put = admin(
            &app,
            "PUT",
            domain,
            Some(json!({ "maxMembership": maximum })),
        );
        assert_eq!(put.status(), 200);
        assert_eq!(json(&put)["memberCount"], 600);
        assert_refused(&newcomer.join_at(&app, NOW_MS), "DOM_LIMIT_REACHED");
        assert_eq!(versions(&machines[599].join(&app)), [1]);
    }
    admin(&app, "PUT", domain, Some(json!({ "maxMembership": 601 })));
    newcomer.join(&app);
    assert_refused(&Machine::new().join_at(&app, NOW_MS), "DOM_LIMIT_REACHED");
    admin(&app, "PUT", domain, Some(json!({})));
    Machine::new().join(&app);
    assert_eq!(count(), 602);

    // Every member is listed once, in the order of GUIDs.
    let mut listed = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("{domain}/members?limit=100{after}");
        let page = json(&admin(&app, "GET", &path, None));
        let members = page["members"].as_array().unwrap();
        listed.extend(
            members
                .iter()
                .map(|member| member["machineGuid"].to_string()),
        );
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(listed.len(), 602);
    assert!(listed.is_sorted());
}
