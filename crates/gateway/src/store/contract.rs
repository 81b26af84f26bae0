//! What every [`Store`] must do, as tests that each implementation runs. Two stores stand for two
//! gateways on the same content.

use std::sync::Arc;

use super::{KEYS_PER_PAGE, KeyPage, MAX_KEY_BYTES, MAX_VALUE_BYTES, Store, StoreError, Swap};

/// Two stores on the same content, which is empty.
pub(crate) type Two = [Arc<dyn Store>; 2];

/// Makes a test of each function of this module. `$open` is an async function that returns a guard
/// that must live as long as the stores, and [`Two`] stores.
///
/// With `@one` they are one test, for what takes long to open: `$open` returns something with an async
/// method `emptied` that returns two stores on it.
macro_rules! contract_tests {
    ($open:path) => {
        $crate::store::contract::contract_tests!(@all each $open);
    };
    (@one $open:path) => {
        $crate::store::contract::contract_tests!(@all one $open);
    };
    (@all $how:ident $open:path) => {
        $crate::store::contract::contract_tests!(@$how $open:
            of_many_creators_one_wins
            of_many_changers_one_wins
            a_swap_needs_the_version_that_was_read
            equal_bytes_that_came_back_do_not_pass
            concurrent_increments_are_unique
            an_increment_of_no_number_is_refused_and_harms_nothing
            increments_are_exact_to_the_last_digit
            an_increment_is_a_write
            what_is_missing_is_missing
            keys_are_any_text
            values_are_any_bytes
            keys_are_listed_page_by_page
            too_long_is_refused
        );
    };
    (@each $open:path: $($test:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                let (_kept, stores) = $open().await;
                $crate::store::contract::$test(stores).await;
            }
        )*
    };
    (@one $open:path: $($test:ident)*) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn the_contract_is_kept() {
            let kept = $open().await;
            $(
                println!("{}", stringify!($test));
                $crate::store::contract::$test(kept.emptied().await).await;
            )*
        }
    };
}
pub(crate) use contract_tests;

async fn value(store: &Arc<dyn Store>, key: &str) -> Option<Vec<u8>> {
    store.get(key).await.expect("a read").map(|e| e.value)
}

