//! Domains that move from one store to another.

use anonymous_domains::{http::App, store::rows::Limits, tables::Tables};
use anonymous_domains_protocol::base64url;
use serde_json::{Value, json};

use crate::{
    callers::{Machine, URL, admin, assert_refused, get, private_keys, two_instances, versions},
    rotation::{NEW, restarted},
    support::{
        Ca, KEY_ENCRYPTION_KEY, MemoryStore, TestApp, TestEnvironment, app, ca_params, json,
        self_signed, settings,
    },
};

const DOMAIN: &str = "/domains/living-room";

/// Which import it is.
const ID: [u8; 32] = [7; 32];

/// A server whose rows are split early.
fn app_with_small_rows(ca: &Ca) -> TestApp {
    let settings = settings(ca, &[]);
    let keys = settings.as_ref().unwrap().key_digests();
    let limits = Limits {
        leaf_entries: 4,
        branch_children: 4,
        ..Limits::default()
    };
    let (store, env) = (MemoryStore::default(), TestEnvironment::default());
    App::new(Tables::new(store, env, keys, limits), settings)
}

/// A page of the export: the line, and where to go on.
fn page(
    app: &TestApp,
    after: Option<&str>,
    limit: usize,
) -> Result<(Value, Option<String>), Value> {
    let after = after.map_or_else(String::new, |after| format!("&after={after}"));
    let path = format!("{DOMAIN}/export?limit={limit}{after}");
    let response = admin(app, "POST", &path, None);
    let page = json(&response);
    if response.status() != 200 {
        return Err(page);
    }
    let next = page["next"].as_str().map(str::to_owned);
    Ok((page["part"].clone(), next))
}

/// The lines of the domain, with something that happens before each but the first.
fn export_while(
    app: &TestApp,
    limit: usize,
    mut meanwhile: impl FnMut(&Value),
) -> Result<Vec<Value>, Value> {
    let (line, mut next) = page(app, None, limit)?;
    let mut lines = vec![line];
    while let Some(after) = next {
        meanwhile(lines.last().unwrap());
        let (line, following) = page(app, Some(&after), limit)?;
        lines.push(line);
        next = following;
    }
    Ok(lines)
}

fn export(app: &TestApp, limit: usize) -> Vec<Value> {
    export_while(app, limit, |_| {}).unwrap()
}

/// Sends a line; what comes back, and whether it was taken.
fn import_line(app: &TestApp, line: &Value, id: [u8; 32], replace: bool) -> (Value, bool) {
    let id = base64url::encode(&id);
    let path = format!("{DOMAIN}/import?import={id}&replace={replace}");
    let response = admin(app, "PUT", &path, Some(line.clone()));
    (json(&response), response.status() == 200)
}

/// Sends lines until one is refused.
fn import(app: &TestApp, lines: &[Value]) -> Result<(), Value> {
    for line in lines {
        loop {
            let (answer, is_taken) = import_line(app, line, ID, false);
            if !is_taken {
                return Err(answer);
            }
            if line["part"] != "end" || answer["state"] == "imported" {
                break;
            }
        }
    }
    Ok(())
}

/// What an operator sees of the domain.
fn view(app: &TestApp) -> Value {
    let get = |path: &str| json(&admin(app, "GET", &format!("{DOMAIN}{path}"), None));
    json!([
        get(""),
        get("/members?limit=1000"),
        get("/blocked"),
        get("/keys")
    ])
}

fn leave(app: &TestApp, machine: &Machine) {
    let now_ms = app.tables.env.now_ms.get();
    assert_eq!(machine.leave_at(app, now_ms, false).status(), 200);
}

fn block(app: &TestApp, guid: impl std::fmt::Display) {
    let path = format!("{DOMAIN}/blocked/{guid}");
    assert_eq!(admin(app, "PUT", &path, None).status(), 204);
}

