//! TLS connections of a client that trusts one certificate.

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use super::{self_signed::tests::write, *};

fn files(directory: &tempfile::TempDir) -> Files {
    Files {
        certificate: directory.path().join("certificate.pem"),
        key: directory.path().join("key.pem"),
    }
}

fn client(files: &Files, protocols: &[&[u8]]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(&files.certificate).unwrap();
    roots.add(certificate).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

/// The protocol that a connection of the client agrees on; `None` if it fails.
async fn connect(tls: &Tls, client: &TlsConnector) -> Option<Option<Vec<u8>>> {
    let (near, far) = tokio::io::duplex(16 * 1024);
    let name = ServerName::try_from("localhost").unwrap();
    let connected = async {
        let mut stream = client.connect(name, near).await.ok()?;
        stream.write_all(b"ping").await.ok()?;
        Some(stream)
    };
    let accepted = async {
        let mut bytes = [0; 4];
        tls.accept(far)
            .await
            .ok()?
            .read_exact(&mut bytes)
            .await
            .ok()?;
        Some(bytes)
    };
    let (stream, bytes) = tokio::join!(connected, accepted);
    assert_eq!(bytes.is_some(), stream.is_some());
    stream.map(|stream| stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec))
}

#[tokio::test]
async fn the_protocol_is_agreed_on() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(&directory);
    write(&files);
    let tls = Tls::load(files.clone()).unwrap();
    for (offered, agreed) in [
        (&[&b"http/1.1"[..], b"h2"][..], Some(&b"h2"[..])),
        (&[b"http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let protocol = connect(&tls, &client(&files, offered)).await;
        assert_eq!(protocol.unwrap().as_deref(), agreed);
    }
}

#[tokio::test]
async fn a_changed_pair_is_taken_and_a_bad_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(&directory);
    write(&files);
    let tls = Tls::load(files.clone()).unwrap();
    let old = client(&files, &[]);
    assert!(tls.read().unwrap().is_none());

    let old_key = std::fs::read(&files.key).unwrap();
    write(&files);
    let new = client(&files, &[]);
    let new_key = std::fs::read(&files.key).unwrap();
    for (content, reason) in [
        (&old_key[..], "is not that of the certificate"),
        (b"-----BEGIN hunter2", "no private key"),
        (b"hunter2", "no private key"),
    ] {
        std::fs::write(&files.key, content).unwrap();
        let error = format!("{:#}", tls.read().err().unwrap());
        assert!(
            error.contains(reason) && !error.contains("hunter2"),
            "{error}"
        );
        assert!(connect(&tls, &old).await.is_some());
    }
    std::fs::write(&files.key, new_key).unwrap();
    tls.take(tls.read().unwrap());
    assert!(connect(&tls, &old).await.is_none());
    assert!(connect(&tls, &new).await.is_some());

    std::fs::remove_file(&files.certificate).unwrap();
    assert!(tls.read().is_err());
    assert!(connect(&tls, &new).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_handshake_ends_in_time() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(&directory);
    write(&files);
    let tls = Tls::load(files).unwrap();
    let (_silent, far) = tokio::io::duplex(1024);
    let error = tls.accept(far).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}