pub(crate) async fn of_many_creators_one_wins(stores: Two) {
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

pub(crate) async fn of_many_changers_one_wins(stores: Two) {
    stores[0].set("k", b"old".to_vec()).await.unwrap();
    for _ in 0..20 {
        let read = stores[1].get("k").await.unwrap().unwrap();
        let changers: Vec<_> = (0..32)
            .map(|changer| {
                let store = Arc::clone(&stores[changer % 2]);
                let version = Some(read.version);
                // All write the same bytes. Each write has its own version.
                tokio::spawn(
                    async move { store.compare_and_swap("k", version, b"new".to_vec()).await },
                )
            })
            .collect();
        let mut won = 0;
        for task in changers {
            match task.await.expect("a changer").expect("an answer") {
                Swap::Swapped => won += 1,
                Swap::Conflict(current) => assert_eq!(current.unwrap().value, b"new"),
            }
        }
        assert_eq!(won, 1);
    }
}

pub(crate) async fn a_swap_needs_the_version_that_was_read([store, other]: Two) {
    store.set("k", b"a".to_vec()).await.unwrap();
    let read = other.get("k").await.unwrap().unwrap();

    let swap = store.compare_and_swap("k", Some(read.version), b"b".to_vec());
    assert_eq!(swap.await.unwrap(), Swap::Swapped);

    let swap = other.compare_and_swap("k", Some(read.version), b"c".to_vec());
    let Swap::Conflict(Some(current)) = swap.await.unwrap() else {
        panic!("a stale version passed");
    };
    assert_eq!(current.value, b"b");
    assert_eq!(store.get("k").await.unwrap().unwrap(), current);

    // The version in the conflict is current, and can be used for a swap at once.
    let swap = other.compare_and_swap("k", Some(current.version), b"c".to_vec());
    assert_eq!(swap.await.unwrap(), Swap::Swapped);
    assert_eq!(value(&store, "k").await.unwrap(), b"c");
}

pub(crate) async fn equal_bytes_that_came_back_do_not_pass([store, other]: Two) {
    store.set("k", b"a".to_vec()).await.unwrap();
    let read = store.get("k").await.unwrap().unwrap();

    other.set("k", b"b".to_vec()).await.unwrap();
    other.set("k", b"a".to_vec()).await.unwrap();
    let swap = store.compare_and_swap("k", Some(read.version), b"c".to_vec());
    assert!(matches!(swap.await.unwrap(), Swap::Conflict(Some(_))));

    // Nor after the key was missing for a while.
    store.delete("k").await.unwrap();
    let swap = store.compare_and_swap("k", Some(read.version), b"c".to_vec());
    assert_eq!(swap.await.unwrap(), Swap::Conflict(None));
    store.set("k", b"a".to_vec()).await.unwrap();
    let swap = store.compare_and_swap("k", Some(read.version), b"c".to_vec());
    assert!(matches!(swap.await.unwrap(), Swap::Conflict(Some(_))));

    // A missing key has no version, so it is not noticed that it existed in between.
    store.delete("k").await.unwrap();
    let swap = store.compare_and_swap("k", None, b"c".to_vec());
    assert_eq!(swap.await.unwrap(), Swap::Swapped);
}

pub(crate) async fn concurrent_increments_are_unique(stores: Two) {
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

pub(crate) async fn an_increment_of_no_number_is_refused_and_harms_nothing([store, _]: Two) {
    for text in [
        &b"eight by"[..],
        b"",
        b"1.5",
        b"+1",
        b"01",
        b"-0",
        b" 1",
        b"1\n",
        b"0x1",
        b"\xff\xfe",
        b"\0\0\0\0\0\0\0\0",
        b"9223372036854775808",
    ] {
        store.set("k", text.to_vec()).await.unwrap();
        let before = store.get("k").await.unwrap();
        assert_eq!(
            store.increment("k", 1).await,
            Err(StoreError::NotANumber),
            "{text:?}"
        );
        assert_eq!(store.get("k").await.unwrap(), before, "{text:?}");
    }
}

pub(crate) async fn increments_are_exact_to_the_last_digit([store, _]: Two) {
    let set = async |number: i64| {
        let text = number.to_string().into_bytes();
        store.set("k", text).await.unwrap();
    };
    for (number, delta) in [(i64::MAX, 1), (i64::MIN, -1), (1, i64::MAX), (-2, i64::MIN)] {
        set(number).await;
        let before = store.get("k").await.unwrap();
        assert_eq!(store.increment("k", delta).await, Err(StoreError::Overflow));
        assert_eq!(store.get("k").await.unwrap(), before);
    }
    // Doubles would round these.
    set(i64::MAX).await;
    assert_eq!(store.increment("k", -1).await, Ok(i64::MAX - 1));
    set((1 << 53) + 1).await;
    assert_eq!(store.increment("k", 1).await, Ok((1 << 53) + 2));
    assert_eq!(value(&store, "k").await.unwrap(), b"9007199254740994");
    assert_eq!(store.increment("lowest", i64::MIN).await, Ok(i64::MIN));
    assert_eq!(store.increment("new", -3).await, Ok(-3));
    assert_eq!(store.increment("zero", 0).await, Ok(0));
    assert_eq!(value(&store, "zero").await.unwrap(), b"0");
}

pub(crate) async fn an_increment_is_a_write([store, _]: Two) {
    store.increment("n", 1).await.unwrap();
    let read = store.get("n").await.unwrap().unwrap();
    // Also by 0: the bytes are the same, but the version is new.
    assert_eq!(store.increment("n", 0).await, Ok(1));
    let swap = store.compare_and_swap("n", Some(read.version), b"9".to_vec());
    assert!(matches!(swap.await.unwrap(), Swap::Conflict(Some(_))));
}

pub(crate) async fn what_is_missing_is_missing([store, other]: Two) {
    assert_eq!(store.get("k").await.unwrap(), None);
    assert!(!store.exists("k").await.unwrap());
    store.delete("k").await.unwrap();
    store.set("k", Vec::new()).await.unwrap();
    assert!(other.exists("k").await.unwrap());
    assert_eq!(value(&other, "k").await, Some(Vec::new()));
    other.delete("k").await.unwrap();
    assert!(!store.exists("k").await.unwrap());
    assert_eq!(store.get("k").await.unwrap(), None);
}

pub(crate) async fn keys_are_any_text([store, other]: Two) {
    let long = "k".repeat(MAX_KEY_BYTES);
    let keys = [
        "",
        " ",
        "*",
        "?",
        "[a-z]",
        "{tag}",
        "a\nb",
        "a\r\nb",
        "a\0b",
        "\u{1f511}",
        "Ä",
        "'\"\\%",
        "a:b",
        "row:",
        &long,
    ];
    for (i, key) in keys.iter().enumerate() {
        let swap = store.compare_and_swap(key, None, vec![i as u8]);
        assert_eq!(swap.await.unwrap(), Swap::Swapped, "{key:?}");
    }
    for (i, key) in keys.iter().enumerate() {
        assert_eq!(value(&other, key).await, Some(vec![i as u8]), "{key:?}");
    }
    let mut expected = keys.map(str::to_owned);
    expected.sort();
    assert_eq!(store.list_keys(None).await.unwrap().keys, expected);
}

pub(crate) async fn values_are_any_bytes([store, other]: Two) {
    let every: Vec<u8> = (0..=255).collect();
    let big = every.repeat(8 * 1024 * 1024 / every.len());
    for bytes in [Vec::new(), b"\r\n".to_vec(), every, big] {
        store.set("k", bytes.clone()).await.unwrap();
        let entry = other.get("k").await.unwrap().unwrap();
        assert!(entry.value == bytes, "{} bytes", bytes.len());
        let mut changed = bytes;
        changed.push(0);
        let swap = other.compare_and_swap("k", Some(entry.version), changed.clone());
        assert_eq!(swap.await.unwrap(), Swap::Swapped);
        assert!(value(&store, "k").await.unwrap() == changed);
    }
}

pub(crate) async fn keys_are_listed_page_by_page([store, other]: Two) {
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
    let second = other.list_keys(first.cursor.as_deref()).await.unwrap();
    assert_eq!(second.keys.len(), KEYS_PER_PAGE);
    assert_eq!(second.cursor, None);
    let all: Vec<_> = first.keys.into_iter().chain(second.keys).collect();
    assert_eq!(
        all,
        (0..count).map(|i| format!("{i:06}")).collect::<Vec<_>>()
    );
}

pub(crate) async fn too_long_is_refused([store, _]: Two) {
    let long = "k".repeat(MAX_KEY_BYTES + 1);
    assert_eq!(store.get(&long).await, Err(StoreError::KeyTooLong));
    assert_eq!(store.exists(&long).await, Err(StoreError::KeyTooLong));
    assert_eq!(store.delete(&long).await, Err(StoreError::KeyTooLong));
    assert_eq!(store.increment(&long, 1).await, Err(StoreError::KeyTooLong));
    let set = store.set(&long, Vec::new());
    assert_eq!(set.await, Err(StoreError::KeyTooLong));
    let value = vec![0; MAX_VALUE_BYTES + 1];
    let swap = store.compare_and_swap("k", None, value.clone());
    assert_eq!(swap.await, Err(StoreError::ValueTooLong));
    assert_eq!(store.set("k", value).await, Err(StoreError::ValueTooLong));
    assert!(!store.exists("k").await.unwrap());
}
