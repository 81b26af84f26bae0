//! A source against a small issuer.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

/// An issuer whose answer can be changed, and which counts requests.
struct Issuer {
    url: String,
    answer: Arc<Mutex<String>>,
    requests: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        let answer = Arc::new(Mutex::new(String::new()));
        let requests = Arc::new(AtomicUsize::new(0));
        let (text, count) = (Arc::clone(&answer), Arc::clone(&requests));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.read(&mut [0; 4096]).await;
                let text = text.lock().unwrap().clone();
                let _ = stream.write_all(text.as_bytes()).await;
            }
        });
        let issuer = Self {
            url,
            answer,
            requests,
        };
        issuer.has_keys(&["one"]);
        issuer
    }

    fn has_keys(&self, names: &[&str]) {
        *self.answer.lock().unwrap() = answer("200 OK", &set(names));
    }

    fn fails(&self) {
        *self.answer.lock().unwrap() = answer("500 Broken", "{}");
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    async fn open(&self, state: &Path) -> anyhow::Result<Arc<KeySource>> {
        let mut settings = Settings::default();
        settings.set(AUTH_JWKS, Zeroizing::new(self.url.clone()))?;
        let source = KeySource::open(&settings, None, state).await?.unwrap();
        assert!(source.is_of(&settings));
        Ok(source)
    }
}

fn set(names: &[&str]) -> String {
    let keys: Vec<_> = names
        .iter()
        .map(|name| serde_json::json!({"kid": name}))
        .collect();
    serde_json::json!({ "keys": keys }).to_string()
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

fn token(name: &str) -> HeaderMap {
    let header = serde_json::json!({"alg": "ES256", "kid": name}).to_string();
    let mut headers = HeaderMap::new();
    let value = format!("Bearer {}.e30.x", URL_SAFE_NO_PAD.encode(header));
    headers.insert(AUTHORIZATION, value.parse().unwrap());
    headers
}

#[tokio::test]
async fn a_set_is_no_url() {
    let mut settings = Settings::default();
    for value in [None, Some("{\"keys\":[]}"), Some("")] {
        if let Some(value) = value {
            let value = Zeroizing::new(value.to_owned());
            settings.set(AUTH_JWKS, value).unwrap();
        }
        let source = KeySource::open(&settings, None, Path::new("/nowhere")).await;
        assert!(source.unwrap().is_none());
    }
}

#[tokio::test]
async fn kept_keys_serve_when_the_issuer_is_away() {
    let (issuer, directory) = (Issuer::start().await, tempfile::tempdir().unwrap());
    issuer.fails();
    let error = issuer.open(directory.path()).await.err().unwrap();
    assert!(format!("{error:#}").contains("500"), "{error:#}");

    issuer.has_keys(&["one"]);
    let source = issuer.open(directory.path()).await.unwrap();
    source.begin(|_| async { Ok(()) });
    issuer.fails();
    let later = issuer.open(directory.path()).await.unwrap();
    assert_eq!(*later.text(), set(&["one"]));
    source.refresh().await;
    assert_eq!(*source.text(), set(&["one"]));
}

#[tokio::test]
async fn an_unknown_key_is_looked_for_once_in_a_while() {
    let (issuer, directory) = (Issuer::start().await, tempfile::tempdir().unwrap());
    let source = issuer.open(directory.path()).await.unwrap();
    let applied = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&applied);
    source.begin(move |text| {
        log.lock().unwrap().push(text);
        async { Ok(()) }
    });
    issuer.has_keys(&["one", "two"]);
    source.look_for_key(&token("one")).await;
    source.look_for_key(&HeaderMap::new()).await;
    assert_eq!(issuer.requests(), 1, "only the start asked");

    let both = (token("two"), token("two"));
    tokio::join!(source.look_for_key(&both.0), source.look_for_key(&both.1));
    assert_eq!(issuer.requests(), 2);
    assert_eq!(*applied.lock().unwrap(), [set(&["one", "two"])]);
    source.look_for_key(&token("three")).await;
    assert_eq!(issuer.requests(), 2, "too soon");
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_not_taken() {
    let (issuer, directory) = (Issuer::start().await, tempfile::tempdir().unwrap());
    let source = issuer.open(directory.path()).await.unwrap();
    source.begin(|_| async { anyhow::bail!("a private key") });
    issuer.has_keys(&["two"]);
    source.refresh().await;
    assert_eq!(*source.text(), set(&["one"]));
    *issuer.answer.lock().unwrap() = answer("200 OK", "[]");
    source.refresh().await;
    assert_eq!(*source.text(), set(&["one"]));
}

#[test]
fn only_a_bearer_token_names_a_key() {
    assert_eq!(key_name(&token("one")).as_deref(), Some("one"));
    for value in [
        "Basic abc",
        "Bearer",
        "Bearer abc",
        "Bearer !!.x.y",
        "Bearer e30.x.y",
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        assert_eq!(key_name(&headers), None, "{value}");
    }
}
