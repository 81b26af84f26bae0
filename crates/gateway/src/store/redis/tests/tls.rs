//! TLS with a CA of the test's own.

use std::net::TcpListener;

use anonymous_domains_testkit::free_port;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::super::{testing::TestRedis, *};
use crate::store::{
    shared::Credentials,
    testing::{Ca, DEADLINE, ca, certificate},
};

/// A server with TLS, for clients with a certificate of `ca` and the password `hunter2`. Returns
/// its port: one that was free a moment ago, so another process may be faster.
fn server(ca: &Ca, options: &[&str]) -> (TestRedis, u16) {
    for _ in 0..10 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        if let Some(server) = server_on(ca, port, options) {
            return (server, port);
        }
    }
    panic!("no port stays free");
}

/// The same on `port`; `None` where the server cannot have it, and so ends.
fn server_on(ca: &Ca, port: u16, options: &[&str]) -> Option<TestRedis> {
    let directory = TempDir::new().unwrap();
    let (certificate, key) = certificate(ca, "localhost");
    for (name, text) in [
        ("ca.pem", &ca.pem()),
        ("cert.pem", &certificate),
        ("key.pem", &key),
    ] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let port = port.to_string();
    let tls = [
        "--bind",
        "127.0.0.1",
        "--tls-port",
        &port,
        "--tls-ca-cert-file",
        "ca.pem",
        "--tls-cert-file",
        "cert.pem",
        "--tls-key-file",
        "key.pem",
        "--tls-auth-clients",
        "yes",
    ];
    TestRedis::try_start(directory, &[&tls, options].concat())
}

/// Certificates of these CAs, and no password.
fn credentials(vouched: Option<&Ca>, identity: Option<&Ca>) -> Credentials {
    Credentials {
        ca: vouched.map(|ca| ca.pem().into_bytes()),
        identity: identity.map(|ca| {
            let (certificate, key) = certificate(ca, "localhost");
            (certificate.into_bytes(), key.into_bytes().into())
        }),
        ..Credentials::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tls_proves_both_sides() {
    let (ours, theirs) = (ca(), ca());
    let (_server, port) = server(&ours, &["--requirepass", "hunter2"]);
    let connect = async |host: &str, vouched: Option<&Ca>, identity: Option<&Ca>| {
        let credentials = Credentials {
            password: Some(Zeroizing::new("hunter2".into())),
            ..credentials(vouched, identity)
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_nodes_of_a_cluster_prove_their_hostnames() {
    let ca = ca();
    let store_on = async |more: &[&str]| {
        let bus_port = free_port().unwrap().to_string();
        let options = [
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            &bus_port,
            "--cluster-announce-hostname",
            "localhost",
            // Before Redis 7.2 a node tells clients with TLS the right port only then.
            "--tls-cluster",
            "yes",
        ];
        let (server, port) = server(&ca, &[&options, more].concat());
        server.ask("CLUSTER ADDSLOTSRANGE 0 16383").unwrap();
        // Another name than the one that the node tells, so this connection is for asking only.
        let url = format!("rediss://LOCALHOST:{port}");
        let address = Address::new(&url, credentials(Some(&ca), Some(&ca))).unwrap();
        let store = RedisStore::connect(&address, DEADLINE).await.unwrap();
        (server, store)
    };
    let (_named, store) = store_on(&["--cluster-preferred-endpoint-type", "hostname"]).await;
    store.set("k", b"v".to_vec()).await.unwrap();
    assert_eq!(store.get("k").await.unwrap().unwrap().value, b"v");
    // The certificate is for the name, and not for the address.
    let (_unnamed, store) = store_on(&["--cluster-announce-ip", "127.0.0.1"]).await;
    assert!(store.set("k", b"v".to_vec()).await.is_err());
}
