//! What the tests are made with: certificates, a store in memory, a clock, requests.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use anonymous_domains::{
    environment::Environment,
    error::Error,
    http::{App, Body},
    settings::Settings,
    store::{Store, StoreError, Swapped, rows::Limits},
    tables::Tables,
};
use http::{Request, Response};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// When the tests are, in milliseconds since 1970: 2026-11-22T19:41:28Z.
pub const NOW_MS: i64 = 1_795_376_488_000;

pub const KEY_ENCRYPTION_KEY: &str =
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

pub const ADMIN_TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A CA's certificate and key.
pub struct Ca {
    pub params: CertificateParams,
    pub key: KeyPair,
    pub pem: String,
}

pub fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2046, 1, 1);
    params
}

pub fn self_signed(params: CertificateParams) -> Ca {
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Ca { params, key, pem }
}

pub fn signed_by(params: CertificateParams, ca: &Ca) -> Ca {
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::from_params(&ca.params, &ca.key);
    let pem = params.signed_by(&key, &issuer).unwrap().pem();
    Ca { params, key, pem }
}

/// Settings that do, with some of them replaced.
pub fn settings(ca: &Ca, replaced: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let key = ca.key.serialize_pem();
    Settings::read(|name| {
        if let Some((_, text)) = replaced.iter().find(|(replaced, _)| *replaced == name) {
            return Some((*text).to_owned());
        }
        match name {
            "ca_certificate" => Some(ca.pem.clone()),
            "ca_private_key" => Some(key.clone()),
            "key_encryption_key" => Some(KEY_ENCRYPTION_KEY.to_owned()),
            "domain_key_type" => Some("EC-P256".to_owned()),
            "admin_token" => Some(ADMIN_TOKEN.to_owned()),
            _ => None,
        }
    })
}

/// A store as the contract has it, which counts the calls.
#[derive(Debug, Default)]
pub struct MemoryStore {
    pub rows: RefCell<Rows>,
    pub reads: Cell<usize>,
    pub writes: Cell<usize>,
    pub is_down: Cell<bool>,
    /// Whether writes fail.
    pub is_read_only: Cell<bool>,
    /// After how many writes they fail.
    pub writes_left: Cell<Option<usize>>,
    /// After so many reads, what others have made of the store.
    pub others: RefCell<Option<(usize, Rows)>>,
}

/// What a store holds.
pub type Rows = BTreeMap<String, Vec<u8>>;

impl MemoryStore {
    fn writable(&self) -> Result<(), StoreError> {
        self.up()?;
        if self.is_read_only.get() || self.writes_left.get() == Some(0) {
            return Err(StoreError("the store cannot be written".into()));
        }
        self.writes_left
            .set(self.writes_left.get().map(|left| left - 1));
        Ok(())
    }

    fn up(&self) -> Result<(), StoreError> {
        if self.is_down.get() {
            return Err(StoreError("the store is down".into()));
        }
        Ok(())
    }
}

impl Store for MemoryStore {
    type Cas = (String, Option<Vec<u8>>);

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.up()?;
        self.reads.set(self.reads.get() + 1);
        match self.others.take() {
            Some((0, rows)) => drop(self.rows.replace(rows)),
            Some((more, rows)) => drop(self.others.replace(Some((more - 1, rows)))),
            None => {}
        }
        Ok(self.rows.borrow().get(key).cloned())
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.writable()?;
        self.writes.set(self.writes.get() + 1);
        self.rows.borrow_mut().insert(key.into(), value.into());
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.writable()?;
        self.rows.borrow_mut().remove(key);
        Ok(())
    }

    async fn increment(&self, _: &str, _: i64) -> Result<i64, StoreError> {
        Err(StoreError("this store lets one creator win".into()))
    }

    async fn begin(&self, key: &str) -> Result<(Self::Cas, Option<Vec<u8>>), StoreError> {
        let current = self.get(key).await?;
        Ok(((key.to_owned(), current.clone()), current))
    }

    async fn swap(&self, (key, expected): Self::Cas, value: &[u8]) -> Swapped<Self::Cas> {
        if let Err(error) = self.writable() {
            return Swapped::Unknown(error);
        }
        let mut rows = self.rows.borrow_mut();
        let current = rows.get(&key).cloned();
        if current != expected {
            return Swapped::Failed((key, current.clone()), current);
        }
        self.writes.set(self.writes.get() + 1);
        rows.insert(key, value.into());
        Swapped::Won
    }
}

/// A clock that the test sets.
#[derive(Debug)]
pub struct TestEnvironment {
    pub now_ms: Cell<i64>,
    pub log: RefCell<Vec<String>>,
}

impl Default for TestEnvironment {
    fn default() -> Self {
        Self {
            now_ms: Cell::new(NOW_MS),
            log: RefCell::default(),
        }
    }
}

impl Environment for TestEnvironment {
    fn now_ms(&self) -> i64 {
        self.now_ms.get()
    }

    async fn sleep_ms(&self, ms: u64) {
        self.now_ms.set(self.now_ms.get() + ms.cast_signed());
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).unwrap();
    }

    fn log(&self, line: &str) {
        self.log.borrow_mut().push(line.to_owned());
    }
}

pub type TestApp = App<MemoryStore, TestEnvironment>;

pub fn app(settings: Result<Settings, Vec<String>>) -> TestApp {
    let keys = settings.as_ref().map(Settings::key_digests);
    let tables = Tables::new(
        MemoryStore::default(),
        TestEnvironment::default(),
        keys.unwrap_or_default(),
        Limits::default(),
    );
    App::new(tables, settings)
}

/// A body that is there as a whole.
pub struct Bytes(pub Vec<u8>);

impl Body for Bytes {
    async fn read(self, limit: usize) -> Result<Vec<u8>, Error> {
        assert!(self.0.len() <= limit, "no test here sends too much");
        Ok(self.0)
    }
}

/// Sends a request to the app.
pub fn send(app: &TestApp, request: Request<String>) -> Response<Vec<u8>> {
    let (head, body) = request.into_parts();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(app.answer(&head, Bytes(body.into_bytes())))
}

/// The JSON of an answer.
pub fn json(response: &Response<Vec<u8>>) -> serde_json::Value {
    serde_json::from_slice(response.body()).unwrap()
}
