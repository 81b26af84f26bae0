//! TLS with a CA of the test's own.

use super::*;
use crate::store::testing::{Ca, ca, certificate};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tls_proves_both_sides() {
    let (ours, theirs) = (ca(), ca());
    let mut server = PostgresServer::start(Authentication::Scram, &[]).unwrap();
    let (chain, key) = certificate(&ours, "localhost");
    let file = |name, text: &str| {
        let path = server.write_file(name, text.as_bytes()).unwrap();
        path.display().to_string()
    };
    let settings = [
        ("ssl_cert_file", file("server.pem", &chain)),
        ("ssl_key_file", file("server.key", &key)),
        ("ssl_ca_file", file("ca.pem", &ours.pem())),
        ("ssl", "on".to_owned()),
    ];
    for (name, value) in &settings {
        server.set(name, value).unwrap();
    }
    server.stop().unwrap();
    server.restart().unwrap();

    let port = server.port();
    let connect = async |host: &str, options: &str, ca: Option<&Ca>, identity: Option<&Ca>| {
        let url = format!("postgres://postgres@{host}:{port}/postgres?{options}");
        let credentials = Credentials {
            password: Some(Zeroizing::new(PostgresServer::PASSWORD.to_owned())),
            ca: ca.map(|ca| ca.pem().into_bytes()),
            identity: identity.map(|ca| {
                let (certificate, key) = certificate(ca, "postgres");
                (certificate.into_bytes(), key.into_bytes().into())
            }),
            ..Credentials::default()
        };
        let address = Address::new(&url, credentials).unwrap();
        PostgresStore::connect(address, 1, Duration::ZERO).await
    };
    for (host, options, identity) in [
        ("localhost", "", None),
        ("localhost", "sslmode=require", None),
        ("localhost", "sslmode=verify-full", Some(&ours)),
        // A CA vouches for it, under another name.
        ("127.0.0.1", "sslmode=verify-ca", None),
    ] {
        let store = connect(host, options, Some(&ours), identity).await.unwrap();
        let rows = store
            .read(
                "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
                &[],
            )
            .await
            .unwrap();
        assert!(rows[0].get::<_, bool>(0), "{host} {options}");
    }
    for (host, options, ca, identity) in [
        // Another CA vouches for the server, or the system's do; the name is another.
        ("localhost", "sslmode=verify-ca", Some(&theirs), None),
        ("localhost", "sslmode=require", None, None),
        ("127.0.0.1", "sslmode=require", Some(&ours), None),
        // The gateway's certificate is of another CA.
        ("localhost", "sslmode=require", Some(&ours), Some(&theirs)),
    ] {
        let refused = connect(host, options, ca, identity).await;
        let text = refused.err().expect("refused").to_string();
        assert!(!text.contains(PostgresServer::PASSWORD), "{text}");
    }

    // A server without TLS is not spoken to in clear.
    server.set("ssl", "off").unwrap();
    server.stop().unwrap();
    server.restart().unwrap();
    let refused = connect("localhost", "sslmode=require", Some(&ours), None).await;
    assert!(refused.is_err());
}
