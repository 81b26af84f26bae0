//! A Redis Cluster: which node gets a request.
//!
//! A request goes to the node that had its key's slot when that was last asked or told. A node that
//! does not have it executes nothing and names another one, which is then asked: that is no
//! repetition. Nor is it if the node could not be connected to, as nothing was sent then. All else is
//! as with one server: a write whose answer does not come is not sent again. (The library's client
//! for clusters would.) A replica answers every request with the name of its primary.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, ServerErrorKind, Value};
use tokio::{task::JoinSet, time::Instant};

use super::{
    connection::{CONNECT_TIMEOUT, RETRY_PAUSE},
    failure::Failure,
    node::{Endpoint, Node, View},
    request::Request,
    slot::{SLOTS, Slot},
};

/// How many nodes are asked for one request. A slot that moves at that moment needs three.
const HOPS: usize = 6;

/// How long after a node's `TRYAGAIN` it is asked again.
const TRY_AGAIN_PAUSE: Duration = Duration::from_millis(100);

/// The nodes of a cluster.
pub(super) struct Cluster {
    /// Those that the operator named.
    seeds: Vec<Arc<Node>>,
    /// How to connect to one of them. The others take the same credentials.
    info: ConnectionInfo,
    map: Mutex<Map>,
    /// When the nodes were last asked for their view, and what came of it.
    asked: tokio::sync::Mutex<Option<(Instant, Result<(), Failure>)>>,
}

/// Which node has which slot.
#[derive(Default)]
struct Map {
    epoch: u64,
    /// One for each slot.
    owners: Vec<Option<Arc<Node>>>,
    /// All that are known, also replicas.
    nodes: HashMap<Endpoint, Arc<Node>>,
}

/// The primaries that have slots, in the order of their names.
pub(super) struct Primaries {
    pub nodes: Vec<Arc<Node>>,
    /// How many slots no node has.
    pub uncovered: usize,
}

impl Cluster {
    /// The cluster of which `seeds` are nodes. `info` is that of one of them.
    pub fn new(seeds: Vec<Arc<Node>>, info: ConnectionInfo) -> Self {
        Self {
            seeds,
            info,
            map: Mutex::default(),
            asked: tokio::sync::Mutex::default(),
        }
    }

    /// Sends a request to the node that has the key.
    pub async fn send(&self, request: &Request<'_>) -> Result<Value, Failure> {
        let slot = request.slot();
        let mut node = match self.owner(slot) {
            Some(node) => node,
            None => {
                self.refresh().await?;
                self.owner(slot)
                    .ok_or_else(|| Failure::Away("no node of the cluster has the slot".into()))?
            }
        };
        let mut asking = false;
        for _ in 0..HOPS {
            let failure = match node.send(request, asking).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let kind = match &failure {
                Failure::Refused(error) => Some(error.kind()),
                Failure::Away(_) => None,
                Failure::Denied(_) | Failure::Lost(_) | Failure::Moving => return Err(failure),
            };
            match kind {
                Some(ErrorKind::Server(kind @ (ServerErrorKind::Moved | ServerErrorKind::Ask))) => {
                    let Some(next) = self.redirected(&failure, &node) else {
                        return Err(failure);
                    };
                    asking = kind == ServerErrorKind::Ask;
                    if !asking {
                        self.moved(slot, &next);
                    }
                    node = next;
                }
                Some(ErrorKind::Server(ServerErrorKind::TryAgain)) => {
                    tokio::time::sleep(TRY_AGAIN_PAUSE).await;
                }
                // It is gone, or is not (or not yet) in the part of the cluster that serves.
                None
                | Some(ErrorKind::Server(
                    ServerErrorKind::ClusterDown
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::ReadOnly,
                )) => {
                    // Those that answer may agree on another one meanwhile.
                    let refreshed = self.refresh().await;
                    let next = self.owner(slot).filter(|next| !Arc::ptr_eq(next, &node));
                    match (refreshed, next) {
                        (Ok(()), Some(next)) => (node, asking) = (next, false),
                        _ => return Err(failure),
                    }
                }
                Some(_) => return Err(failure),
            }
        }
        Err(Failure::Away(
            "the nodes of the cluster name each other".into(),
        ))
    }

    /// The primaries, according to the nodes that answer now.
    pub async fn primaries(&self) -> Result<Primaries, Failure> {
        self.refresh().await?;
        Ok(self.known_primaries())
    }

    /// The primaries, as far as is known.
    pub fn known_primaries(&self) -> Primaries {
        self.map().primaries()
    }

    /// Asks the nodes who has what, unless that was done a moment ago.
    pub async fn refresh(&self) -> Result<(), Failure> {
        // Who waits here gets the answer of who was first.
        let mut asked = self.asked.lock().await;
        if let Some((at, outcome)) = &*asked
            && at.elapsed() < RETRY_PAUSE
        {
            return outcome.clone();
        }
        let outcome = self.newest_view().await.map(|view| self.adopt(&view));
        if let Err(failure) = &outcome {
            let reason = failure.reason();
            let last = asked.as_ref().and_then(|(_, last)| last.as_ref().err());
            // Once for as long as the reason is the same.
            if last.is_none_or(|last| last.reason() != reason) {
                tracing::warn!(%reason, "the store's cluster does not say which node has what");
            }
        }
        *asked = Some((Instant::now(), outcome.clone()));
        outcome
    }

