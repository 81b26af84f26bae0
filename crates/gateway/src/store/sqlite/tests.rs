use tempfile::TempDir;

use super::*;
use crate::store::contract::{Two, contract_tests};

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn open(directory: &TempDir) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(&directory.path().join("store.db")).expect("a store"))
}

async fn two() -> (TempDir, Two) {
    let directory = directory();
    let two: Two = [open(&directory), open(&directory)];
    (directory, two)
}

contract_tests!(two);

async fn value(store: &SqliteStore, key: &str) -> Option<Vec<u8>> {
    store.get(key).await.expect("a read").map(|e| e.value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_process_that_writes_without_pause_lets_another_write() {
    let directory = directory();
    let (busy, patient) = (open(&directory), open(&directory));
    let writers: Vec<_> = (0..8)
        .map(|i| {
            let store = Arc::clone(&busy);
            tokio::spawn(async move {
                loop {
                    store.increment(&format!("busy-{i}"), 1).await.unwrap();
                }
            })
        })
        .collect();
    // Without the write lock each of these can wait until the busy timeout, and then fail.
    for expected in 1..=50 {
        assert_eq!(patient.increment("patient", 1).await, Ok(expected));
    }
    for writer in writers {
        writer.abort();
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_reopening() {
    let directory = directory();
    let store = open(&directory);
    let mut writes = Vec::new();
    for i in 0..500 {
        let store = Arc::clone(&store);
        writes.push(tokio::spawn(async move {
            store.set(&format!("k{i}"), vec![i as u8; 100]).await
        }));
    }
    for write in writes {
        write.await.unwrap().unwrap();
    }
    store.delete("k0").await.unwrap();
    drop(store);

    let store = open(&directory);
    assert_eq!(value(&store, "k0").await, None);
    for i in 1..500 {
        assert_eq!(
            value(&store, &format!("k{i}")).await,
            Some(vec![i as u8; 100])
        );
    }
}

#[tokio::test]
async fn a_write_whose_caller_was_cancelled_is_complete() {
    let directory = directory();
    let store = open(&directory);
    let mut write = std::pin::pin!(store.set("k", b"v".to_vec()));
    // One poll sends the write to the writer. Then the caller is cancelled.
    let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(write.as_mut().poll(cx))).await;
    drop(polled);
    store.set("after", Vec::new()).await.unwrap();
    assert_eq!(value(&store, "k").await, Some(b"v".to_vec()));
}

#[tokio::test]
async fn a_read_that_finds_the_file_busy_waits_for_it() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let directory = directory();
    let store = open(&directory);
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let read = store.read(move |db| {
        if counted.fetch_add(1, Ordering::Relaxed) == 0 {
            let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
            return Err(rusqlite::Error::SqliteFailure(busy, None));
        }
        db.pragma_query_value(None, "busy_timeout", |row| row.get(0))
    });
    let waits_ms: u32 = read.await.unwrap();
    assert!(u128::from(waits_ms) <= BUSY_TIMEOUT.as_millis());
    assert!(waits_ms > 0, "the second time it waits");
    assert_eq!(tries.load(Ordering::Relaxed), 2);
}

#[test]
fn the_file_is_private_and_synced() {
    use std::os::unix::fs::PermissionsExt;
    let directory = directory();
    let path = directory.path().join("store.db");
    let _store = SqliteStore::open(&path).unwrap();
    for file in ["store.db", "store.db-wal", "store.db-shm"] {
        let metadata = std::fs::metadata(directory.path().join(file)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{file}");
    }
    let db = open_writer(&path, BUSY_TIMEOUT).unwrap();
    let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, String>(0));
    assert_eq!(pragma("journal_mode").unwrap(), "wal");
    let synchronous: i64 = db
        .pragma_query_value(None, "synchronous", |row| row.get(0))
        .unwrap();
    assert_eq!(synchronous, 2);
}

#[test]
fn a_newer_layout_is_refused() {
    let directory = directory();
    let path = directory.path().join("store.db");
    drop(SqliteStore::open(&path).unwrap());
    let db = Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", LAYOUT + 1).unwrap();
    drop(db);
    assert!(matches!(
        SqliteStore::open(&path),
        Err(StoreError::Unavailable(_))
    ));
}

/// Repeats what may be refused because it did not begin in time.
async fn until_done<F: Future<Output = Result<(), StoreError>>>(write: impl Fn() -> F) {
    let done = async { while write().await.is_err() {} };
    let done = tokio::time::timeout(Duration::from_secs(60), done).await;
    done.expect("the store is still busy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_another_process_holds_the_lock_writes_are_refused_and_not_done() {
    let directory = directory();
    let path = directory.path().join("store.db");
    let store = Arc::new(SqliteStore::open_with(&path, Duration::from_millis(50)).unwrap());
    let stopped = WriteLock::open(&path).unwrap();
    until_done(|| store.set("before", Vec::new())).await;
    for _ in 0..2 {
        let guard = stopped.acquire(Instant::now() + BUSY_TIMEOUT).unwrap();
        let guard = guard.expect("it is free");
        // More than the queue holds.
        let writes: Vec<_> = (0..WRITE_QUEUE + 500)
            .map(|i| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { store.set(&format!("k{i}"), Vec::new()).await })
            })
            .collect();
        for write in writes {
            assert_eq!(write.await.unwrap(), Err(StoreError::Busy));
        }
        assert_eq!(store.increment("n", 1).await, Err(StoreError::Busy));
        assert!(matches!(
            SqliteStore::open_with(&path, Duration::from_millis(50)),
            Err(StoreError::Busy)
        ));
        // Reads do not need the lock.
        assert_eq!(value(&store, "before").await, Some(Vec::new()));
        drop(guard);
        // None of the refused writes is done later.
        until_done(|| store.set("after", Vec::new())).await;
        assert_eq!(
            store.list_keys(None).await.unwrap().keys,
            ["after", "before"]
        );
        until_done(|| store.delete("after")).await;
    }
}

#[tokio::test]
async fn while_another_process_holds_the_file_writes_are_refused_and_not_done() {
    let directory = directory();
    let path = directory.path().join("store.db");
    let store = SqliteStore::open_with(&path, Duration::from_millis(50)).unwrap();
    let mut other = Connection::open(&path).unwrap();
    let held = other
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .unwrap();
    assert_eq!(store.set("k", Vec::new()).await, Err(StoreError::Busy));
    assert_eq!(value(&store, "k").await, None);
    held.commit().unwrap();
    until_done(|| store.set("after", Vec::new())).await;
    assert_eq!(store.list_keys(None).await.unwrap().keys, ["after"]);
}

#[tokio::test]
async fn a_damaged_file_is_broken_and_not_just_away() {
    let directory = directory();
    let path = directory.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    store.set("k", b"v".to_vec()).await.unwrap();
    drop(store);
    // All but the first page, which says how long they are.
    let mut file = std::fs::read(&path).unwrap();
    file[4096..].fill(0xa5);
    std::fs::write(&path, file).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    let damaged = || StoreError::Broken("the store's file is damaged: restore a copy of it".into());
    assert_eq!(store.get("k").await, Err(damaged()));
    let swap = store.compare_and_swap("k", None, Vec::new());
    assert_eq!(swap.await, Err(damaged()));
}
