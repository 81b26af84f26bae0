use super::*;
use tempfile::TempDir;

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn open(directory: &TempDir) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(&directory.path().join("store.db")).expect("a store"))
}

async fn value(store: &SqliteStore, key: &str) -> Option<Vec<u8>> {
    store.get(key).await.expect("a read").map(|e| e.value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_creators_one_wins() {
    let directory = directory();
    // Two stores on one file stand for two gateways on one state directory.
    let stores = [open(&directory), open(&directory)];
    for round in 0..20 {
        let key = format!("key-{round}");
        let creators: Vec<_> = (0..32u8)
            .map(|creator| {
                let store = Arc::clone(&stores[usize::from(creator % 2)]);
                let key = key.clone();
                tokio::spawn(async move { store.compare_and_swap(&key, None, vec![creator]).await })
            })
            .collect();
        let mut winners = Vec::new();
        for (creator, task) in creators.into_iter().enumerate() {
            match task.await.expect("a creator").expect("an answer") {
                Swap::Swapped => winners.push(vec![creator as u8]),
                Swap::Conflict(current) => assert!(current.is_some()),
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(value(&stores[0], &key).await.as_ref(), winners.first());
    }
}

#[tokio::test]
async fn a_swap_needs_the_version_that_was_read() {
    let directory = directory();
    let store = open(&directory);
    store.set("k", b"a".to_vec()).await.unwrap();
    let read = store.get("k").await.unwrap().unwrap();

    let swap = store.compare_and_swap("k", Some(read.version), b"b".to_vec());
    assert_eq!(swap.await.unwrap(), Swap::Swapped);

    let swap = store.compare_and_swap("k", Some(read.version), b"c".to_vec());
    let Swap::Conflict(Some(current)) = swap.await.unwrap() else {
        panic!("a stale version passed");
    };
    assert_eq!(current.value, b"b");
    assert_eq!(store.get("k").await.unwrap().unwrap(), current);

    // What the conflict told is current: it can be swapped at once.
    let swap = store.compare_and_swap("k", Some(current.version), b"c".to_vec());
    assert_eq!(swap.await.unwrap(), Swap::Swapped);
}

#[tokio::test]
async fn equal_bytes_that_came_back_do_not_pass() {
    let directory = directory();
    let store = open(&directory);
    store.set("k", b"a".to_vec()).await.unwrap();
    let read = store.get("k").await.unwrap().unwrap();

    store.set("k", b"b".to_vec()).await.unwrap();
    store.set("k", b"a".to_vec()).await.unwrap();
    let swap = store.compare_and_swap("k", Some(read.version), b"c".to_vec());
    assert!(matches!(swap.await.unwrap(), Swap::Conflict(Some(_))));

    // Nor after the key was away for a while.
    store.delete("k").await.unwrap();
    let swap = store.compare_and_swap("k", Some(read.version), b"c".to_vec());
    assert_eq!(swap.await.unwrap(), Swap::Conflict(None));
    store.set("k", b"a".to_vec()).await.unwrap();
    let swap = store.compare_and_swap("k", Some(read.version), b"c".to_vec());
    assert!(matches!(swap.await.unwrap(), Swap::Conflict(Some(_))));

    // A missing key has no version: that it was there in between is not noticed.
    store.delete("k").await.unwrap();
    let swap = store.compare_and_swap("k", None, b"c".to_vec());
    assert_eq!(swap.await.unwrap(), Swap::Swapped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_increments_are_unique() {
    let directory = directory();
    let stores = [open(&directory), open(&directory)];
    let tasks: Vec<_> = (0..200)
        .map(|i| {
            let store = Arc::clone(&stores[i % 2]);
            tokio::spawn(async move { store.increment("n", 1).await })
        })
        .collect();
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.push(task.await.unwrap().unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=200).collect::<Vec<i64>>());
    assert_eq!(value(&stores[0], "n").await.unwrap(), b"200");
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
    // Without turns each of these can wait until the busy timeout, and then fails.
    for expected in 1..=50 {
        assert_eq!(patient.increment("patient", 1).await, Ok(expected));
    }
    for writer in writers {
        writer.abort();
    }
}

#[tokio::test]
async fn an_increment_of_no_number_is_refused_and_harms_nothing() {
    let directory = directory();
    let store = open(&directory);
    for text in [
        &b"eight by"[..],
        b"",
        b"1.5",
        b"\xff\xfe",
        b"9223372036854775808",
    ] {
        store.set("k", text.to_vec()).await.unwrap();
        assert_eq!(store.increment("k", 1).await, Err(StoreError::NotANumber));
        assert_eq!(value(&store, "k").await.unwrap(), text);
    }
    store
        .set("k", i64::MAX.to_string().into_bytes())
        .await
        .unwrap();
    assert_eq!(store.increment("k", 1).await, Err(StoreError::Overflow));
    assert_eq!(store.increment("k", -1).await, Ok(i64::MAX - 1));
    assert_eq!(store.increment("new", -3).await, Ok(-3));
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
async fn a_write_that_nobody_waits_for_still_is_whole() {
    let directory = directory();
    let store = open(&directory);
    let mut write = std::pin::pin!(store.set("k", b"v".to_vec()));
    // One poll hands the write over; then the caller goes.
    let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(write.as_mut().poll(cx))).await;
    drop(polled);
    store.set("after", Vec::new()).await.unwrap();
    assert_eq!(value(&store, "k").await, Some(b"v".to_vec()));
}

#[tokio::test]
async fn keys_are_listed_page_by_page() {
    let directory = directory();
    let store = open(&directory);
    assert_eq!(
        store.list_keys(None).await.unwrap(),
        KeyPage {
            keys: Vec::new(),
            cursor: None
        }
    );
    let count = KEYS_PER_PAGE * 2;
    let mut writes = Vec::new();
    for i in 0..count {
        let store = Arc::clone(&store);
        writes.push(tokio::spawn(async move {
            store.set(&format!("{i:06}"), Vec::new()).await
        }));
    }
    for write in writes {
        write.await.unwrap().unwrap();
    }
    let first = store.list_keys(None).await.unwrap();
    assert_eq!(first.keys.len(), KEYS_PER_PAGE);
    let second = store.list_keys(first.cursor.as_deref()).await.unwrap();
    assert_eq!(second.keys.len(), KEYS_PER_PAGE);
    assert_eq!(second.cursor, None);
    let all: Vec<_> = first.keys.into_iter().chain(second.keys).collect();
    assert_eq!(
        all,
        (0..count).map(|i| format!("{i:06}")).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn too_long_is_refused() {
    let directory = directory();
    let store = open(&directory);
    let long = "k".repeat(super::super::MAX_KEY_BYTES + 1);
    assert_eq!(store.get(&long).await, Err(StoreError::KeyTooLong));
    assert_eq!(
        store.set(&long, Vec::new()).await,
        Err(StoreError::KeyTooLong)
    );
    let value = vec![0; super::super::MAX_VALUE_BYTES + 1];
    assert_eq!(store.set("k", value).await, Err(StoreError::ValueTooLong));
    assert!(!store.exists("k").await.unwrap());
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
    let db = open_writer(&path).unwrap();
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
