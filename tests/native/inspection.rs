//! A store that is checked and mended.

use std::collections::BTreeSet;

use anonymous_domains::store::row;
use anonymous_domains_protocol::base64url;
use serde_json::{Value, json};

use crate::{
    callers::{Machine, admin, assert_refused, versions},
    support::{MemoryStore, Rows, TestApp, app, ca_params, json, self_signed, settings},
};

const DOMAIN: &str = "/domains/living-room";

/// What a check finds, by pages of so many rows.
fn check_by(app: &TestApp, method: &str, rows: usize) -> (Vec<Value>, u64, u64) {
    let (mut findings, mut domains, mut members) = (Vec::new(), 0, 0);
    let mut after = String::new();
    loop {
        let response = admin(app, method, &format!("/check?limit={rows}{after}"), None);
        assert_eq!(response.status(), 200, "{:?}", json(&response));
        let page = json(&response);
        findings.extend(page["findings"].as_array().unwrap().iter().cloned());
        domains += page["domains"].as_u64().unwrap();
        members += page["members"].as_u64().unwrap();
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return (findings, domains, members),
        }
    }
}

/// The kinds of what a check finds.
fn check(app: &TestApp) -> BTreeSet<String> {
    kinds(&check_by(app, "GET", 1000).0)
}

fn kinds(findings: &[Value]) -> BTreeSet<String> {
    let kind = |finding: &Value| finding["finding"].as_str().unwrap().to_owned();
    findings.iter().map(kind).collect()
}

fn mend(app: &TestApp) -> Vec<Value> {
    check_by(app, "POST", 1000).0
}

/// The key of the only row of a table that there is.
fn only_row(store: &MemoryStore, table: &str) -> String {
    let rows = store.rows.borrow();
    let prefix = format!("anonymous-domains:{table}:");
    let mut found = rows.keys().filter(|key| key.starts_with(&prefix));
    let only = found.next().unwrap().clone();
    assert!(found.next().is_none(), "{table} has other rows");
    only
}

fn working_app() -> TestApp {
    app(settings(&self_signed(ca_params("Domain CA")), &[]))
}

/// A server with a domain of two machines.
fn app_with_a_domain() -> (TestApp, [Machine; 2]) {
    let app = working_app();
    let machines = [Machine::new(), Machine::new()];
    for machine in &machines {
        machine.join(&app);
    }
    (app, machines)
}

#[test]
fn nothing_is_wrong_with_a_store_that_was_used_as_it_should_be() {
    let app = working_app();
    assert_eq!(check_by(&app, "GET", 1), (vec![], 0, 0), "never used");
    let machines: Vec<Machine> = (0..600).map(|_| Machine::new()).collect();
    for machine in &machines {
        machine.join(&app);
    }
    let put = |path: &str, body| admin(&app, "PUT", path, body);
    for number in 0..9 {
        put(
            &format!("/domains/room-{number}"),
            Some(json!({ "maxMembership": 7 })),
        );
    }
    admin(&app, "DELETE", "/domains/room-3", None);
    put(DOMAIN, Some(json!({ "maxMembership": 1000 })));
    put(&format!("{DOMAIN}/blocked/{}", machines[0].guid), None);
    put(&format!("{DOMAIN}/blocked/{}", Machine::new().guid), None);
    machines[1].join(&app);
    let before = app.tables.store.writes.get();
    for rows in [1, 2, 7, 1000] {
        assert_eq!(check_by(&app, "GET", rows), (vec![], 10, 599), "{rows}");
    }
    assert_eq!(
        app.tables.store.writes.get(),
        before,
        "a check writes nothing"
    );
    assert_eq!(check_by(&app, "POST", 1), (vec![], 10, 599));
    assert_refused(
        &admin(&app, "GET", "/check?after=AAAA_", None),
        "INVALID_REQUEST",
    );
    app.tables.store.is_down.set(true);
    assert_refused(&admin(&app, "GET", "/check", None), "STORE_UNAVAILABLE");
}

