//! The server itself, natively, on a store in memory that can be looked at and put back.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Waker},
};

use anonymous_domains::{
    environment::Environment,
    error::Error,
    http::{App, Body, body_too_long},
    settings::Settings,
    store::{Store, StoreError, Swapped, rows::Limits},
    tables::Tables,
};
use anonymous_domains_protocol::{
    problem::{ErrorName, Problem},
    request::{DeregisterRequest, RegisterRequest},
    response::Health,
};
use http::{Method, Request, Response, StatusCode, header, request::Parts};

use crate::fixture::{self, ADMIN_TOKEN, KEY_ENCRYPTION_KEY, NOW_MS, PASSWORD};

/// Where the server is.
pub const ORIGIN: &str = "http://127.0.0.1:3000";
/// The path before a domain's name.
pub const DOMAINS: &str = "/flashaccess/domainserver";

/// What a store holds.
pub type Rows = BTreeMap<String, Arc<[u8]>>;

/// A store as the contract has it.
#[derive(Debug, Default)]
pub struct Memory(RefCell<Rows>);

impl Store for Memory {
    type Cas = (String, Option<Arc<[u8]>>);

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.borrow().get(key).map(|value| value.to_vec()))
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.0.borrow_mut().insert(key.into(), value.into());
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.0.borrow_mut().remove(key);
        Ok(())
    }

    async fn increment(&self, _: &str, _: i64) -> Result<i64, StoreError> {
        Err(StoreError("this store lets one creator win".into()))
    }

    async fn begin(&self, key: &str) -> Result<(Self::Cas, Option<Vec<u8>>), StoreError> {
        let current = self.0.borrow().get(key).cloned();
        let bytes = current.as_ref().map(|value| value.to_vec());
        Ok(((key.to_owned(), current), bytes))
    }

    async fn swap(&self, (key, expected): Self::Cas, value: &[u8]) -> Swapped<Self::Cas> {
        let mut rows = self.0.borrow_mut();
        let current = rows.get(&key).cloned();
        if current != expected {
            let bytes = current.as_ref().map(|value| value.to_vec());
            return Swapped::Failed((key, current), bytes);
        }
        rows.insert(key, value.into());
        Swapped::Won
    }
}

/// A clock that stands still but where somebody waits, and random numbers that repeat.
#[derive(Debug, Default)]
pub struct World {
    waited_ms: Cell<i64>,
    drawn: Cell<u64>,
    log: RefCell<Vec<String>>,
}

impl Environment for World {
    fn now_ms(&self) -> i64 {
        NOW_MS + self.waited_ms.get()
    }

    async fn sleep_ms(&self, ms: u64) {
        self.waited_ms.set(self.waited_ms.get() + ms.cast_signed());
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            // Knuth's constants for a linear congruential generator.
            let next = self.drawn.get().wrapping_mul(6_364_136_223_846_793_005);
            self.drawn.set(next.wrapping_add(1_442_695_040_888_963_407));
            *byte = (self.drawn.get() >> 56) as u8;
        }
    }

    fn log(&self, line: &str) {
        self.log.borrow_mut().push(line.to_owned());
    }
}

/// A body that is there as a whole.
struct Whole<'a>(&'a [u8]);

impl Body for Whole<'_> {
    async fn read(self, limit: usize) -> Result<Vec<u8>, Error> {
        match self.0.len() <= limit {
            true => Ok(self.0.to_vec()),
            false => Err(body_too_long(limit)),
        }
    }
}

/// The server.
pub struct Server(App<Memory, World>);

impl Server {
    /// One on these rows, that remembers nothing.
    pub fn on(rows: Rows) -> Self {
        let settings = Settings::read(fixture::setting).expect("these settings do");
        let world = World::default();
        // Other numbers than those that the rows were made with.
        world.drawn.set(rows.len() as u64);
        let store = Memory(RefCell::new(rows));
        let tables = Tables::new(store, world, settings.key_digests(), Limits::default());
        Self(App::new(tables, Ok(settings)))
    }

    /// Calls `with` with a server on [`base`]; another one where the last one's store has changed.
    pub fn with<R>(with: impl FnOnce(&Self) -> R) -> R {
        thread_local! {
            static UNCHANGED: Cell<Option<Server>> = const { Cell::new(None) };
        }
        let server = UNCHANGED.take();
        let server = server.unwrap_or_else(|| Self::on(base().clone()));
        server.0.tables.env.waited_ms.set(0);
        let result = with(&server);
        if *server.0.tables.store.0.borrow() == *base() {
            UNCHANGED.set(Some(server));
        }
        result
    }

    /// What the store holds.
    pub fn rows(&self) -> Rows {
        self.0.tables.store.0.borrow().clone()
    }

    /// The answer to a request, which has changed nothing if it is an error, and is no error of the
    /// server's own; besides see [`check`](Self::check).
    pub fn send(&self, request: Request<&[u8]>) -> Response<Vec<u8>> {
        let before = self.rows();
        let response = self.send_step(request);
        if !response.status().is_success() {
            let body = String::from_utf8_lossy(response.body());
            assert!(self.rows() == before, "the store has changed, but {body}");
        }
        response
    }

