//! Deleting domains: what is left of them, and of a deletion that broke off.

use anonymous_domains_protocol::ids::MachineGuid;
use serde_json::json;

use crate::{
    callers::{Machine, URL, admin, get, hand_over, two_instances, working_app},
    support::{TestApp, json},
};

const DOMAIN: &str = "/domains/living-room";

#[test]
fn a_deletion_that_broke_off_leaves_no_member_behind() {
    let app = working_app();
    let machines: Vec<Machine> = (0..600).map(|_| Machine::new()).collect();
    for machine in &machines {
        machine.join(&app);
    }
    let holds_a_member = |app: &TestApp| {
        let rows = app.tables.store.rows.borrow();
        let guids: Vec<MachineGuid> = machines.iter().map(|machine| machine.guid).collect();
        let has = |bytes: &[u8]| {
            guids
                .iter()
                .any(|guid| bytes.windows(16).any(|it| it == guid.as_bytes()))
        };
        // A row that was replaced when it was split still remembers nothing of its entries.
        rows.values().any(|bytes| has(bytes))
    };
    assert!(holds_a_member(&app));
    let whole = app.tables.store.rows.borrow().clone();
    let is_recorded = || {
        let log = app.tables.env.log.take();
        log.iter().any(|line| line.contains("domain_deleted"))
    };
    let mut broke_off = 0;
    for writes in 0.. {
        app.tables.store.rows.replace(whole.clone());
        app.tables.store.writes_left.set(Some(writes));
        let answer = admin(&app, "DELETE", DOMAIN, None).status();
        app.tables.store.writes_left.set(None);
        if answer == 204 {
            break;
        }
        broke_off += 1;
        assert_eq!(answer, 503);
        // Also if the domain is erased by another request.
        let is_gone = admin(&app, "GET", DOMAIN, None).status() == 404;
        assert_eq!(is_recorded(), is_gone, "after {writes} writes");
        assert_eq!(
            admin(&app, "DELETE", DOMAIN, None).status(),
            204,
            "after {writes} writes"
        );
        assert!(!holds_a_member(&app), "after {writes} writes");
    }
    assert!(broke_off > 10, "{broke_off}");
}

#[test]
fn domains_that_come_and_go_leave_one_row_for_each_name() {
    let app = working_app();
    assert_eq!(
        admin(&app, "PUT", "/domains/attic", Some(json!({}))).status(),
        201
    );
    let rows = || app.tables.store.rows.borrow().len();
    let before = rows();
    let mut after_each = Vec::new();
    for _ in 0..4 {
        let (first, second, third) = (Machine::new(), Machine::new(), Machine::new());
        first.join(&app);
        second.join(&app);
        let now_ms = app.tables.env.now_ms.get();
        assert_eq!(first.leave_at(&app, now_ms, false).status(), 200);
        let blocked = format!("{DOMAIN}/blocked/{}", third.guid);
        assert_eq!(admin(&app, "PUT", &blocked, None).status(), 204);
        assert_eq!(first.join(&app)["keyVersion"], 2);
        assert_eq!(admin(&app, "DELETE", DOMAIN, None).status(), 204);
        after_each.push(rows() - before);
    }
    assert_eq!(after_each, [1; 4]);
}

#[test]
fn a_list_does_not_read_what_was_deleted() {
    let app = working_app();
    let create = |name: &str| {
        let path = format!("/domains/{name}");
        assert_eq!(admin(&app, "PUT", &path, Some(json!({}))).status(), 201);
        path
    };
    create("attic");
    let list = || {
        let before = app.tables.store.reads.get();
        let listed = json(&admin(&app, "GET", "/domains?limit=10", None));
        let names = listed["domains"].as_array().unwrap().clone();
        let names: Vec<_> = names.iter().map(|it| it["domain"].clone()).collect();
        (names, app.tables.store.reads.get() - before)
    };
    let alone = list();
    for number in 0..30 {
        let path = create(&format!("room-{number}"));
        assert_eq!(admin(&app, "DELETE", &path, None).status(), 204);
    }
    assert_eq!(list(), alone);
    // One that comes back is listed.
    create("room-7");
    assert_eq!(list().0, ["attic", "room-7"]);
}

#[test]
fn a_late_deletion_hides_no_domain_that_came_back() {
    let (here, elsewhere) = two_instances();
    Machine::new().join(&here);
    hand_over(&here, &elsewhere);
    let existing = elsewhere.tables.store.rows.borrow().clone();
    assert_eq!(admin(&elsewhere, "DELETE", DOMAIN, None).status(), 204);
    Machine::new().join(&elsewhere);
    let back = elsewhere.tables.store.rows.borrow().clone();

    // Another instance deletes it and lets it come back, after any of this deletion's reads.
    for reads in 0.. {
        here.tables.store.rows.replace(existing.clone());
        let others = Some((reads, back.clone()));
        here.tables.store.others.replace(others);
        let status = admin(&here, "DELETE", DOMAIN, None).status().as_u16();
        if here.tables.store.others.take().is_some() {
            assert_eq!(status, 204, "the domain was there all the while");
            assert!(reads > 5, "{reads}");
            break;
        }
        let exists = get(&here, URL).status() == 200;
        let list = json(&admin(&here, "GET", "/domains", None));
        let is_listed = list["domains"].as_array().is_some_and(|it| !it.is_empty());
        assert_eq!(is_listed, exists, "after {reads} reads: {status}");
    }
}
