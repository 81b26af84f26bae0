//! Listing the keys of all servers.

use std::{collections::BTreeSet, ops::RangeInclusive};

use super::{
    cluster::{Cluster, Primaries},
    connection::Connector,
    failure::Failure,
    names::row,
    servers::Servers,
    slot::{SLOTS, Slot},
};
use crate::store::{KEYS_PER_PAGE, KeyPage};

/// How many keys one `SCAN` looks at.
const SCAN_COUNT: usize = 1000;

/// The page of the keys after `cursor`.
pub(super) async fn page(servers: &Servers, cursor: Option<&str>) -> Result<KeyPage, Failure> {
    let mut keys = FirstKeys::after(cursor);
    match servers {
        Servers::One(node) => keys.scan(&node.connector).await?,
        Servers::Cluster(cluster) => {
            let before = settled(cluster).await?;
            for node in &before.primaries.nodes {
                keys.scan(&node.connector).await?;
            }
            // A key whose slot went from one node to another meanwhile may have been seen on neither.
            if settled(cluster).await?.slots != before.slots {
                return Err(Failure::Moving);
            }
        }
    }
    Ok(keys.page())
}

/// The nodes of a cluster between which no slot is on the way.
struct Settled {
    primaries: Primaries,
    /// The slots of each.
    slots: Vec<(String, Vec<RangeInclusive<Slot>>)>,
}

async fn settled(cluster: &Cluster) -> Result<Settled, Failure> {
    let primaries = cluster.primaries().await?;
    if primaries.uncovered > 0 {
        let reason = format!("no node of the cluster has {} slots", primaries.uncovered);
        return Err(Failure::Away(reason));
    }
    let (mut slots, mut count) = (Vec::new(), 0);
    for node in &primaries.nodes {
        let settled = node.settled_slots().await?.ok_or(Failure::Moving)?;
        count += settled.iter().map(|range| range.len()).sum::<usize>();
        slots.push((node.name().to_owned(), settled));
    }
    // A node that just got its first slot may not be known yet.
    if count != SLOTS {
        return Err(Failure::Moving);
    }
    Ok(Settled { primaries, slots })
}

/// The first keys after a cursor, one more than a page has: it tells whether there is a next one.
struct FirstKeys<'a> {
    cursor: Option<&'a str>,
    prefix: String,
    keys: BTreeSet<String>,
}

impl<'a> FirstKeys<'a> {
    fn after(cursor: Option<&'a str>) -> Self {
        Self {
            cursor,
            prefix: row(""),
            keys: BTreeSet::new(),
        }
    }

    async fn scan(&mut self, connector: &Connector) -> Result<(), Failure> {
        let mut position = 0u64;
        loop {
            let (next, found) = match scan(connector, position).await {
                Err(Failure::Lost(_)) => scan(connector, position).await?,
                found => found?,
            };
            for name in found {
                self.add(&name);
            }
            if next == 0 {
                return Ok(());
            }
            position = next;
        }
    }

    fn add(&mut self, name: &[u8]) {
        let key = str::from_utf8(name).ok();
        let key = key.and_then(|name| name.strip_prefix(&self.prefix));
        if let Some(key) = key.filter(|key| self.cursor.is_none_or(|cursor| *key > cursor)) {
            self.keys.insert(key.to_owned());
        }
        if self.keys.len() > KEYS_PER_PAGE + 1 {
            self.keys.pop_last();
        }
    }

    fn page(self) -> KeyPage {
        let more = self.keys.len() > KEYS_PER_PAGE;
        let keys: Vec<_> = self.keys.into_iter().take(KEYS_PER_PAGE).collect();
        let cursor = more.then(|| keys.last().cloned()).flatten();
        KeyPage { keys, cursor }
    }
}

/// One `SCAN` of a server: where the next one begins (0: there is none), and names.
async fn scan(connector: &Connector, position: u64) -> Result<(u64, Vec<Vec<u8>>), Failure> {
    let mut connection = connector.connection().await?;
    let mut command = redis::cmd("SCAN");
    command.arg(position).arg("MATCH").arg(row("*"));
    command.arg("COUNT").arg(SCAN_COUNT);
    let answer = command.query_async(&mut connection.redis).await;
    connector.judge(&connection, answer).await
}