    /// As [`send`](Self::send), of a request that may have to be sent again until it is done.
    pub fn send_step(&self, request: Request<&[u8]>) -> Response<Vec<u8>> {
        let (head, body) = request.into_parts();
        let response = ready(self.0.answer(&head, Whole(body)));
        let error = self.check(&head, body, &response);
        let log = self.0.tables.env.log.take().join("\n");
        match error {
            // Said so that clients try again.
            Some(ErrorName::StoreUnavailable) => {
                assert!(log.contains("the domain is being imported"), "{log}");
            }
            Some(ErrorName::Internal) => panic!("a sound store, and yet {log}"),
            _ => {}
        }
        response
    }

    /// The answer to a request, on a store that may hold anything.
    pub fn send_on_unsound(&self, request: Request<&[u8]>) -> Response<Vec<u8>> {
        let (head, body) = request.into_parts();
        let response = ready(self.0.answer(&head, Whole(body)));
        self.check(&head, body, &response);
        self.0.tables.env.log.take();
        response
    }

    /// What must hold of every answer: an error is a problem document with a documented name and
    /// what belongs to that name; and neither the answer nor the log shows a secret. Gives the
    /// error's name.
    fn check(&self, head: &Parts, sent: &[u8], response: &Response<Vec<u8>>) -> Option<ErrorName> {
        let sent = String::from_utf8_lossy(sent);
        let body = String::from_utf8_lossy(response.body());
        let log = self.0.tables.env.log.borrow().join("\n");
        for text in [&*body, &*log] {
            for secret in [ADMIN_TOKEN, KEY_ENCRYPTION_KEY, PASSWORD, "PRIVATE KEY"] {
                // Who sends it knows it.
                let is_shown = text.contains(secret) && !sent.contains(secret);
                assert!(!is_shown, "a secret is shown: {text}");
            }
        }
        let status = response.status();
        if status.is_success() {
            return None;
        }
        if head.method == Method::HEAD {
            assert!(body.is_empty());
            return Some(ErrorName::NotFound);
        }
        let media_type = &response.headers()[header::CONTENT_TYPE];
        if status == StatusCode::SERVICE_UNAVAILABLE && media_type == "application/json" {
            let health = serde_json::from_str::<Health>(&body);
            assert!(health.is_ok(), "{body}");
            return Some(ErrorName::StoreUnavailable);
        }
        assert_eq!(media_type, "application/problem+json");
        let problem: Problem = serde_json::from_slice(response.body())
            .unwrap_or_else(|error| panic!("{error}: {body}"));
        let name = problem.error_name().expect("a documented name");
        let expected = Problem {
            instance: problem.instance.clone(),
            ..Problem::new(name, problem.detail.clone())
        };
        assert_eq!(problem, expected);
        assert_eq!(problem.status, status.as_u16());
        Some(name)
    }
}

/// What a future gives that never has to wait.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("nothing here has to wait"),
    }
}

/// A machine's request to join, and where to.
pub fn join(machine: u8, domain: &str) -> (String, String) {
    let url = format!("{ORIGIN}{DOMAINS}/{domain}/register");
    let request = RegisterRequest {
        machine_guid: fixture::guid(machine),
        iat_ms: NOW_MS,
        current_domain: None,
        known_key_version: None,
    };
    let body = request.sign(&url, &fixture::ec_key(machine));
    (url, body.expect("it can be signed"))
}

/// A machine's request to leave, and where to.
pub fn leave(machine: u8, domain: &str, preview: bool) -> (String, String) {
    let url = format!("{ORIGIN}{DOMAINS}/{domain}/deregister");
    let request = DeregisterRequest {
        machine_guid: fixture::guid(machine),
        iat_ms: NOW_MS,
        preview,
    };
    let body = request.sign(&url, &fixture::ec_key(machine));
    (url, body.expect("it can be signed"))
}

/// A machine's request.
pub fn post<'a>(url: &str, body: &'a [u8]) -> Request<&'a [u8]> {
    Request::post(url)
        .header(header::CONTENT_TYPE, "application/jose+json")
        .body(body)
        .expect("the URL is one")
}

/// An operator's request, by its path below `/admin/v1`.
pub fn admin<'a>(method: &str, path: &str, body: &'a [u8]) -> Request<&'a [u8]> {
    Request::builder()
        .method(method)
        .uri(format!("{ORIGIN}/admin/v1{path}"))
        .header(header::AUTHORIZATION, format!("Bearer {ADMIN_TOKEN}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .expect("the path is one")
}

/// The rows that requests meet: `living-room`, of which machine 1 is a member, 2 has left and 3 is
/// blocked; `guarded`, which wants a token; `full`, of which no other machine can become a member.
pub fn base() -> &'static Rows {
    static BASE: OnceLock<Rows> = OnceLock::new();
    BASE.get_or_init(|| {
        let server = Server::on(Rows::new());
        let done = |request: Request<&[u8]>| {
            let response = server.send(request);
            let body = String::from_utf8_lossy(response.body());
            assert!(response.status().is_success(), "{body}");
        };
        for (machine, domain) in [(1, "living-room"), (2, "living-room"), (1, "full")] {
            let (url, body) = join(machine, domain);
            done(post(&url, body.as_bytes()));
        }
        let (url, body) = leave(2, "living-room", false);
        done(post(&url, body.as_bytes()));
        let blocked = format!("/domains/living-room/blocked/{}", fixture::guid(3));
        done(admin("PUT", &blocked, b""));
        done(admin("PUT", "/domains/full", br#"{"maxMembership":1}"#));
        let guarded = br#"{"authenticationRequired":true,"authNamespace":"tv"}"#;
        done(admin("PUT", "/domains/guarded", guarded));
        server.rows()
    })
}