#[test]
fn a_domain_is_in_the_other_store_what_it_was() {
    let (here, there) = two_instances();
    let machines: Vec<Machine> = (0..5).map(|_| Machine::new()).collect();
    for machine in &machines {
        machine.join(&here);
    }
    leave(&here, &machines[0]);
    let before = machines[1].join(&here);
    assert_eq!(versions(&before), [1, 2]);
    block(&here, machines[2].guid);
    block(&here, Machine::new().guid);
    let settings = json!({ "maxMembership": 3 });
    admin(&here, "PUT", DOMAIN, Some(settings));

    for limit in [1, 1000] {
        let lines = export(&here, limit);
        import(&there, &lines).unwrap();
        assert_eq!(view(&here), view(&there));
        assert_eq!(view(&there)[0]["keyRolloverRequired"], true);
        assert_eq!(view(&there)[0]["memberCount"], 3);
        // Again, and nothing changes.
        import(&there, &lines).unwrap();
        assert_eq!(view(&here), view(&there));
        if limit == 1 {
            assert_eq!(admin(&there, "DELETE", DOMAIN, None).status(), 204);
        }
    }

    // The machines go on with what they have.
    let after = machines[1].join(&there);
    assert_eq!(after["newMember"], false);
    assert_eq!(after["registeredAt"], before["registeredAt"]);
    assert_eq!(versions(&after), [1, 2, 3], "the block required a rollover");
    let (old, new) = (
        private_keys(&before, &machines[1]),
        private_keys(&after, &machines[1]),
    );
    for at in [0, 1] {
        assert_eq!(old["keys"][at], new["keys"][at]);
    }
    let now_ms = there.tables.env.now_ms.get();
    assert_refused(&machines[2].join_at(&there, now_ms), "DOM_REG_DENIED");
    assert_refused(&Machine::new().join_at(&there, now_ms), "DOM_LIMIT_REACHED");
    // One that left may not be brought back by its own old request.
    assert_refused(
        &machines[0].join_at(&there, now_ms - 2000),
        "REQUEST_REPLAYED",
    );
    leave(&there, &machines[1]);
    assert_eq!(versions(&machines[0].join(&there)), [1, 2, 3, 4]);
    assert_eq!(view(&there)[0]["memberCount"], 3);
}

#[test]
fn a_domain_without_a_key_or_a_machine_moves_too() {
    let (here, there) = two_instances();
    let settings = json!({ "authenticationRequired": true, "authNamespace": "n" });
    admin(&here, "PUT", DOMAIN, Some(settings));
    let lines = export(&here, 1000);
    assert_eq!(lines.len(), 3);
    import(&there, &lines).unwrap();
    assert_eq!(view(&here), view(&there));
}

#[test]
fn a_domain_of_many_rows_moves() {
    let ca = self_signed(ca_params("Domain CA"));
    let (here, there) = (app_with_small_rows(&ca), app_with_small_rows(&ca));
    let machines: Vec<Machine> = (0..150).map(|_| Machine::new()).collect();
    for machine in &machines {
        machine.join(&here);
    }
    import(&there, &export(&here, 37)).unwrap();
    assert_eq!(view(&here), view(&there));
    leave(&there, &machines[3]);
    let settings = json!({ "maxMembership": 150 });
    let put = json(&admin(&there, "PUT", DOMAIN, Some(settings)));
    assert_eq!(put["memberCount"], 149);
    machines[3].join(&there);
    let now_ms = there.tables.env.now_ms.get();
    assert_refused(&Machine::new().join_at(&there, now_ms), "DOM_LIMIT_REACHED");
}