    /// The first view that is not older than the known one. If there is none, the cluster may have
    /// been made anew, and it is the newest of all.
    async fn newest_view(&self) -> Result<View, Failure> {
        let (known, nodes) = {
            let map = self.map();
            let others = map.nodes.values().filter(|node| {
                let is_same = |seed: &Arc<Node>| Arc::ptr_eq(seed, node);
                !self.seeds.iter().any(is_same)
            });
            let nodes: Vec<_> = self.seeds.iter().chain(others).cloned().collect();
            (map.epoch, nodes)
        };
        let mut views: JoinSet<_> = nodes.into_iter().map(Node::view).collect();
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        let mut newest: Option<View> = None;
        let mut failure = Failure::Away("no node of the cluster answers".into());
        while let Ok(Some(view)) = tokio::time::timeout_at(deadline, views.join_next()).await {
            match view {
                Ok(Ok(view)) if view.is_up => {
                    if view.epoch >= known {
                        return Ok(view);
                    }
                    if newest
                        .as_ref()
                        .is_none_or(|newest| newest.epoch < view.epoch)
                    {
                        newest = Some(view);
                    }
                }
                Ok(Ok(_)) => failure = Failure::Away("the cluster is down".into()),
                Ok(Err(denied @ Failure::Denied(_))) => failure = denied,
                Ok(Err(_)) | Err(_) => {}
            }
        }
        newest.ok_or(failure)
    }

    fn adopt(&self, view: &View) {
        let mut map = self.map();
        let before = map.primaries();
        let mut new = Map {
            epoch: view.epoch,
            owners: vec![None; SLOTS],
            nodes: HashMap::new(),
        };
        for range in &view.ranges {
            let mut node = |endpoint| {
                let node = self.node(&map, endpoint, &view.node);
                if let Some(endpoint) = &node.endpoint {
                    new.nodes.insert(endpoint.clone(), Arc::clone(&node));
                }
                node
            };
            let primary = node(&range.primary);
            range
                .replicas
                .iter()
                .for_each(|replica| drop(node(replica)));
            for slot in range.first..=range.last {
                if let Some(owner) = new.owners.get_mut(usize::from(slot)) {
                    *owner = Some(Arc::clone(&primary));
                }
            }
        }
        *map = new;
        let now = map.primaries();
        if now.names() != before.names() {
            tracing::info!(primaries = %now.names().join(" "), "the store is a cluster");
        }
        if now.uncovered > 0 && now.uncovered != before.uncovered {
            tracing::warn!(
                slots = now.uncovered,
                "no node of the store's cluster has these slots: requests that need them fail"
            );
        }
    }

    /// The node that `said` calls so.
    fn node(&self, map: &Map, endpoint: &Endpoint, said: &Arc<Node>) -> Arc<Node> {
        let mut endpoint = endpoint.clone();
        if endpoint.host.is_empty() || endpoint.port == 0 {
            match &said.endpoint {
                Some(said) => endpoint.host.clone_from(&said.host),
                // It has a Unix socket, and knows no other address of itself.
                None => return Arc::clone(said),
            }
        }
        let is_it = |seed: &&Arc<Node>| seed.endpoint.as_ref() == Some(&endpoint);
        let known = map.nodes.get(&endpoint);
        match known.or_else(|| self.seeds.iter().find(is_it)) {
            Some(node) => Arc::clone(node),
            None => Arc::new(Node::new(at(&self.info, endpoint))),
        }
    }

    fn owner(&self, slot: Slot) -> Option<Arc<Node>> {
        self.map().owners.get(usize::from(slot)).cloned().flatten()
    }

    /// The node to which `node` redirected a request.
    fn redirected(&self, failure: &Failure, node: &Arc<Node>) -> Option<Arc<Node>> {
        let Failure::Refused(error) = failure else {
            return None;
        };
        let endpoint = Endpoint::of_redirection(error)?;
        let mut map = self.map();
        let next = self.node(&map, &endpoint, node);
        if let Some(endpoint) = &next.endpoint {
            // The next one that is sent there uses the same connection.
            map.nodes.insert(endpoint.clone(), Arc::clone(&next));
        }
        Some(next)
    }

    fn moved(&self, slot: Slot, node: &Arc<Node>) {
        if let Some(owner) = self.map().owners.get_mut(usize::from(slot)) {
            *owner = Some(Arc::clone(node));
        }
    }

    fn map(&self) -> std::sync::MutexGuard<'_, Map> {
        // It is never left half changed.
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Map {
    fn primaries(&self) -> Primaries {
        let mut nodes: Vec<Arc<Node>> = Vec::new();
        for owner in self.owners.iter().flatten() {
            // Most slots have the owner of the slot before.
            if !nodes.iter().rev().any(|node| Arc::ptr_eq(node, owner)) {
                nodes.push(Arc::clone(owner));
            }
        }
        nodes.sort_by(|one, other| one.name().cmp(other.name()));
        Primaries {
            nodes,
            uncovered: SLOTS - self.owners.iter().flatten().count(),
        }
    }
}

impl Primaries {
    fn names(&self) -> Vec<&str> {
        self.nodes.iter().map(|node| node.name()).collect()
    }
}

/// How to connect to another address, with the same credentials.
fn at(info: &ConnectionInfo, Endpoint { host, port }: Endpoint) -> ConnectionInfo {
    let address = match info.addr() {
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host, port),
    };
    info.clone().set_addr(address)
}
