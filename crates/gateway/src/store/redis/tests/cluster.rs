//! A cluster: nodes that die, slots that move, answers that are lost.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anonymous_domains_testkit::RedisNode;
use tokio::net::{TcpListener, TcpStream};

use super::super::{
    slot::{SLOTS, slot},
    testing::{TestCluster, TestRedis, relay, store_at},
    *,
};
use crate::store::{
    contract::contract_tests,
    testing::{DEADLINE, is_unavailable, recovered},
};

async fn three_nodes() -> TestCluster {
    TestCluster::start(3, 0, &[])
}

contract_tests!(@one three_nodes);

/// A key in the slots of the node with this number, of so many.
fn key_of(node: usize, nodes: usize) -> String {
    let keys = (0..).map(|number| format!("k{number}"));
    let owner = |key: &String| usize::from(slot(row(key).as_bytes())) * nodes / SLOTS;
    keys.into_iter().find(|key| owner(key) == node).unwrap()
}

/// Waits until a node answers `answer`.
async fn answers(node: &RedisNode, command: &str, answer: &str) {
    let wait = async {
        while node.ask(command).unwrap() != answer {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, wait).await;
    waited.unwrap_or_else(|_| panic!("{command} never gives {answer}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_is_killed_and_its_replica_takes_over() {
    let kill = |node: &mut RedisNode| node.server.process.kill().unwrap();
    a_replica_takes_over(kill, |node| node.server.restart().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_stands_still_and_its_replica_takes_over() {
    let signal = |node: &RedisNode, name| node.server.process.signal(name).unwrap();
    a_replica_takes_over(|node| signal(node, "STOP"), |node| signal(node, "CONT")).await;
}

/// `end` takes a primary away and `begin` brings it back. The store recovers by itself.
async fn a_replica_takes_over(end: impl Fn(&mut RedisNode), begin: impl Fn(&mut RedisNode)) {
    let mut cluster = TestCluster::start(3, 1, &["--cluster-node-timeout", "2000"]);
    let store = cluster.store(&[0]).await;
    let [hit, spared] = [0, 1].map(|node| key_of(node, 3));
    for key in [&hit, &spared] {
        store.set(key, b"old".to_vec()).await.unwrap();
    }
    let version = store.get(&hit).await.unwrap().unwrap().version;
    answers(&cluster.nodes[3], "DBSIZE", "1").await;

    end(&mut cluster.nodes[0]);
    assert!(is_unavailable(&store.set(&hit, Vec::new()).await));
    let entry = recovered(&store, &hit).await.unwrap();
    assert_eq!((entry.value, entry.version), (b"old".to_vec(), version));
    let swap = store.compare_and_swap(&hit, Some(version), b"new".to_vec());
    assert_eq!(swap.await, Ok(Swap::Swapped));
    assert_eq!(recovered(&store, &spared).await.unwrap().value, b"old");

    // The first one comes back, as a replica. A gateway that is told of it alone finds the others.
    begin(&mut cluster.nodes[0]);
    let role = async {
        while !cluster.nodes[0].ask("ROLE").unwrap().starts_with("slave") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, role).await.unwrap();
    let other = cluster.store(&[0]).await;
    for store in [&store, &other] {
        assert_eq!(recovered(store, &hit).await.unwrap().value, b"new");
        store.set(&hit, b"new".to_vec()).await.unwrap();
    }
    assert_eq!(other.list_keys(None).await.unwrap().keys.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_write_whose_answer_is_lost_is_not_repeated() {
    // The node tells everyone that the relay's port is its own.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let announced = listener.local_addr().unwrap().port();
    let port = announced.to_string();
    let options = ["--cluster-announce-ip", "127.0.0.1"];
    let options = [&options[..], &["--cluster-announce-port", &port]].concat();
    let cluster = TestCluster::start(1, 0, &options);
    let target = cluster.nodes[0].port;
    let swallow = Arc::new(AtomicBool::new(false));
    let swallowed = Arc::clone(&swallow);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
            relay(client, server, &swallowed).await;
        }
    });
    let store = store_at([announced]).await;
    // The server knows the scripts now.
    assert_eq!(store.increment("n", 1).await, Ok(1));
    let swap = store.compare_and_swap("known", None, Vec::new());
    assert_eq!(swap.await, Ok(Swap::Swapped));

    for expected in [b"2", b"3"] {
        swallow.store(true, Ordering::SeqCst);
        assert!(is_unavailable(&store.increment("n", 1).await));
        assert_eq!(recovered(&store, "n").await.unwrap().value, expected);
    }
    swallow.store(true, Ordering::SeqCst);
    let swap = store.compare_and_swap("k", None, b"v".to_vec());
    assert!(is_unavailable(&swap.await));
    assert_eq!(recovered(&store, "k").await.unwrap().value, b"v");

    // A read is asked again.
    swallow.store(true, Ordering::SeqCst);
    assert_eq!(store.get("k").await.unwrap().unwrap().value, b"v");
    assert!(!swallow.load(Ordering::SeqCst));
}

/// Increments numbers until it is told to stop. Returns every sum that it was given, by key.
async fn increments(
    store: Arc<RedisStore>,
    keys: Vec<String>,
    stop: Arc<AtomicBool>,
) -> HashMap<String, Vec<i64>> {
    let mut sums: HashMap<String, Vec<i64>> = HashMap::new();
    while !stop.load(Ordering::SeqCst) {
        for key in &keys {
            let sum = store.increment(key, 1).await.unwrap();
            sums.entry(key.clone()).or_default().push(sum);
        }
    }
    sums
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_a_slot_moves_no_write_is_lost_or_repeated() {
    let cluster = TestCluster::start(2, 0, &[]);
    let stores = [cluster.store(&[0]).await, cluster.store(&[1]).await];
    let stores = stores.map(Arc::new);
    let keys: Vec<_> = (0..20).map(|key| format!("{{t}}{key}")).collect();
    for key in &keys {
        stores[0].set(key, b"0".to_vec()).await.unwrap();
    }
    let moving = slot(b"t");
    let (from, to) = match usize::from(moving) < SLOTS / 2 {
        true => (&cluster.nodes[0], &cluster.nodes[1]),
        false => (&cluster.nodes[1], &cluster.nodes[0]),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let store = Arc::clone(&stores[writer % 2]);
            tokio::spawn(increments(store, keys.clone(), Arc::clone(&stop)))
        })
        .collect();
    let ask = |node: &RedisNode, command: &str| node.ask(command).unwrap();
    let created = async |name: &str| {
        let key = format!("{{t}}{name}");
        for (store, value) in stores.iter().zip([b"a", b"b"]) {
            let swap = store.compare_and_swap(&key, None, value.to_vec()).await;
            let is_first = matches!(swap.unwrap(), Swap::Swapped);
            assert_eq!(is_first, value == b"a");
        }
        for store in &stores {
            assert_eq!(store.get(&key).await.unwrap().unwrap().value, b"a");
        }
    };

    created("before").await;
    ask(
        to,
        &format!("CLUSTER SETSLOT {moving} IMPORTING {}", from.id),
    );
    ask(
        from,
        &format!("CLUSTER SETSLOT {moving} MIGRATING {}", to.id),
    );
    // New keys are made at the new node, under ASK; the old ones are at the old node.
    created("early").await;
    assert!(is_unavailable(&stores[0].list_keys(None).await));
    loop {
        let names = ask(from, &format!("CLUSTER GETKEYSINSLOT {moving} 1"));
        if names.is_empty() {
            break;
        }
        let migrate = format!("MIGRATE 127.0.0.1 {} {names} 0 5000", to.port);
        assert_eq!(ask(from, &migrate), "OK");
        // Others write in between.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    created("late").await;
    assert!(is_unavailable(&stores[1].list_keys(None).await));
    ask(to, &format!("CLUSTER SETSLOT {moving} NODE {}", to.id));
    ask(from, &format!("CLUSTER SETSLOT {moving} NODE {}", to.id));
    created("after").await;

    stop.store(true, Ordering::SeqCst);
    let mut sums: HashMap<String, Vec<i64>> = HashMap::new();
    for writer in writers {
        for (key, more) in writer.await.unwrap() {
            sums.entry(key).or_default().extend(more);
        }
    }
    for (key, mut sums) in sums {
        sums.sort_unstable();
        let count = sums.len() as i64;
        assert_eq!(sums, (1..=count).collect::<Vec<_>>(), "{key}");
        let value = stores[0].get(&key).await.unwrap().unwrap().value;
        assert_eq!(value, count.to_string().as_bytes());
    }
    // When all nodes know of it, all keys are listed again.
    let listed = async {
        loop {
            if let Ok(page) = stores[0].list_keys(None).await {
                return page.keys;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let listed = tokio::time::timeout(DEADLINE, listed).await.unwrap();
    assert_eq!(listed.len(), keys.len() + 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slots_that_no_node_has_are_refused_and_the_others_served() {
    let cluster = TestCluster::start(1, 0, &["--cluster-require-full-coverage", "no"]);
    let store = cluster.store(&[0]).await;
    let [lost, kept] = [0, 1].map(|half| key_of(half, 2));
    for key in [&lost, &kept] {
        store.set(key, b"v".to_vec()).await.unwrap();
    }
    let delete = format!("CLUSTER DELSLOTSRANGE 0 {}", SLOTS / 2 - 1);
    cluster.nodes[0].ask(&delete).unwrap();
    let other = cluster.store(&[0]).await;
    for store in [&store, &other] {
        assert!(is_unavailable(&store.get(&lost).await));
        assert!(is_unavailable(&store.set(&lost, Vec::new()).await));
        assert!(is_unavailable(&store.list_keys(None).await));
        assert_eq!(store.get(&kept).await.unwrap().unwrap().value, b"v");
    }
    let add = format!("CLUSTER ADDSLOTSRANGE 0 {}", SLOTS / 2 - 1);
    cluster.nodes[0].ask(&add).unwrap();
    for store in [&store, &other] {
        assert_eq!(recovered(store, &lost).await.unwrap().value, b"v");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_may_have_a_socket_and_no_port() {
    let server = TestRedis::start(&["--cluster-enabled", "yes"]);
    server.ask("CLUSTER ADDSLOTSRANGE 0 16383").unwrap();
    // Waits until the cluster is up.
    let store = server.store().await;
    store.set("k", b"v".to_vec()).await.unwrap();
    assert_eq!(store.increment("n", 1).await, Ok(1));
    assert_eq!(store.list_keys(None).await.unwrap().keys, ["k", "n"]);
}
