use std::path::Path;

use zeroize::Zeroizing;

use super::*;
use crate::store::{redis::testing::TestRedis, shared::Credentials};

/// How long a test waits for its Redis.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

fn start(
    server: &TestRedis,
    directory: &Path,
    key_encryption_key: Option<&str>,
) -> impl Future<Output = anyhow::Result<Settings>> + use<> {
    let address = Address::new(&server.url(), Credentials::default(), 1).unwrap();
    let location = Location::Shared(Box::new(address), CONNECT_TIMEOUT);
    let state = StateDirectory::open(directory).unwrap();
    let mut configured = Settings::default();
    if let Some(key) = key_encryption_key {
        let key = Zeroizing::new(key.to_owned());
        configured.set("key_encryption_key", key).unwrap();
    }
    async move {
        let opened = open(Some(&state), location, configured, MAX_CALL).await?;
        Ok(opened.settings)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_starts_on_one_directory_share_the_created_secrets() {
    let (server, directory) = (TestRedis::start(&[]), tempfile::tempdir().unwrap());
    let tasks = [(); 4].map(|()| tokio::spawn(start(&server, directory.path(), None)));
    let mut started = Vec::new();
    for task in tasks {
        started.push(task.await.unwrap().unwrap());
    }
    assert!(started.iter().all(|settings| *settings == started[0]));
    assert!(started[0].get("ca_private_key").is_some());
    // A later start shares them too.
    let later = start(&server, directory.path(), None).await.unwrap();
    assert_eq!(later, started[0]);
    assert!(!directory.path().join("store.db").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_concurrent_starts_on_separate_directories_one_creates_secrets() {
    let server = TestRedis::start(&[]);
    // Even with the same key-encryption key the CA must be the same.
    for key in [None, Some("ab".repeat(32))] {
        let mut connection = server.connection().await;
        let flush = redis::cmd("FLUSHALL");
        let () = flush.query_async(&mut connection).await.unwrap();
        let directories = [(); 4].map(|()| tempfile::tempdir().unwrap());
        let tasks = directories
            .each_ref()
            .map(|directory| tokio::spawn(start(&server, directory.path(), key.as_deref())));
        let mut started_ok = 0;
        for (task, directory) in tasks.into_iter().zip(&directories) {
            let started = task.await.unwrap();
            started_ok += usize::from(started.is_ok());
            for file in ["ca.pem", "ca-key.pem"] {
                let is_there = directory.path().join(file).exists();
                assert_eq!(is_there, started.is_ok(), "{file}");
            }
            if let Err(error) = started {
                let text = format!("{error:#}");
                assert!(text.contains("copy"), "{text}");
            }
        }
        assert_eq!(started_ok, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_belongs_to_one_key_encryption_key() {
    let (server, directory) = (TestRedis::start(&[]), tempfile::tempdir().unwrap());
    let first = start(&server, directory.path(), None).await.unwrap();
    let other = "ab".repeat(32);
    let error = start(&server, directory.path(), Some(&other)).await;
    let text = format!("{:#}", error.unwrap_err());
    assert!(text.contains("another key-encryption key"), "{text}");
    assert!(!text.contains(&other), "{text}");

    // A gateway with the same secrets may use the store. One without them may not create
    // others.
    let second = tempfile::tempdir().unwrap();
    let error = start(&server, second.path(), None).await.unwrap_err();
    assert!(format!("{error:#}").contains("is in use"), "{error:#}");
    for file in ["ca.pem", "ca-key.pem", "key-encryption-key"] {
        std::fs::copy(directory.path().join(file), second.path().join(file)).unwrap();
    }
    let second = start(&server, second.path(), None).await.unwrap();
    assert_eq!(second.get("ca_private_key"), first.get("ca_private_key"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_becomes_known_with_the_old_one() {
    let (server, directory) = (TestRedis::start(&[]), tempfile::tempdir().unwrap());
    let [old, new, other] = ["ab", "cd", "ef"].map(|pair| pair.repeat(32));
    let both = format!("{new}\n{old}\n");
    let claims = [
        (&old, true),
        (&new, false),
        (&both, true),
        (&new, true),
        (&old, true),
        (&other, false),
    ];
    for (keys, is_taken) in claims {
        let started = start(&server, directory.path(), Some(keys)).await;
        assert_eq!(started.is_ok(), is_taken, "{keys}");
    }
}

#[tokio::test]
async fn an_invalid_key_claims_nothing() {
    let (server, directory) = (TestRedis::start(&[]), tempfile::tempdir().unwrap());
    start(&server, directory.path(), Some("ab")).await.unwrap();
    assert!(!server.store().await.is_claimed().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_gateway_began_to_use_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let state = StateDirectory::open(directory.path()).unwrap();
    // Another gateway is starting, and all its secrets are configured.
    let locked = state.lock().unwrap();
    let location = Location::File(state.store());
    let configured = Settings::default();
    let mut start = Box::pin(open(Some(&state), location, configured, MAX_CALL));
    let polled =
        std::future::poll_fn(|cx| std::task::Poll::Ready(start.as_mut().poll(cx).is_pending()));
    assert!(polled.await, "it does not wait for the lock");
    drop(SqliteStore::open(&state.store()).unwrap());
    drop(locked);
    let error = start.await.err().expect("secrets were made for its store");
    assert!(format!("{error:#}").contains("is in use"), "{error:#}");
    assert!(!directory.path().join("ca.pem").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_starts_on_one_file_share_the_created_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = [(); 4].map(|()| {
        let state = StateDirectory::open(directory.path()).unwrap();
        tokio::spawn(async move {
            let location = Location::File(state.store());
            open(Some(&state), location, Settings::default(), MAX_CALL).await
        })
    });
    let mut started = Vec::new();
    for task in tasks {
        started.push(task.await.unwrap().unwrap().settings);
    }
    assert!(started.iter().all(|settings| *settings == started[0]));
    assert!(started[0].get("ca_private_key").is_some());
}