/// An import that breaks off after any write is not seen by anybody, and is completed by another run.
#[test]
fn an_import_may_break_off_anywhere() {
    let ca = self_signed(ca_params("Domain CA"));
    let here = app_with_small_rows(&ca);
    let machines: Vec<Machine> = (0..9).map(|_| Machine::new()).collect();
    for machine in &machines {
        machine.join(&here);
    }
    leave(&here, &machines[0]);
    block(&here, machines[1].guid);
    admin(&here, "PUT", DOMAIN, Some(json!({ "maxMembership": 20 })));
    let (lines, expected) = (export(&here, 3), view(&here));
    let mut broke_off = 0;
    loop {
        let there = app_with_small_rows(&ca);
        there.tables.store.writes_left.set(Some(broke_off));
        let result = import(&there, &lines);
        there.tables.store.writes_left.set(None);
        if result.is_ok() {
            break;
        }
        let listed = json(&admin(&there, "GET", "/domains", None));
        if listed["domains"] != json!([]) {
            // The last write was done, and its answer lost.
            assert_eq!(view(&there), expected);
        } else if broke_off > 8 {
            let now_ms = there.tables.env.now_ms.get();
            for response in [
                machines[2].join_at(&there, now_ms),
                machines[2].leave_at(&there, now_ms, false),
                get(&there, URL),
                admin(&there, "GET", DOMAIN, None),
            ] {
                assert_refused(&response, "STORE_UNAVAILABLE");
            }
        }
        import(&there, &lines).unwrap();
        assert_eq!(view(&there), expected, "{broke_off}");
        broke_off += 1;
    }
    assert!(broke_off > 20, "{broke_off}");
}

#[test]
fn what_is_there_stays_unless_it_is_to_be_replaced() {
    let (here, there) = two_instances();
    let (moved, other) = (Machine::new(), Machine::new());
    moved.join(&here);
    let lines = export(&here, 1000);
    other.join(&there);
    let before = view(&there);
    assert_eq!(
        import(&there, &lines).unwrap_err()["error"],
        "PRECONDITION_FAILED"
    );
    assert_eq!(view(&there), before);

    let (answer, is_taken) = import_line(&there, &lines[0], ID, true);
    assert!(is_taken, "{answer}");
    import(&there, &lines).unwrap();
    assert_eq!(view(&there), view(&here));
    // It was replaced once, and not again by the same export.
    leave(&there, &moved);
    assert_eq!(
        import_line(&there, &lines[0], ID, true).0["state"],
        "imported"
    );
    assert_eq!(view(&there)[0]["memberCount"], 0);

    // Another import that was begun is in the way like a domain.
    admin(&there, "DELETE", DOMAIN, None);
    assert!(import_line(&there, &lines[0], [8; 32], false).1);
    assert_eq!(
        import(&there, &lines).unwrap_err()["error"],
        "PRECONDITION_FAILED"
    );
    assert_eq!(
        import_line(&there, &lines[1], ID, true).0["error"],
        "PRECONDITION_FAILED"
    );
    assert_eq!(admin(&there, "DELETE", DOMAIN, None).status(), 204);
    import(&there, &lines).unwrap();
    assert_eq!(view(&there), view(&here));
}

#[test]
fn keys_that_do_not_open_are_refused() {
    let ca = self_signed(ca_params("Domain CA"));
    let here = app(settings(&ca, &[]));
    let another = "ff".repeat(32);
    let there = app(settings(&ca, &[("key_encryption_key", &another)]));
    Machine::new().join(&here);
    let header = |app| json(&admin(app, "GET", "/export", None));
    assert_eq!(header(&here)["format"], "anonymous-domains-export");
    assert_ne!(
        header(&here)["keyEncryptionKeys"],
        header(&there)["keyEncryptionKeys"]
    );
    let lines = export(&here, 1000);
    let refused = import(&there, &lines).unwrap_err();
    assert_eq!(refused["error"], "INVALID_REQUEST");
    assert!(
        refused["detail"]
            .as_str()
            .unwrap()
            .contains("does not open"),
        "{refused}"
    );
}

