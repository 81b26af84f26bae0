//! Snapshots of the tables, read by the server's real code.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use anonymous_domains::{
    domain::insertion,
    environment::Environment,
    error::Error,
    issuer::KeyDigest,
    membership::{blocking, count},
    store::{Store, StoreError, Swapped, rows::Limits},
    tables::{
        Tables, directory, domain_keys, domain_membership,
        domain_server_info::{Count, Generation},
    },
};
use anonymous_domains_protocol::ids::{DomainName, MachineGuid};
use anonymous_domains_testkit::Guarantee;

use crate::{
    host::Host,
    issuer,
    operation::{domain_name, machine_guid},
    random::Random,
    violation::Violation,
};

/// A snapshot of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainSnapshot {
    /// Tells apart the domains that had the name one after the other.
    pub generation: Generation,
    pub departures: u64,
    pub rollover_required: bool,
    pub maximum: Option<u64>,
    /// The number of members that an operator would be shown, if the domain's row has it.
    pub count: Option<u64>,
    /// How many changes of the roster are in flight or unfinished.
    pub intents: usize,
    pub members: Vec<MachineGuid>,
    /// The names of the keys. The first is version 1.
    pub keys: Vec<String>,
    /// The key-encryption keys that they are sealed under.
    pub sealed_under: Vec<u8>,
}

/// A store that reads the host's rows and keeps its writes to itself.
struct SnapshotStore<'a> {
    host: &'a Host,
    written: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl Store for SnapshotStore<'_> {
    type Cas = String;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(value) = self.written.borrow().get(key) {
            return Ok(Some(value.clone()));
        }
        let value = self.host.store.get(key);
        value
            .map(|bytes| bytes.map(|bytes| bytes.to_vec()))
            .map_err(|why| StoreError(why.to_owned()))
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.written
            .borrow_mut()
            .insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    async fn delete(&self, _key: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn increment(&self, _key: &str, _delta: i64) -> Result<i64, StoreError> {
        Err(StoreError("a snapshot does not increment".to_owned()))
    }

    async fn begin(&self, key: &str) -> Result<(String, Option<Vec<u8>>), StoreError> {
        Ok((key.to_owned(), self.get(key).await?))
    }

    async fn swap(&self, cas: String, value: &[u8]) -> Swapped<String> {
        match self.set(&cas, value).await {
            Ok(()) => Swapped::Won,
            Err(error) => Swapped::Unknown(error),
        }
    }
}

/// An environment in which time stands still.
struct SnapshotEnvironment<'a> {
    host: &'a Host,
    random: Cell<Random>,
}

impl Environment for SnapshotEnvironment<'_> {
    fn now_ms(&self) -> i64 {
        self.host.now_ms
    }

    async fn sleep_ms(&self, _ms: u64) {}

    fn fill_random(&self, bytes: &mut [u8]) {
        let mut random = self.random.replace(Random::new(0));
        random.fill(bytes);
        self.random.set(random);
    }

    fn log(&self, _line: &str) {}
}

/// The snapshots of all domains by number. `None` is a domain that does not exist.
pub type Snapshots = [Option<Rc<DomainSnapshot>>];

/// Takes snapshots of so many domains.
pub fn take(host: &Host, domains: u8) -> Result<Rc<Snapshots>, Violation> {
    let snapshots =
        (0..domains).map(|domain| Ok(take_one(host, &domain_name(domain))?.map(Rc::new)));
    let snapshots: Rc<Snapshots> = snapshots
        .collect::<Result<_, Error>>()
        .map_err(unreadable)?;
    check_key_encryption_keys(host, &snapshots)?;
    Ok(snapshots)
}

/// An instance that may use the store can open all keys.
fn check_key_encryption_keys(host: &Host, snapshots: &Snapshots) -> Result<(), Violation> {
    let keys = snapshots.iter().flatten().flat_map(|it| &it.sealed_under);
    let (mut old, mut new) = (false, false);
    keys.for_each(|key| match *key {
        issuer::OLD => old = true,
        _ => new = true,
    });
    for (is_needed, other) in [(old, issuer::NEW), (new, issuer::OLD)] {
        let alone = rows(host, vec![issuer::digest(other)]);
        if is_needed && at_once(directory::open(&alone)).is_ok() {
            let text = format!("the store takes key {other} alone, under which not all is sealed");
            return Err(Violation::of(Guarantee::Recovery, text));
        }
    }
    Ok(())
}

/// Whether a machine is on the list of blocked machines, or is not blocked.
pub fn is_listed_if_blocked(host: &Host, domain: u8, machine: u8) -> Result<bool, Violation> {
    let (rows, guid) = (rows(host, Vec::new()), machine_guid(machine));
    let found = at_once(async {
        let Some(domain) = insertion::find(&rows, &domain_name(domain)).await? else {
            return Ok(true);
        };
        if !domain_membership::is_blocked(&rows, &domain, guid).await? {
            return Ok(true);
        }
        let listed = blocking::list(&rows, &domain, None, usize::MAX).await?;
        Ok(listed.iter().any(|(listed, _)| *listed == guid))
    });
    found.map_err(unreadable)
}

fn unreadable(error: Error) -> Violation {
    let text = format!("the tables cannot be read: {error}");
    Violation::of(Guarantee::Recovery, text)
}

fn rows(host: &Host, keys: Vec<KeyDigest>) -> Tables<SnapshotStore<'_>, SnapshotEnvironment<'_>> {
    let store = SnapshotStore {
        host,
        written: RefCell::default(),
    };
    let env = SnapshotEnvironment {
        host,
        random: Cell::new(Random::new(0x005e_ed0f_71e5)),
    };
    Tables::new(store, env, keys, Limits::default())
}

fn take_one(host: &Host, name: &DomainName) -> Result<Option<DomainSnapshot>, Error> {
    let rows = rows(host, Vec::new());
    at_once(async {
        let Some(domain) = insertion::find(&rows, name).await? else {
            return Ok(None);
        };
        let members = domain_membership::members(&rows, &domain, None, usize::MAX).await?;
        let keys = domain_keys::read(&rows, &domain).await?;
        let unseal = |(_, key): (u32, &domain_keys::DomainKey)| issuer::unseal(&key.sealed);
        let sealed: Vec<(u8, String)> = keys.above(0).filter_map(unseal).collect();
        let departures = domain.info.departures;
        let intents = domain.info.intents.len();
        Ok(Some(DomainSnapshot {
            generation: domain.generation(),
            departures,
            rollover_required: keys.rollover_required(&domain.info),
            maximum: domain.info.max_membership,
            count: match domain.info.count {
                Count::Known(_) => Some(count::members(&rows, &domain).await?),
                Count::None | Count::Running { .. } => None,
            },
            intents,
            members: members.into_iter().map(|(guid, _)| guid).collect(),
            keys: sealed.iter().map(|(_, name)| name.clone()).collect(),
            sealed_under: sealed.iter().map(|(key, _)| *key).collect(),
        }))
    })
}

/// The result of a future that never waits.
fn at_once<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Error::fault("a snapshot waits")),
    }
}
