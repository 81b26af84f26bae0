//! A primary, its standbys, and which of them is used.

use super::{confirmation::VALIDITY, *};

/// A primary, and a standby that each commit waits for.
fn pair() -> (PostgresServer, PostgresServer) {
    let primary = server(&[]);
    let standby = PostgresServer::standby_of(&primary, &[]).expect("a standby");
    primary.wait_for_synchronous(&standby).unwrap();
    (primary, standby)
}

/// The URL of both; the first is asked first by clients that take the first that answers.
fn both(first: &PostgresServer, second: &PostgresServer) -> String {
    let ports = (first.port(), second.port());
    format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        ports.0, ports.1
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_primary_is_found_and_a_standby_is_none() {
    let (primary, standby) = pair();
    for url in [both(&primary, &standby), both(&standby, &primary)] {
        let store = store(&url).await;
        store.set("k", b"v".to_vec()).await.unwrap();
    }
    let refused = PostgresStore::connect(address(&standby.url()), 1, Duration::ZERO).await;
    let text = refused.err().expect("a standby").to_string();
    assert!(text.contains("it is a standby"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_failover_the_new_primary_is_used_and_the_old_one_never_again() {
    let (mut primary, standby) = pair();
    let store = store(&both(&primary, &standby)).await;
    store.set("k", b"acknowledged".to_vec()).await.unwrap();
    primary.kill().unwrap();
    assert!(is_unavailable(&store.set("k", b"no".to_vec()).await));
    standby.promote().unwrap();
    // The old primary comes back as what it was: nobody made a standby of it.
    primary.restart().unwrap();
    let read = recovered(&store, "k").await.unwrap();
    assert_eq!(read.value, b"acknowledged");
    store.set("k", b"new".to_vec()).await.unwrap();
    let old = "SELECT count(*) FROM anonymous_domains WHERE value = 'new'";
    assert_eq!(primary.query(old).unwrap(), "0");

    // Even if it is the only one that answers.
    let mut standby = standby;
    standby.kill().unwrap();
    for _ in 0..3 {
        assert!(is_unavailable(&store.get("k").await));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    standby.restart().unwrap();
    assert_eq!(recovered(&store, "k").await.unwrap().value, b"new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_promotion_is_noticed_while_the_old_primary_still_answers() {
    let (primary, standby) = pair();
    let store = store(&both(&primary, &standby)).await;
    store.set("k", b"v".to_vec()).await.unwrap();
    standby.promote().unwrap();
    standby.set("synchronous_standby_names", "").unwrap();
    standby
        .query("UPDATE anonymous_domains SET value = 'new' WHERE key = 'k'")
        .unwrap();
    // The old primary answers all reads, so no connection breaks.
    let noticed = async {
        while store.get("k").await.ok().flatten().map(|row| row.value) != Some(b"new".to_vec()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(DEADLINE, noticed)
        .await
        .expect("the promotion was not noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_old_primary_that_comes_back_is_not_believed() {
    let (primary, standby) = pair();
    // With one host: it can hear of the promotion from nobody.
    let store = store(&primary.url()).await;
    store.set("k", b"old".to_vec()).await.unwrap();
    assert_eq!(store.get("k").await.unwrap().unwrap().value, b"old");
    primary.stall().unwrap();
    tokio::time::sleep(VALIDITY).await;
    standby.set("synchronous_standby_names", "").unwrap();
    standby.promote().unwrap();
    primary.resume().unwrap();
    // A connection from before is open, and the server thinks that it is the primary.
    assert_eq!(primary.query("SELECT pg_is_in_recovery()").unwrap(), "f");
    assert!(is_unavailable(&store.get("k").await));
    assert!(is_unavailable(&store.delete("missing").await));
    assert!(is_unavailable(&store.set("k", b"no".to_vec()).await));
    let shown = "SELECT value FROM anonymous_domains WHERE key = 'k'";
    assert_eq!(primary.query(shown).unwrap(), r"\x6f6c64");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_that_no_standby_has_is_not_acknowledged() {
    let (primary, mut standby) = pair();
    let store = Arc::new(store(&primary.url()).await);
    store.set("k", b"v".to_vec()).await.unwrap();
    standby.kill().unwrap();
    // Nor if an operator ends the wait: the commit then succeeds, with a warning.
    let write = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.set("other", b"alone".to_vec()).await }
    });
    let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
                  WHERE wait_event = 'SyncRep' AND query LIKE 'INSERT%'";
    while !write.is_finished() {
        primary.query(cancel).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(is_unavailable(&write.await.unwrap()));
    let waiting = || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        primary.query(waiting).unwrap().parse::<usize>().unwrap()
    };
    // Commits stay in the server when nobody waits for them any more: soon there are no more.
    for _ in 0..3 {
        assert!(is_unavailable(&store.set("k", b"alone".to_vec()).await));
    }
    let before = waiting();
    assert!(before > 0);
    for _ in 0..20 {
        assert!(is_unavailable(&store.set("k", b"alone".to_vec()).await));
        assert!(is_unavailable(&store.get("k").await));
    }
    assert_eq!(waiting(), before);
    standby.restart().unwrap();
    assert_eq!(recovered(&*store, "other").await.unwrap().value, b"alone");
}
