use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use redis::AsyncCommands as _;
use tokio::net::{UnixListener, UnixStream};

use super::{
    testing::{PERMISSIONS, TestRedis, relay},
    *,
};
use crate::store::{
    contract::{Two, contract_tests},
    shared::{Claim, ClaimError, Credentials, SharedStore as _},
    testing::{DEADLINE, answers_to_many, is_unavailable, recovered, refuses_everything},
};

async fn two() -> (TestRedis, Two) {
    let server = TestRedis::start(&[]);
    let two: Two = [
        Arc::new(server.store().await),
        Arc::new(server.store().await),
    ];
    (server, two)
}

contract_tests!(two);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_the_server_is_killed_everything_is_refused_and_nothing_answered_is_lost() {
    let mut server = TestRedis::start(&[]);
    let store = server.store().await;
    store.set("k", b"v".to_vec()).await.unwrap();
    let version = store.get("k").await.unwrap().unwrap().version;
    for _ in 0..3 {
        server.process.kill().unwrap();
        refuses_everything(&store, version).await;
        server.restart().unwrap();
        let entry = recovered(&store, "k").await.unwrap();
        assert_eq!((entry.value, entry.version), (b"v".to_vec(), version));
    }
}

#[tokio::test]
async fn a_read_does_not_notice_that_the_connection_broke() {
    let mut server = TestRedis::start(&[]);
    let store = server.store().await;
    store.set("k", b"v".to_vec()).await.unwrap();
    for _ in 0..5 {
        server.process.kill().unwrap();
        server.restart().unwrap();
        assert_eq!(store.get("k").await.unwrap().unwrap().value, b"v");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_stands_still_keeps_nobody_waiting() {
    let server = TestRedis::start(&[]);
    let store = Arc::new(server.store().await);
    store.set("k", b"v".to_vec()).await.unwrap();
    server.process.signal("STOP").unwrap();
    for answer in answers_to_many(&store).await {
        assert!(is_unavailable(&answer));
    }
    server.process.signal("CONT").unwrap();
    assert_eq!(recovered(&*store, "k").await.unwrap().value, b"v");
}

/// A relay in front of the server.
fn relayed(server: &TestRedis, swallow: Arc<AtomicBool>) -> String {
    let socket = server.directory.path().join("relay");
    let listener = UnixListener::bind(&socket).unwrap();
    let target = server.socket();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            relay(
                client,
                UnixStream::connect(&target).await.unwrap(),
                &swallow,
            )
            .await;
        }
    });
    format!("redis+unix://{}", socket.display())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_write_whose_answer_is_lost_is_not_repeated() {
    let server = TestRedis::start(&[]);
    let swallow = Arc::new(AtomicBool::new(false));
    let url = relayed(&server, Arc::clone(&swallow));
    let address = Address::new(&url, Credentials::default()).unwrap();
    let store = RedisStore::connect(&address, DEADLINE).await.unwrap();
    // The server knows the scripts now.
    assert_eq!(store.increment("n", 1).await, Ok(1));
    let swap = store.compare_and_swap("known", None, Vec::new());
    assert_eq!(swap.await, Ok(Swap::Swapped));

    swallow.store(true, Ordering::SeqCst);
    assert!(is_unavailable(&store.increment("n", 1).await));
    assert_eq!(recovered(&store, "n").await.unwrap().value, b"2");

    swallow.store(true, Ordering::SeqCst);
    let swap = store.compare_and_swap("k", None, b"v".to_vec());
    assert!(is_unavailable(&swap.await));
    assert_eq!(recovered(&store, "k").await.unwrap().value, b"v");

    // A read is asked again.
    swallow.store(true, Ordering::SeqCst);
    assert_eq!(store.get("k").await.unwrap().unwrap().value, b"v");
    assert!(!swallow.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_server_that_forgot_the_scripts_is_told_again() {
    let server = TestRedis::start(&[]);
    let store = server.store().await;
    assert_eq!(store.increment("n", 1).await, Ok(1));
    let mut connection = server.connection().await;
    let flush = redis::cmd("SCRIPT").arg("FLUSH").to_owned();
    let () = flush.query_async(&mut connection).await.unwrap();
    assert_eq!(store.increment("n", 1).await, Ok(2));
    let swap = store.compare_and_swap("k", None, Vec::new());
    assert_eq!(swap.await, Ok(Swap::Swapped));
}

#[tokio::test]
async fn a_replica_is_not_used() {
    let server = TestRedis::start(&[]);
    let store = server.store().await;
    store.set("k", b"v".to_vec()).await.unwrap();
    let mut connection = server.connection().await;
    let mut replicaof = async |host: &str, port: &str| {
        let mut command = redis::cmd("REPLICAOF");
        command.arg(host).arg(port);
        let () = command.query_async(&mut connection).await.unwrap();
    };
    // There is no such primary, but the server calls itself a replica anyway.
    replicaof("127.0.0.1", "1").await;
    // The connection is older than that. The first write shows it.
    assert!(is_unavailable(&store.set("k", Vec::new()).await));
    assert!(is_unavailable(&store.get("k").await));
    let address = Address::new(&server.url(), Credentials::default()).unwrap();
    let error = RedisStore::connect(&address, Duration::from_millis(1)).await;
    let text = error.err().unwrap().to_string();
    assert!(text.contains("replica"), "{text}");
    replicaof("NO", "ONE").await;
    assert_eq!(recovered(&store, "k").await.unwrap().value, b"v");
}

#[tokio::test]
async fn several_servers_must_be_a_cluster() {
    let server = TestRedis::start(&[]);
    let mut address = Address::new(&server.url(), Credentials::default()).unwrap();
    address.servers.push(address.servers[0].clone());
    let connect = RedisStore::connect(&address, Duration::from_secs(3600));
    let refused = tokio::time::timeout(DEADLINE, connect).await.unwrap();
    assert!(matches!(refused, Err(ConnectError::NoCluster { .. })));
}

#[tokio::test]
async fn a_user_may_be_limited_to_the_gateways_keys() {
    let user = format!("--user gateway on >hunter2 {PERMISSIONS}");
    let server = TestRedis::start(&user.split(' ').collect::<Vec<_>>());
    let mut connection = server.connection().await;
    let () = connection.set("another program's", "1").await.unwrap();
    let url = format!("{}?db=3&user=gateway&pass=hunter2", server.url());
    let address = Address::new(&url, Credentials::default()).unwrap();
    let store = RedisStore::connect(&address, DEADLINE).await.unwrap();
    let [one, two, three] = ["ab", "cd", "ef"].map(|byte| byte.repeat(32));
    assert_eq!(store.claim(&[&one, &two]).await.unwrap(), Claim::First);
    assert_eq!(store.claim(&[&two]).await.unwrap(), Claim::Same);
    assert_eq!(store.claim(&[&three]).await.unwrap(), Claim::Other);
    store.set("k", b"v".to_vec()).await.unwrap();
    assert!(store.exists("k").await.unwrap());
    let version = store.get("k").await.unwrap().unwrap().version;
    let swap = store.compare_and_swap("k", Some(version), b"1".to_vec());
    assert_eq!(swap.await, Ok(Swap::Swapped));
    assert_eq!(store.increment("k", 1).await, Ok(2));
    assert_eq!(store.list_keys(None).await.unwrap().keys, ["k"]);

    // All keys are in the database of the URL, and under the prefix.
    let keys: Vec<String> = connection.keys("*").await.unwrap();
    assert_eq!(keys, ["another program's"]);
    let select = redis::cmd("SELECT").arg(3).to_owned();
    let () = select.query_async(&mut connection).await.unwrap();
    let keys: Vec<String> = connection.keys("*").await.unwrap();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| key.starts_with(PREFIX)), "{keys:?}");
    store.delete("k").await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_said_at_once_and_not_shown() {
    let server = TestRedis::start(&["--requirepass", "hunter2"]);
    for (pass, word) in [("hunter3", "authentication"), ("", "NOAUTH")] {
        let url = match pass {
            "" => server.url(),
            pass => format!("{}?pass={pass}", server.url()),
        };
        let address = Address::new(&url, Credentials::default()).unwrap();
        let connect = RedisStore::connect(&address, Duration::from_secs(3600));
        let error = tokio::time::timeout(DEADLINE, connect).await.unwrap();
        let Err(error @ ConnectError::Denied { .. }) = error else {
            panic!("a wrong password is not worth waiting for");
        };
        let text = format!("{error} {error:?}");
        assert!(text.contains(word), "{text}");
        assert!(!text.contains("hunter"), "{text}");
    }
    let url = format!("{}?pass=hunter2", server.url());
    let address = Address::new(&url, Credentials::default()).unwrap();
    assert!(RedisStore::connect(&address, DEADLINE).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_start_waits_for_the_server_for_a_while() {
    let mut server = TestRedis::start(&[]);
    server.process.kill().unwrap();
    let address = Address::new(&server.url(), Credentials::default()).unwrap();
    let too_short = RedisStore::connect(&address, Duration::from_millis(1)).await;
    assert!(matches!(too_short, Err(ConnectError::Away { .. })));
    let long_enough = tokio::spawn(async move { RedisStore::connect(&address, DEADLINE).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.restart().unwrap();
    assert!(long_enough.await.unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_start_waits_until_the_server_has_loaded_its_data() {
    let mut server = TestRedis::start(&["--rdbcompression", "no"]);
    let store = server.store().await;
    for i in 0..20 {
        store.set(&format!("k{i}"), vec![b'v'; 4096]).await.unwrap();
    }
    let mut connection = server.connection().await;
    let save = redis::cmd("SAVE");
    let () = save.query_async(&mut connection).await.unwrap();
    server.process.kill().unwrap();
    // It takes 100 ms for each key. Until then it answers, but serves no keys. The append-only
    // file, which would load at once, is not used.
    server
        .respawn(&[
            "--appendonly",
            "no",
            "--key-load-delay",
            "100000",
            "--loading-process-events-interval-bytes",
            "1024",
        ])
        .unwrap();
    let store = server.store().await;
    assert_eq!(store.get("k19").await.unwrap().unwrap().value.len(), 4096);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_claims_one_is_the_first() {
    let server = TestRedis::start(&[]);
    let store = Arc::new(server.store().await);
    assert!(!store.is_claimed().await.unwrap());
    let keys = ["ab", "AB", "cd"].map(|byte| byte.repeat(32));
    let claims: Vec<_> = (0..30)
        .map(|i| {
            let (store, key) = (Arc::clone(&store), keys[i % 3].clone());
            tokio::spawn(async move { store.claim(&[&key]).await.unwrap() })
        })
        .collect();
    let mut count = [0; 3];
    for claim in claims {
        count[claim.await.unwrap() as usize] += 1;
    }
    assert!(store.is_claimed().await.unwrap());
    // The same digits in another case are the same key.
    assert!(count == [1, 19, 10] || count == [1, 9, 20], "{count:?}");

    let mut connection = server.connection().await;
    let name = format!("{PREFIX}store");
    let () = connection.set(name, "2 something newer").await.unwrap();
    assert!(matches!(store.is_claimed().await, Err(ClaimError::Layout)));
}

mod cluster;
mod tls;
