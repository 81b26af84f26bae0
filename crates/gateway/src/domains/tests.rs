//! The service without a server around it. What needs a component gets it from `cargo xtask test`.

use std::{path::Path, sync::Arc};

use anonymous_domains_testkit::program;
use http::{
    StatusCode,
    header::{CONTENT_TYPE, HOST},
};
use http_body_util::{Empty, Full};
use tower_service::Service as _;

use super::*;
use crate::{ca::DomainCa, store::sqlite::SqliteStore};

async fn failure(builder: Builder) -> (BuildErrorKind, String) {
    let error = builder.build().await.expect_err("it cannot be built");
    (error.kind(), format!("{:#}", anyhow::Error::from(error)))
}

/// The secrets that a store needs.
fn with_secrets(builder: Builder) -> Builder {
    let ca = DomainCa::generate().unwrap();
    builder
        .setting("ca_certificate", ca.certificate)
        .setting("ca_private_key", ca.private_key.as_str())
        .setting("key_encryption_key", "ab".repeat(32))
}

#[tokio::test]
async fn an_error_says_what_it_is_about_and_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let stored = || Domains::builder().sqlite(path("tables.db"));
    let file = path("file");
    std::fs::write(&file, "hunter2").unwrap();

    for (builder, kind, text) in [
        (
            stored().setting("public_orgin", "hunter2"),
            BuildErrorKind::Settings,
            "public_orgin",
        ),
        (
            Domains::builder(),
            BuildErrorKind::Store,
            "neither a store nor a state directory",
        ),
        (
            stored().setting("ca_certificate", "hunter2"),
            BuildErrorKind::Store,
            "ca_private_key is not set",
        ),
        (
            Domains::builder().redis("http://:hunter2@localhost"),
            BuildErrorKind::Store,
            "redis://",
        ),
        (
            with_secrets(Domains::builder()).sqlite(&file),
            BuildErrorKind::Store,
            "cannot open the store",
        ),
        (
            Domains::builder().state_directory(&file),
            BuildErrorKind::Directory,
            "state directory",
        ),
        (
            stored().cache_directory(file.join("cache")),
            BuildErrorKind::Directory,
            "cannot make",
        ),
        (
            with_secrets(stored()).component(path("missing.wasm")),
            BuildErrorKind::Component,
            "missing.wasm",
        ),
        (
            with_secrets(stored()).component_bytes(&b"hunter2"[..]),
            BuildErrorKind::Component,
            "no component",
        ),
    ] {
        let (found, shown) = failure(builder).await;
        assert_eq!(found, kind, "{shown}");
        assert!(shown.contains(text), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test]
async fn a_store_with_content_gets_no_new_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn crate::Store> =
        Arc::new(SqliteStore::open(&directory.path().join("tables.db")).unwrap());
    store.set("k", Vec::new()).await.unwrap();
    let state = directory.path().join("state");
    let builder = Domains::builder().store(store).state_directory(&state);
    let (kind, text) = failure(builder).await;
    assert_eq!(kind, BuildErrorKind::Store);
    assert!(text.contains("is in use"), "{text}");
    assert!(!state.join("ca.pem").exists());
}

async fn get(domains: &mut Domains, host: &str, path: &str) -> (StatusCode, String, String) {
    let request = Request::get(path).header(HOST, host);
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let Ok(response) = domains.call(request).await;
    let (head, body) = response.into_parts();
    let body = body.into_bytes();
    let kind = head.headers[CONTENT_TYPE].to_str().unwrap().to_owned();
    (head.status, kind, String::from_utf8(body.into()).unwrap())
}

async fn built(component: &Path, directory: &Path) -> Domains {
    let store = SqliteStore::open(&directory.join("tables.db")).unwrap();
    with_secrets(Domains::builder())
        .component(component)
        .store(Arc::new(store))
        .cache_directory(directory.join("cache"))
        .setting("public_path_prefix", "/drm/")
        .build()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_may_have_the_prefix_or_have_lost_it() {
    let Some(component) = program("ANONYMOUS_DOMAINS_COMPONENT") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let mut domains = built(&component, directory.path()).await;
    for path in ["/drm/healthz", "/healthz"] {
        let (status, _, body) = get(&mut domains, "tv.example", path).await;
        assert_eq!(status, 200, "{body}");
        assert!(body.contains(r#""ca":"ok""#), "{body}");
    }
    for path in ["/drm/drm/healthz", "/drm", "/drmhealthz"] {
        let (status, kind, _) = get(&mut domains, "tv.example", path).await;
        assert_eq!(status, 404, "{path}");
        assert_eq!(kind, "application/problem+json");
    }
    let (status, kind, _) = get(&mut domains, "", "/healthz").await;
    assert_eq!(status, 400);
    assert_eq!(kind, "application/problem+json");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_are_limited_as_in_the_gateway() {
    let Some(component) = program("ANONYMOUS_DOMAINS_COMPONENT") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let mut domains = built(&component, directory.path()).await;
    let path = "/drm/flashaccess/domainserver/living-room/register";
    for (size, expected) in [(64 * 1024, 400), (69 * 1024, 413)] {
        let request = Request::post(path)
            .header(HOST, "tv.example")
            .header(CONTENT_TYPE, "application/jose+json")
            .body(Full::new(Bytes::from(vec![b'x'; size])))
            .unwrap();
        let Ok(response) = domains.call(request).await;
        assert_eq!(response.status(), expected, "{size}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_has_the_id_of_its_request() {
    let Some(component) = program("ANONYMOUS_DOMAINS_COMPONENT") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let mut domains = built(&component, directory.path()).await;
    for host in ["tv.example", ""] {
        for (sent, kept) in [("r-1", true), ("no id", false)] {
            let request = Request::get("/nothing")
                .header(HOST, host)
                .header("x-request-id", sent);
            let request = request.body(Empty::<Bytes>::new()).unwrap();
            let Ok(response) = domains.call(request).await;
            let (head, body) = response.into_parts();
            let id = head.headers["x-request-id"].to_str().unwrap();
            assert_eq!(id == sent, kept, "{id}");
            if host.is_empty() {
                let problem: serde_json::Value =
                    serde_json::from_slice(&body.into_bytes()).unwrap();
                let instance = problem["instance"].as_str().unwrap();
                assert!(instance.ends_with(&format!(":{id}")), "{instance}");
            }
        }
    }
}