#[test]
fn damaged_and_missing_rows_are_found() {
    for table in ["DomainServerInfo", "DomainMembership", "DomainKeys"] {
        for damage in ["missing", "form", "bit", "cut"] {
            let (app, machines) = app_with_a_domain();
            // Another domain is checked all the same.
            let other = admin(&app, "PUT", "/domains/a", Some(json!({})));
            assert_eq!(other.status(), 201);
            let key = {
                let rows = app.tables.store.rows.borrow();
                let prefix = format!("anonymous-domains:{table}:");
                let largest = rows
                    .iter()
                    .filter(|(key, _)| key.starts_with(&prefix))
                    .max_by_key(|(_, row)| row.len());
                largest.unwrap().0.clone()
            };
            {
                let mut rows = app.tables.store.rows.borrow_mut();
                match damage {
                    "missing" => drop(rows.remove(&key)),
                    "form" => rows.get_mut(&key).unwrap()[0] = 99,
                    "bit" => *rows.get_mut(&key).unwrap().last_mut().unwrap() ^= 1,
                    _ => {
                        let row = rows.get_mut(&key).unwrap();
                        row.truncate(row.len() / 2);
                    }
                }
            }
            for method in ["GET", "POST"] {
                let (findings, domains, _) = check_by(&app, method, 1);
                assert_eq!(domains, 2);
                assert_eq!(kinds(&findings), ["unreadable-row".to_owned()].into());
                assert!(findings.iter().all(|finding| finding["mended"] == false));
                assert!(
                    findings[0]["detail"].as_str().unwrap().contains(&key),
                    "{findings:?}"
                );
            }
            drop(machines);
        }
    }
}

#[test]
fn keys_that_cannot_be_used_are_found_and_not_shown() {
    let ca = self_signed(ca_params("Domain CA"));
    let one = app(settings(&ca, &[]));
    Machine::new().join(&one);
    assert_eq!(check(&one), BTreeSet::new());

    // Another byte of the sealed key, and of the certificate.
    let key = only_row(&one.tables.store, "DomainKeys");
    let whole = one.tables.store.rows.borrow()[&key].clone();
    let line = json(&admin(&one, "GET", &format!("{DOMAIN}/keys"), None));
    let certificate = line["keys"][0]["x5c"][0].as_str().unwrap();
    let certificate = base64url::decode_standard(certificate).unwrap();
    let at = whole
        .windows(certificate.len())
        .position(|part| part == certificate)
        .unwrap();
    // As if it had been written so: otherwise the row's checksum would find it.
    let damaged = |offset: usize| {
        let mut row = whole.clone();
        row[offset] ^= 1;
        row::seal(&key, &mut row);
        one.tables.store.rows.borrow_mut().insert(key.clone(), row);
        check(&one)
    };
    assert_eq!(damaged(at - 20), ["key-does-not-open".to_owned()].into());
    // The signature's last byte.
    let end = at + certificate.len() - 1;
    assert_eq!(damaged(end), ["certificate-untrusted".to_owned()].into());
    // Its first byte, so that it is no certificate.
    assert_eq!(damaged(at), ["key-does-not-fit".to_owned()].into());
    one.tables.store.rows.borrow_mut().insert(key, whole);
    assert_eq!(check(&one), BTreeSet::new());

    // The same store under another CA.
    let other = app(settings(&self_signed(ca_params("Other CA")), &[]));
    let rows = one.tables.store.rows.borrow().clone();
    other.tables.store.rows.replace(rows);
    assert_eq!(check(&other), ["certificate-untrusted".to_owned()].into());
}

#[test]
fn what_requests_that_died_have_left_is_mended() {
    let ca = self_signed(ca_params("Domain CA"));
    let finding = |app: &TestApp, kind: &str| {
        assert_eq!(check(app), [kind.to_owned()].into());
        let mended = mend(app);
        assert_eq!(kinds(&mended), [kind.to_owned()].into());
        assert!(mended.iter().all(|finding| finding["mended"] == true));
        assert_eq!(check(app), BTreeSet::new());
    };
    for writes in 0.. {
        let app = app(settings(&ca, &[]));
        let (stays, leaves) = (Machine::new(), Machine::new());
        stays.join(&app);
        leaves.join(&app);
        admin(&app, "PUT", DOMAIN, Some(json!({ "maxMembership": 2 })));
        let now_ms = app.tables.env.now_ms.get();
        app.tables.store.writes_left.set(Some(writes));
        let left = leaves.leave_at(&app, now_ms, false).status();
        app.tables.store.writes_left.set(None);
        assert_eq!(
            check(&app),
            BTreeSet::new(),
            "somebody may be working on it"
        );
        app.tables.env.now_ms.set(now_ms + 200_000);
        if left == 200 {
            break;
        }
        if writes > 0 {
            finding(&app, "change-overdue");
            assert_eq!(json(&admin(&app, "GET", DOMAIN, None))["memberCount"], 1);
            assert_eq!(versions(&stays.join(&app)), [1, 2]);
        }
    }
    for writes in 1..4 {
        let app = app(settings(&ca, &[]));
        Machine::new().join(&app);
        app.tables.store.writes_left.set(Some(writes));
        assert_eq!(admin(&app, "DELETE", DOMAIN, None).status(), 503);
        app.tables.store.writes_left.set(None);
        finding(&app, "deletion-unfinished");
    }
    let app = app(settings(&ca, &[]));
    Machine::new().join(&app);
    app.tables.store.writes_left.set(Some(1));
    let put = admin(&app, "PUT", DOMAIN, Some(json!({ "maxMembership": 2 })));
    assert_eq!(put.status(), 503);
    app.tables.store.writes_left.set(None);
    finding(&app, "count-unfinished");
    assert_eq!(json(&admin(&app, "GET", DOMAIN, None))["memberCount"], 1);
}