#[test]
fn lines_that_do_not_do_are_refused() {
    let (here, there) = two_instances();
    for _ in 0..2 {
        Machine::new().join(&here);
    }
    let lines = export(&here, 1);
    let change = |at: usize, pointer: &str, value: Value| {
        let mut line = lines[at].clone();
        *line.pointer_mut(pointer).unwrap() = value;
        line
    };
    let (_, is_taken) = import_line(&there, &lines[1], ID, false);
    assert!(!is_taken, "the first line did not come");
    let certificate = lines[1]["keys"][0]["x5c"][1].clone();
    assert!(import_line(&there, &lines[0], ID, false).1);
    for line in [
        change(0, "/domain", json!("kitchen")),
        change(0, "/createdAt", json!("yesterday")),
        change(1, "/keys/0/sealed", json!("AAAA")),
        change(1, "/keys/0/keyVersion", json!(2)),
        change(1, "/keys/0/x5c", json!([])),
        change(1, "/keys/0/x5c/0", certificate),
        change(2, "/members/0/keyThumbprint", json!("AAAA")),
        change(2, "/members/0/registeredAt", json!("now")),
        change(2, "/members/0/machineGuid", json!("x")),
        json!({ "part": "domain" }),
        json!({ "part": "nothing", "domain": "living-room" }),
        lines.last().unwrap().clone(),
    ] {
        let (answer, is_taken) = import_line(&there, &line, ID, false);
        assert!(!is_taken, "{line}");
        assert_eq!(answer["error"], "INVALID_REQUEST", "{line}");
    }
    let path = format!("{DOMAIN}/import?import=AAAA");
    let response = admin(&there, "PUT", &path, Some(lines[0].clone()));
    assert_refused(&response, "INVALID_REQUEST");
    import(&there, &lines).unwrap();
    assert_eq!(view(&there), view(&here));
}

#[test]
fn machines_that_are_refused_leave_nothing_behind() {
    let (here, there) = two_instances();
    Machine::new().join(&here);
    let blocked = |guid: &str, at: &str| {
        json!({
            "part": "machines", "domain": "living-room", "members": [], "departed": [],
            "blocked": [
                { "machineGuid": guid, "blockedAt": "2026-11-22T19:41:28Z" },
                { "machineGuid": "00000000-0000-4000-8000-000000000002", "blockedAt": at },
            ],
        })
    };
    let one = "00000000-0000-4000-8000-000000000001";
    let lines = export(&here, 1);
    assert!(import_line(&there, &lines[0], ID, false).1);
    let before = there.tables.store.rows.borrow().clone();
    let (answer, _) = import_line(&there, &blocked(one, "yesterday"), ID, false);
    assert_eq!(answer["error"], "INVALID_REQUEST");
    assert_eq!(*there.tables.store.rows.borrow(), before);

    // The last line came before: what is new now is refused, and what came already is not.
    let now = "2026-11-22T19:41:28Z";
    assert!(import_line(&there, &blocked(one, now), ID, false).1);
    let (answer, _) = import_line(&there, lines.last().unwrap(), ID, false);
    assert_eq!(answer["error"], "INVALID_REQUEST");
    for line in &lines[1..lines.len() - 1] {
        import_line(&there, line, ID, false);
    }
    let mut end = lines.last().unwrap().clone();
    end["members"] = json!(7);
    import_line(&there, &end, ID, false);
    let before = there.tables.store.rows.borrow().clone();
    let other = "00000000-0000-4000-8000-000000000003";
    let (answer, _) = import_line(&there, &blocked(other, now), ID, false);
    assert_eq!(answer["error"], "INVALID_REQUEST");
    assert_eq!(*there.tables.store.rows.borrow(), before);
    assert!(import_line(&there, &blocked(one, now), ID, false).1);
}

/// A line that was held back until the domain was in use.
#[test]
fn a_late_line_changes_nothing() {
    let (here, there) = two_instances();
    let (stays, leaves) = (Machine::new(), Machine::new());
    stays.join(&here);
    leaves.join(&here);
    let lines = export(&here, 1000);
    import(&there, &lines).unwrap();
    leave(&there, &leaves);
    let before = view(&there);
    for line in &lines {
        assert_eq!(import_line(&there, line, ID, false).0["state"], "imported");
    }
    assert_eq!(view(&there), before);
}

/// The last line came twice, and the other one was faster.
#[test]
fn a_last_line_that_is_overtaken_by_itself_is_imported() {
    let ca = self_signed(ca_params("Domain CA"));
    let (here, there) = (app_with_small_rows(&ca), app_with_small_rows(&ca));
    for _ in 0..5 {
        Machine::new().join(&here);
    }
    let lines = export(&here, 3);
    let (last, lines) = lines.split_last().unwrap();
    import(&there, lines).unwrap();
    let rows = &there.tables.store.rows;
    let was = rows.borrow().clone();
    import(&there, std::slice::from_ref(last)).unwrap();
    let imported = rows.borrow().clone();
    for reads in 0.. {
        rows.replace(was.clone());
        let others = (reads, imported.clone());
        there.tables.store.others.replace(Some(others));
        let (answer, _) = import_line(&there, last, ID, false);
        assert_eq!(answer["state"], "imported", "after {reads} reads: {answer}");
        if there.tables.store.others.take().is_some() {
            assert!(reads > 5, "{reads}");
            break;
        }
    }
}

