//! What is stored: rows one by one, and a store of which one row is anything.

use std::fmt::Debug;

use anonymous_domains::{
    store::{row, tree::Node},
    tables::{
        directory::Place,
        domain_keys::{DomainKey, DomainKeys},
        domain_membership::{Entry, MembershipRoot},
        domain_server_info::DomainServerInfo,
        ownership::Ownership,
    },
};
use anonymous_domains_protocol::ids::MachineGuid;
use http::Request;
use serde::{Serialize, de::DeserializeOwned};

use super::Target;
use crate::{
    fixture::{KEY_ENCRYPTION_KEY, guid},
    input::{self, seed},
    server::{self, DOMAINS, ORIGIN, Server, base},
};

/// A byte chooses the table, the rest is a row's value.
pub const ROWS: Target = Target {
    name: "rows",
    about: "the values of rows of every table: what decodes encodes the same",
    run: rows,
    seeds: rows_seeds,
    mutations: 20_000,
};

/// A byte chooses a row of a store, the rest takes its place with the checksum that belongs to it.
/// Then each kind of request comes.
pub const STORE: Target = Target {
    name: "store",
    about: "a store of which one row is anything, under every kind of request",
    run: store,
    seeds: store_seeds,
    mutations: 500,
};

/// What decodes is encoded again, and that decodes as the same. A number can be written longer
/// than it must be, so the first encoding may be another.
fn same<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8]) {
    let Ok(value) = postcard::from_bytes::<T>(bytes) else {
        return;
    };
    let encoded = postcard::to_allocvec(&value).expect("what was decoded encodes");
    let again: T = postcard::from_bytes(&encoded).expect("what was encoded decodes");
    assert_eq!(format!("{again:?}"), format!("{value:?}"));
    assert_eq!(postcard::to_allocvec(&again).as_ref(), Ok(&encoded));
}

fn rows(bytes: &[u8]) {
    let (table, value) = input::choice(bytes);
    match table % 7 {
        0 => same::<DomainServerInfo>(value),
        1 => same::<DomainKeys>(value),
        2 => same::<MembershipRoot>(value),
        3 => same::<Node<String, Place, Ownership>>(value),
        4 => same::<Entry>(value),
        5 => same::<DomainKey>(value),
        _ => same::<Vec<(MachineGuid, Entry)>>(value),
    }
}

/// The value of a row, without what is before it: a byte for its form, a checksum, and revisions.
fn value(row: &[u8]) -> &[u8] {
    let rest = row.get(5..).unwrap_or_default();
    match postcard::take_from_bytes::<Vec<u64>>(rest) {
        Ok((_, value)) => value,
        Err(_) => &[],
    }
}

fn rows_seeds() -> Vec<Vec<u8>> {
    let tables = [
        "DomainServerInfo",
        "DomainKeys",
        "DomainMembership",
        "Directory",
    ];
    let mut seeds: Vec<_> = base()
        .iter()
        .filter_map(|(key, row)| {
            let table = tables.iter().position(|table| key.contains(table))?;
            Some(seed(&[&[table as u8], value(row)]))
        })
        .collect();
    seeds.push(vec![4, 1, 0, 0]);
    seeds.push(vec![4, 2, 0]);
    seeds
}

fn store(bytes: &[u8]) {
    let (at, row) = input::choice(bytes);
    let mut rows = base().clone();
    let key = rows.keys().nth(usize::from(at) % rows.len()).cloned();
    match row {
        // As if it had been lost.
        [] => drop(key.and_then(|key| rows.remove(&key))),
        _ => {
            if let Some(key) = key {
                let mut row = row.to_vec();
                row::seal(&key, &mut row);
                rows.insert(key, row.into());
            }
        }
    }
    let server = Server::on(rows);
    for (url, body) in [
        server::join(1, "living-room"),
        server::join(7, "living-room"),
        server::leave(1, "living-room", true),
        server::leave(7, "living-room", false),
    ] {
        server.send_on_unsound(server::post(&url, body.as_bytes()));
    }
    let description = Request::get(format!("{ORIGIN}{DOMAINS}/living-room"));
    server.send_on_unsound(description.body(&[][..]).expect("a request"));
    let health = Request::get(format!("{ORIGIN}/healthz"));
    server.send_on_unsound(health.body(&[][..]).expect("a request"));
    let blocked = format!("/domains/living-room/blocked/{}", guid(3));
    for (method, path, body) in [
        ("GET", "/domains", ""),
        ("GET", "/domains/living-room", ""),
        ("GET", "/domains/living-room/members", ""),
        ("GET", "/domains/living-room/blocked", ""),
        ("GET", "/domains/living-room/keys", ""),
        ("POST", "/domains/living-room/export", ""),
        ("GET", "/check", ""),
        ("PUT", "/domains/living-room", r#"{"maxMembership":5}"#),
        ("DELETE", &*blocked, ""),
        ("POST", "/domains/living-room/reissue", ""),
        ("POST", "/reseal", ""),
        ("DELETE", "/domains/living-room", ""),
    ] {
        let answer = server.send_on_unsound(server::admin(method, path, body.as_bytes()));
        let text = String::from_utf8_lossy(answer.body());
        assert!(!text.contains(KEY_ENCRYPTION_KEY));
    }
}

fn store_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (at, row) in base().values().enumerate() {
        seeds.push(seed(&[&[at as u8], row]));
        seeds.push(vec![at as u8]);
    }
    seeds
}