/// A row that somebody put back from an old copy.
#[test]
fn a_wrong_number_of_members_is_counted_again() {
    let app = working_app();
    admin(&app, "PUT", DOMAIN, Some(json!({ "maxMembership": 3 })));
    let machines: Vec<Machine> = (0..3).map(|_| Machine::new()).collect();
    machines[0].join(&app);
    let old = app.tables.store.rows.borrow().clone();
    machines[1].join(&app);
    let roster = only_row(&app.tables.store, "DomainMembership");
    let row = old[&roster].clone();
    app.tables.store.rows.borrow_mut().insert(roster, row);
    assert_eq!(check(&app), ["count-wrong".to_owned()].into());
    let mended = mend(&app);
    assert_eq!(mended[0]["mended"], true);
    assert!(
        mended[0]["detail"]
            .as_str()
            .unwrap()
            .contains("1 members, and 2")
    );
    assert_eq!(check(&app), BTreeSet::new());
    assert_eq!(json(&admin(&app, "GET", DOMAIN, None))["memberCount"], 1);
    machines[1].join(&app);
    machines[2].join(&app);
    let now_ms = app.tables.env.now_ms.get();
    assert_refused(&Machine::new().join_at(&app, now_ms), "DOM_LIMIT_REACHED");
}

#[test]
fn an_import_that_was_not_finished_is_found_and_left_alone() {
    let (app, _) = app_with_a_domain();
    let page = json(&admin(&app, "POST", &format!("{DOMAIN}/export"), None));
    admin(&app, "DELETE", DOMAIN, None);
    let id = base64url::encode(&[1; 32]);
    let path = format!("{DOMAIN}/import?import={id}");
    let taken = admin(&app, "PUT", &path, Some(page["part"].clone()));
    assert_eq!(taken.status(), 200);
    for _ in 0..2 {
        let findings = mend(&app);
        assert_eq!(findings[0]["finding"], "import-unfinished");
        assert_eq!(findings[0]["mended"], false);
    }
}

/// Rows as they were, but one of the table's after another: as it was later, or changed.
fn with_each_row(
    app: &TestApp,
    was: &Rows,
    table: &str,
    change: impl Fn(&str) -> Option<Vec<u8>>,
    mut check: impl FnMut(&str),
) -> usize {
    let prefix = format!("anonymous-domains:{table}");
    let keys: Vec<_> = was.keys().filter(|key| key.starts_with(&prefix)).collect();
    for key in &keys {
        let mut rows = was.clone();
        match change(key) {
            Some(row) => rows.insert((*key).clone(), row),
            None => rows.remove(*key),
        };
        app.tables.store.rows.replace(rows);
        check(key);
    }
    keys.len()
}

#[test]
fn rows_of_a_tree_that_say_they_were_erased_are_found_and_the_others_checked() {
    let app = working_app();
    admin(&app, "PUT", "/domains/z", Some(json!({})));
    for _ in 0..300 {
        Machine::new().join(&app);
    }
    let was = app.tables.store.rows.borrow().clone();
    assert_eq!(admin(&app, "DELETE", DOMAIN, None).status(), 204);
    let left = app.tables.store.rows.borrow().clone();
    let of_the_other_domain = |key: &str| left.contains_key(key);
    // The state of a node that was replaced, and nothing in it.
    let erased = |key: &str| {
        let mut row = vec![4, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0];
        row::seal(key, &mut row);
        Some(row)
    };
    let mut seen = Vec::new();
    let rows = with_each_row(&app, &was, "DomainMembership:", erased, |key| {
        if of_the_other_domain(key) {
            return;
        }
        for method in ["GET", "POST"] {
            let (findings, domains, members) = check_by(&app, method, 1);
            assert_eq!(kinds(&findings), ["unreadable-row".to_owned()].into());
            assert_eq!(findings.len(), 1, "{findings:?}");
            assert_eq!(findings[0]["domain"], "living-room");
            let detail = findings[0]["detail"].as_str().unwrap();
            assert!(detail.contains(key), "{detail}");
            assert_eq!(domains, 2);
            seen.push(members);
        }
    });
    // The other domain's, this one's root and its leaves.
    assert_eq!(rows, 1 + 3);
    // With the root damaged no member is found, with a leaf those of the other; each by two methods.
    assert_eq!(seen.len(), 2 * 3, "{seen:?}");
    assert_eq!(seen.iter().filter(|members| **members == 0).count(), 2);
    assert_eq!(seen.iter().sum::<u64>(), 2 * 300);
}