/// Keys of which one half was imported before, and the other after the key-encryption key was replaced.
#[test]
fn a_domain_that_is_being_imported_is_resealed_too() {
    let ca = self_signed(ca_params("Domain CA"));
    let (here, there) = (app(settings(&ca, &[])), app(settings(&ca, &[])));
    let machine = Machine::new();
    for _ in 0..3 {
        machine.join(&here);
        admin(&here, "POST", &format!("{DOMAIN}/rollover"), None);
    }
    let lines = export(&here, 1);
    // The domain, the first version, and the rest.
    let (first, rest) = lines.split_at(2);
    assert_eq!(first[1]["part"], "keys");
    import(&there, first).unwrap();

    let both = restarted(&there, &ca, &[NEW, KEY_ENCRYPTION_KEY]);
    let resealed = json(&admin(&both, "POST", "/reseal", None));
    assert_eq!(resealed["remaining"], 0);
    import(&both, rest).unwrap();

    let new_alone = restarted(&both, &ca, &[NEW]);
    admin(&here, "POST", &format!("{DOMAIN}/rollover"), None);
    assert_eq!(versions(&machine.join(&new_alone)).len(), 4);
}

#[test]
fn a_machine_that_leaves_during_an_export_is_never_missing_without_its_rollover() {
    let (here, there) = two_instances();
    let machines: Vec<Machine> = (0..6).map(|_| Machine::new()).collect();
    for machine in &machines {
        machine.join(&here);
    }
    let mut leaving = machines.iter();
    let lines = export_while(&here, 1, |_| {
        if let Some(machine) = leaving.next() {
            leave(&here, machine);
        }
    });
    let lines = lines.unwrap();
    let members = lines.iter().filter_map(|line| line["members"].as_array());
    let members: usize = members.map(Vec::len).sum();
    assert!(members < 6, "some were gone before they were read");
    import(&there, &lines).unwrap();
    assert_eq!(view(&there)[0]["keyRolloverRequired"], true);
    assert_eq!(versions(&Machine::new().join(&there)), [1, 2]);
}

#[test]
fn under_a_maximum_an_export_in_which_machines_leave_begins_again() {
    let (here, there) = two_instances();
    admin(&here, "PUT", DOMAIN, Some(json!({ "maxMembership": 3 })));
    let machines: Vec<Machine> = (0..3).map(|_| Machine::new()).collect();
    for machine in &machines {
        machine.join(&here);
    }
    let mut first = Some(&machines[0]);
    let refused = export_while(&here, 1, |line| {
        if line["part"] == "machines"
            && let Some(machine) = first.take()
        {
            leave(&here, machine);
        }
    });
    assert_eq!(refused.unwrap_err()["error"], "PRECONDITION_FAILED");
    // Joins do not disturb it.
    let lines = export_while(&here, 1, |line| {
        if line["part"] == "keys" {
            Machine::new().join(&here);
        }
    });
    import(&there, &lines.unwrap()).unwrap();
    assert_eq!(view(&there)[0]["memberCount"], 3);

    let refused = export_while(&here, 1, |_| {
        admin(&here, "PUT", DOMAIN, Some(json!({ "maxMembership": 4 })));
    });
    assert_eq!(refused.unwrap_err()["error"], "PRECONDITION_FAILED");
    let refused = export_while(&here, 1, |line| {
        if line["part"] == "domain" {
            admin(&here, "DELETE", DOMAIN, None);
            machines[1].join(&here);
        }
    });
    assert_eq!(refused.unwrap_err()["error"], "PRECONDITION_FAILED");
    let garbled = page(&here, Some("AAAA"), 1).unwrap_err();
    assert_eq!(garbled["error"], "INVALID_REQUEST");
}
