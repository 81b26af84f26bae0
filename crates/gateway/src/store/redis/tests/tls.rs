//! TLS with a CA of the test's own.

use std::net::TcpListener;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256,
};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::super::{
    testing::{DEADLINE, TestRedis},
    *,
};
use crate::store::shared::Credentials;

type Ca = CertifiedIssuer<'static, KeyPair>;

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

fn ca() -> Ca {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "The test's CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    CertifiedIssuer::self_signed(params, key()).unwrap()
}

/// A certificate for `localhost`, and its key, in PEM.
fn certificate(ca: &Ca) -> (String, String) {
    let key = key();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, ca).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// A server with TLS, for clients with a certificate of `ca` and the password `hunter2`. Returns
/// its port: one that was free a moment ago, so another process may be faster.
fn server(ca: &Ca) -> (TestRedis, u16) {
    for _ in 0..10 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        if let Some(server) = server_on(ca, port) {
            return (server, port);
        }
    }
    panic!("no port stays free");
}

/// The same on `port`; `None` where the server cannot have it, and so ends.
fn server_on(ca: &Ca, port: u16) -> Option<TestRedis> {
    let directory = TempDir::new().unwrap();
    let (certificate, key) = certificate(ca);
    for (name, text) in [
        ("ca.pem", &ca.pem()),
        ("cert.pem", &certificate),
        ("key.pem", &key),
    ] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    TestRedis::try_start(
        directory,
        &[
            "--bind",
            "127.0.0.1",
            "--tls-port",
            &port.to_string(),
            "--tls-ca-cert-file",
            "ca.pem",
            "--tls-cert-file",
            "cert.pem",
            "--tls-key-file",
            "key.pem",
            "--tls-auth-clients",
            "yes",
            "--requirepass",
            "hunter2",
        ],
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tls_proves_both_sides() {
    let (ours, theirs) = (ca(), ca());
    let (_server, port) = server(&ours);
    let connect = async |host: &str, vouched: Option<&Ca>, identity: Option<&Ca>| {
        let credentials = Credentials {
            password: Some(Zeroizing::new("hunter2".into())),
            ca: vouched.map(|ca| ca.pem().into_bytes()),
            identity: identity.map(|ca| {
                let (certificate, key) = certificate(ca);
                (certificate.into_bytes(), key.into_bytes().into())
            }),
            ..Credentials::default()
        };
        let address = Address::new(&format!("rediss://{host}:{port}/1"), credentials).unwrap();
        RedisStore::connect(&address, Duration::from_millis(1)).await
    };
    let store = connect("localhost", Some(&ours), Some(&ours))
        .await
        .unwrap();
    store.set("k", b"v".to_vec()).await.unwrap();
    assert_eq!(store.get("k").await.unwrap().unwrap().value, b"v");

    for (host, vouched, identity) in [
        // Another CA vouches for the server, or the system's do; the name is another; the
        // gateway has no certificate, or one of another CA.
        ("localhost", Some(&theirs), Some(&ours)),
        ("localhost", None, Some(&ours)),
        ("127.0.0.1", Some(&ours), Some(&ours)),
        ("localhost", Some(&ours), None),
        ("localhost", Some(&ours), Some(&theirs)),
    ] {
        let refused = tokio::time::timeout(DEADLINE, connect(host, vouched, identity)).await;
        let text = refused.unwrap().err().expect("refused").to_string();
        assert!(!text.contains("hunter2"), "{text}");
        println!("{text}");
    }
}