#[test]
fn damage_above_all_domains_is_found() {
    let ca = self_signed(ca_params("Domain CA"));
    let app = app(settings(&ca, &[]));
    Machine::new().join(&app);
    let was = app.tables.store.rows.borrow().clone();
    let cut = |key: &str| Some(was[key][..was[key].len() / 2].to_vec());
    for table in ["Directory:", "root"] {
        let rows = with_each_row(&app, &was, table, cut, |key| {
            // An instance that has read it before, and one that has not.
            let fresh = crate::support::app(settings(&ca, &[]));
            let damaged = app.tables.store.rows.borrow().clone();
            fresh.tables.store.rows.replace(damaged.clone());
            for app in [&app, &fresh] {
                let (findings, domains, _) = check_by(app, "POST", 10);
                assert_eq!(domains, 0);
                assert_eq!(findings.len(), 1);
                assert_eq!(findings[0]["domain"], Value::Null);
                assert_eq!(findings[0]["finding"], "unreadable-row");
                let detail = findings[0]["detail"].as_str().unwrap();
                assert!(detail.contains(key), "{detail}");
            }
            // It does not pass for an empty store, of which the first user makes a new one.
            let now_ms = fresh.tables.env.now_ms.get();
            assert_refused(&Machine::new().join_at(&fresh, now_ms), "INTERNAL");
            assert_eq!(*fresh.tables.store.rows.borrow(), damaged);
        });
        assert_eq!(rows, 1);
    }
}

#[test]
fn what_damage_keeps_from_being_mended_is_said() {
    let (app, _) = app_with_a_domain();
    app.tables.store.writes_left.set(Some(1));
    let put = admin(&app, "PUT", DOMAIN, Some(json!({ "maxMembership": 2 })));
    assert_eq!(put.status(), 503);
    app.tables.store.writes_left.set(None);
    let key = only_row(&app.tables.store, "DomainMembership");
    let row = app.tables.store.rows.borrow_mut().remove(&key).unwrap();
    let findings = mend(&app);
    let wrong = ["count-unfinished", "unreadable-row"].map(str::to_owned);
    assert_eq!(kinds(&findings), wrong.into());
    for finding in &findings {
        assert_eq!(finding["mended"], false);
        assert!(finding["detail"].as_str().unwrap().contains(&key));
    }
    app.tables.store.rows.borrow_mut().insert(key, row);
    assert_eq!(mend(&app)[0]["mended"], true);
    assert_eq!(check(&app), BTreeSet::new());
}

#[test]
fn a_machine_that_is_blocked_or_let_in_while_it_is_checked_is_no_finding() {
    let (app, [machine, _]) = app_with_a_domain();
    let blocked = format!("{DOMAIN}/blocked/{}", machine.guid);
    let store = &app.tables.store;
    let never = store.rows.borrow().clone();
    assert_eq!(admin(&app, "PUT", &blocked, None).status(), 204);
    let listed = store.rows.borrow().clone();
    assert_eq!(admin(&app, "DELETE", &blocked, None).status(), 204);
    let let_in = store.rows.borrow().clone();
    for (was, becomes) in [
        (never, &listed),
        (listed.clone(), &let_in),
        (let_in.clone(), &listed),
    ] {
        for reads in 0.. {
            store.rows.replace(was.clone());
            store.others.replace(Some((reads, becomes.clone())));
            assert_eq!(check(&app), BTreeSet::new(), "after {reads} reads");
            if store.others.take().is_some() {
                assert!(reads > 3);
                break;
            }
        }
    }
}

#[test]
fn a_domain_that_is_deleted_while_it_is_checked_is_no_finding() {
    let (app, _) = app_with_a_domain();
    admin(&app, "PUT", DOMAIN, Some(json!({ "maxMembership": 9 })));
    let was = app.tables.store.rows.borrow().clone();
    assert_eq!(admin(&app, "DELETE", DOMAIN, None).status(), 204);
    let deleted = app.tables.store.rows.borrow().clone();
    for reads in 0.. {
        app.tables.store.rows.replace(was.clone());
        app.tables
            .store
            .others
            .replace(Some((reads, deleted.clone())));
        assert_eq!(check(&app), BTreeSet::new(), "after {reads} reads");
        if app.tables.store.others.take().is_some() {
            assert!(reads > 3);
            break;
        }
    }
}
