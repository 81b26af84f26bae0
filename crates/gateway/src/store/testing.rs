//! What the tests of stores in servers share: patience, outages, certificates.

use std::{sync::Arc, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256,
};

use super::{Entry, Store, StoreError, Version};

/// How long anything may take before a test gives up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) fn is_unavailable<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Unavailable(_)))
}

/// Reads until the store is back, as clients do.
pub(crate) async fn recovered(store: &dyn Store, key: &str) -> Option<Entry> {
    let read = async {
        loop {
            match store.get(key).await {
                Ok(entry) => return entry,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(DEADLINE, read)
        .await
        .expect("the store did not recover")
}

/// That every call is refused while the server is away. `k` has this version.
pub(crate) async fn refuses_everything(store: &dyn Store, version: Version) {
    assert!(is_unavailable(&store.get("k").await));
    assert!(is_unavailable(&store.exists("k").await));
    assert!(is_unavailable(&store.list_keys(None).await));
    assert!(is_unavailable(&store.set("k", Vec::new()).await));
    assert!(is_unavailable(&store.delete("k").await));
    assert!(is_unavailable(&store.increment("k", 1).await));
    let swap = store.compare_and_swap("k", Some(version), Vec::new());
    assert!(is_unavailable(&swap.await));
}

/// The answers to 300 reads and writes at once, none of which may hang.
pub(crate) async fn answers_to_many(store: &Arc<impl Store>) -> Vec<Result<(), StoreError>> {
    let requests: Vec<_> = (0..300)
        .map(|i| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                match i % 3 {
                    0 => store.get("k").await.map(drop),
                    1 => store.set(&format!("k{i}"), Vec::new()).await,
                    _ => store
                        .compare_and_swap("k", None, Vec::new())
                        .await
                        .map(drop),
                }
            })
        })
        .collect();
    let mut answers = Vec::new();
    for request in requests {
        let answer = tokio::time::timeout(DEADLINE, request).await;
        answers.push(answer.expect("a request hangs").unwrap());
    }
    answers
}

/// A CA of a test's own.
pub(crate) type Ca = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

pub(crate) fn ca() -> Ca {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "The test's CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    CertifiedIssuer::self_signed(params, key()).unwrap()
}

/// A certificate for a name, and its key, in PEM. Servers have names of hosts, clients of users.
pub(crate) fn certificate(ca: &Ca, name: &str) -> (String, String) {
    let key = key();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.signed_by(&key, ca).unwrap();
    (certificate.pem(), key.serialize_pem())
}
