use std::sync::Arc;

use anonymous_domains_testkit::{Authentication, PgBouncer, PostgresServer};
use zeroize::Zeroizing;

use super::{
    testing::{address, server, store},
    *,
};
use crate::store::{
    contract::{Two, contract_tests},
    shared::{Claim, ClaimError, Credentials, SharedStore as _},
    testing::{DEADLINE, answers_to_many, is_unavailable, recovered, refuses_everything},
};

mod contract {
    use super::*;

    async fn two() -> (PostgresServer, Two) {
        let server = server(&[]);
        let two: Two = [
            Arc::new(store(&server.url()).await),
            Arc::new(store(&server.url()).await),
        ];
        (server, two)
    }

    contract_tests!(two);
}

/// A pooler that gives each transaction another connection, and has few of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pooler_may_be_between() {
    let server = server(&[]);
    let pooler = PgBouncer::start(&server, &["default_pool_size = 3"]).expect("a pooler");
    let url = server.url_at(pooler.port());
    let two: Two = [Arc::new(store(&url).await), Arc::new(store(&url).await)];
    crate::store::contract::keys_are_any_text(two.clone()).await;
    crate::store::contract::of_many_creators_one_wins(two.clone()).await;
    crate::store::contract::of_many_changers_one_wins(two.clone()).await;
    crate::store::contract::concurrent_increments_are_unique(two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_the_server_is_killed_everything_is_refused_and_nothing_answered_is_lost() {
    let mut server = server(&[]);
    let store = store(&server.url()).await;
    store.set("k", b"v".to_vec()).await.unwrap();
    let version = store.get("k").await.unwrap().unwrap().version;
    for _ in 0..2 {
        server.kill().unwrap();
        refuses_everything(&store, version).await;
        server.restart().unwrap();
        let entry = recovered(&store, "k").await.unwrap();
        assert_eq!((entry.value, entry.version), (b"v".to_vec(), version));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_does_not_notice_that_the_connections_broke() {
    let server = server(&[]);
    let store = store(&server.url()).await;
    store.set("k", b"v".to_vec()).await.unwrap();
    for _ in 0..5 {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE application_name = 'anonymous-domains-gateway'";
        server.query(end).unwrap();
        assert_eq!(store.get("k").await.unwrap().unwrap().value, b"v");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_stands_still_keeps_nobody_waiting() {
    let server = server(&[]);
    let store = Arc::new(store(&server.url()).await);
    store.set("k", b"v".to_vec()).await.unwrap();
    server.stall().unwrap();
    for answer in answers_to_many(&store).await {
        assert!(is_unavailable(&answer) || answer == Err(StoreError::Busy));
    }
    server.resume().unwrap();
    assert_eq!(recovered(&*store, "k").await.unwrap().value, b"v");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_row_that_is_locked_is_busy_and_its_write_does_not_happen_later() {
    let server = server(&[]);
    let store = store(&server.url()).await;
    store.set("k", b"v".to_vec()).await.unwrap();
    let connection = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await;
    let (mut client, connection) = connection.unwrap();
    tokio::spawn(connection);
    let lock = client.transaction().await.unwrap();
    let statement = "SELECT 1 FROM anonymous_domains FOR UPDATE";
    lock.query(statement, &[]).await.unwrap();
    let busy = store.set("k", b"later".to_vec()).await;
    // On a slow machine the answer may come after the store has given up.
    assert!(
        matches!(busy, Err(StoreError::Busy | StoreError::Unavailable(_))),
        "{busy:?}"
    );
    lock.commit().await.unwrap();
    assert_eq!(store.get("k").await.unwrap().unwrap().value, b"v");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_that_were_given_up_leave_no_connection_in_doubt() {
    let server = server(&[]);
    let store = Arc::new(store(&server.url()).await);
    store.set("k", b"v".to_vec()).await.unwrap();
    for round in 0..100 {
        let read = store.get("k");
        // Some are given up before they are sent, some while the answer is under way.
        let _ = tokio::time::timeout(Duration::from_micros(round * 20), read).await;
        let version = store.get("k").await.unwrap().unwrap().version;
        let value = round.to_string().into_bytes();
        let swap = store.compare_and_swap("k", Some(version), value.clone());
        assert_eq!(swap.await, Ok(Swap::Swapped));
        assert_eq!(store.get("k").await.unwrap().unwrap().value, value);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_an_overtaken_transaction_nothing_is_written() {
    let server = server(&["default_transaction_isolation=serializable"]);
    let store = Arc::new(store(&server.url()).await);
    store.set("k", b"0".to_vec()).await.unwrap();
    let read = store.get("k").await.unwrap().unwrap();
    let changers: Vec<_> = (0..32u8)
        .map(|changer| {
            let store = Arc::clone(&store);
            let version = Some(read.version);
            tokio::spawn(async move { store.compare_and_swap("k", version, vec![changer]).await })
        })
        .collect();
    let mut won = Vec::new();
    for (changer, task) in changers.into_iter().enumerate() {
        match task.await.unwrap() {
            Ok(Swap::Swapped) => won.push(changer as u8),
            Ok(Swap::Conflict(_)) => {}
            Err(error) => {
                let text = "the store gave the write up for another one";
                assert_eq!(error, StoreError::Unavailable(text.into()));
            }
        }
    }
    assert_eq!(won.len(), 1);
    assert_eq!(store.get("k").await.unwrap().unwrap().value, won);
}

#[tokio::test]
async fn what_would_lose_acknowledged_writes_is_refused_at_once() {
    for setting in ["synchronous_commit", "fsync"] {
        let server = server(&[&format!("{setting}=off")]);
        let connect = PostgresStore::connect(address(&server.url()), 1, Duration::from_secs(3600));
        let refused = tokio::time::timeout(DEADLINE, connect).await.unwrap();
        let Err(error @ ConnectError::Unsafe { .. }) = refused else {
            panic!("{setting} is off");
        };
        assert!(error.to_string().contains(&format!("its {setting} is off")));
    }
}

#[tokio::test]
async fn a_wrong_password_is_said_at_once_and_not_shown() {
    let server = PostgresServer::start(Authentication::Scram, &[]).unwrap();
    let port = server.port();
    let connect = async |userinfo: &str, credentials: Credentials| {
        let url = format!("postgres://{userinfo}@localhost:{port}/postgres");
        let address = Address::new(&url, credentials).unwrap();
        let connect = PostgresStore::connect(address, 1, Duration::from_secs(3600));
        let connect = tokio::time::timeout(DEADLINE, connect).await.unwrap();
        connect.map(drop).map_err(|error| {
            assert!(matches!(error, ConnectError::Denied { .. }), "{error}");
            format!("{error} {error:?}")
        })
    };
    let wrong = connect("postgres:hunter2", Credentials::default()).await;
    let text = wrong.unwrap_err();
    assert!(text.contains("password authentication failed"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");

    let right = Credentials {
        password: Some(Zeroizing::new(PostgresServer::PASSWORD.to_owned())),
        ..Credentials::default()
    };
    connect("postgres", right).await.unwrap();

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pgpass");
    let line = format!("localhost:{port}:*:postgres:{}\n", PostgresServer::PASSWORD);
    std::fs::write(&path, line).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, private).unwrap();
    let file = Credentials {
        password_file: Some(path),
        ..Credentials::default()
    };
    connect("postgres", file).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_start_waits_for_the_server_for_a_while() {
    let mut server = server(&[]);
    server.kill().unwrap();
    let url = server.url();
    let too_short = PostgresStore::connect(address(&url), 1, Duration::from_millis(1)).await;
    assert!(matches!(too_short, Err(ConnectError::Away { .. })));
    let long_enough =
        tokio::spawn(async move { PostgresStore::connect(address(&url), 1, DEADLINE).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.restart().unwrap();
    assert!(long_enough.await.unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_claims_one_is_the_first_and_no_claim_is_a_row() {
    let server = server(&[]);
    let store = Arc::new(store(&server.url()).await);
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

    // A gateway that has a known key and another makes the other known.
    let (known, other) = match store.is_claimed_for(&[&keys[0]]).await.unwrap() {
        true => (&keys[0], &keys[2]),
        false => (&keys[2], &keys[0]),
    };
    assert!(!store.is_claimed_for(&[other]).await.unwrap());
    let claim = store.claim(&[other, known]).await.unwrap();
    assert_eq!(claim, Claim::Same);
    assert_eq!(store.claim(&[other]).await.unwrap(), Claim::Same);
    assert_eq!(store.list_keys(None).await.unwrap().keys, [""; 0]);

    let newer = "UPDATE anonymous_domains SET value = '2 something newer'
                 WHERE key = '\\xff'::bytea || 'claim'";
    server.query(newer).unwrap();
    assert!(matches!(store.is_claimed().await, Err(ClaimError::Layout)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_gateways_make_the_table_at_once() {
    let server = server(&[]);
    let url = server.url();
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { store(&url).await.set("k", Vec::new()).await })
        })
        .collect();
    for start in starts {
        start.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_user_with_few_rights_needs_only_the_rows() {
    let server = server(&[]);
    server
        .query("CREATE ROLE gateway LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        .unwrap();
    let url = server.url().replace("postgres@", "gateway@");
    let store = PostgresStore::connect(address(&url), 2, DEADLINE)
        .await
        .unwrap();
    // A look changes nothing, and needs no table.
    assert!(!store.is_claimed().await.unwrap());
    let error = store.prepare().await.unwrap_err().to_string();
    assert!(error.contains("gateway schema"), "{error}");

    server.query(DDL).unwrap();
    let rights = "GRANT SELECT, INSERT, UPDATE, DELETE ON anonymous_domains TO gateway";
    server.query(rights).unwrap();
    store.prepare().await.unwrap();
    assert_eq!(
        store.claim(&[&"ab".repeat(32)]).await.unwrap(),
        Claim::First
    );
    assert_eq!(store.increment("k", 1).await, Ok(1));
    store.delete("k").await.unwrap();
}

mod failover;
mod tls;
