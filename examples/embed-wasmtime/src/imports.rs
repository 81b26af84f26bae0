//! What the component imports: WASI, its settings, and its tables.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bindings::wasi::{
    config::store as config,
    keyvalue::{
        atomics::{self, CasError},
        store::{self, Error, KeyResponse},
    },
};
use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    RequestOptions, WasiBody, WasiHttp, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
    p3::bindings::http::types,
};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "anonymous-domains:server/imports",
        imports: { default: trappable },
        with: {
            "wasi:keyvalue/store.bucket": super::Bucket,
            "wasi:keyvalue/atomics.cas": super::Cas,
        },
    });
}

/// What all instances share.
pub struct Shared {
    settings: HashMap<String, String>,
    rows: Mutex<Rows>,
}

/// The tables. Each write has a number: a swap compares numbers, so it also fails if a row was
/// changed and changed back.
#[derive(Default)]
struct Rows {
    by_key: BTreeMap<String, (u64, Vec<u8>)>,
    writes: u64,
}

impl Rows {
    fn set(&mut self, key: String, value: Vec<u8>) {
        self.writes += 1;
        self.by_key.insert(key, (self.writes, value));
    }

    /// The number of the write that made the row; 0 if there is none.
    fn version(&self, key: &str) -> u64 {
        self.by_key.get(key).map_or(0, |(version, _)| *version)
    }

    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.by_key.get(key).map(|(_, value)| value.clone())
    }
}

impl Shared {
    pub fn new(settings: HashMap<String, String>) -> Self {
        let rows = Mutex::default();
        Self { settings, rows }
    }
}

/// The host's side of one instance.
pub struct Instance {
    shared: Arc<Shared>,
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    client: NoClient,
}

/// The only bucket.
pub struct Bucket;

/// A compare-and-swap that has begun: the row, and its version when it was read.
pub struct Cas {
    key: String,
    version: u64,
}

impl Instance {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            table: ResourceTable::new(),
            // The log.
            wasi: WasiCtx::builder().inherit_stderr().build(),
            http: WasiHttpCtx::new(),
            client: NoClient,
        }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        let rows = self.shared.rows.lock();
        rows.unwrap_or_else(PoisonError::into_inner)
    }
}

/// A result that the guest sees, inside one that ends the instance.
type Answer<T, E = Error> = wasmtime::Result<Result<T, E>>;

impl store::Host for Instance {
    fn open(&mut self, name: String) -> Answer<Resource<Bucket>> {
        if name != "default" {
            return Ok(Err(Error::NoSuchStore));
        }
        Ok(Ok(self.table.push(Bucket)?))
    }
}

impl store::HostBucket for Instance {
    fn get(&mut self, _: Resource<Bucket>, key: String) -> Answer<Option<Vec<u8>>> {
        Ok(Ok(self.rows().get(&key)))
    }

    fn set(&mut self, _: Resource<Bucket>, key: String, value: Vec<u8>) -> Answer<()> {
        self.rows().set(key, value);
        Ok(Ok(()))
    }

    fn delete(&mut self, _: Resource<Bucket>, key: String) -> Answer<()> {
        self.rows().by_key.remove(&key);
        Ok(Ok(()))
    }

    fn exists(&mut self, _: Resource<Bucket>, key: String) -> Answer<bool> {
        Ok(Ok(self.rows().by_key.contains_key(&key)))
    }

    fn list_keys(&mut self, _: Resource<Bucket>, _: Option<String>) -> Answer<KeyResponse> {
        let keys = self.rows().by_key.keys().cloned().collect();
        let cursor = None;
        Ok(Ok(KeyResponse { keys, cursor }))
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for Instance {
    fn increment(&mut self, _: Resource<Bucket>, key: String, delta: i64) -> Answer<i64> {
        let mut rows = self.rows();
        let text = rows.get(&key).unwrap_or(b"0".to_vec());
        let number = str::from_utf8(&text)
            .ok()
            .and_then(|text| text.parse::<i64>().ok());
        let Some(sum) = number.and_then(|number| number.checked_add(delta)) else {
            return Ok(Err(Error::Other("not a number".to_owned())));
        };
        rows.set(key, sum.to_string().into_bytes());
        Ok(Ok(sum))
    }

    fn swap(&mut self, cas: Resource<Cas>, value: Vec<u8>) -> Answer<(), CasError> {
        // A swap takes its handle. After a failure the guest gets a new one, with the current
        // version.
        let Cas { key, version } = self.table.delete(cas)?;
        let mut rows = self.rows();
        let current = rows.version(&key);
        if current == version {
            rows.set(key, value);
            return Ok(Ok(()));
        }
        drop(rows);
        let version = current;
        let retry = self.table.push(Cas { key, version })?;
        Ok(Err(CasError::CasFailed(retry)))
    }
}

impl atomics::HostCas for Instance {
    fn new(&mut self, _: Resource<Bucket>, key: String) -> Answer<Resource<Cas>> {
        let version = self.rows().version(&key);
        Ok(Ok(self.table.push(Cas { key, version })?))
    }

    fn current(&mut self, cas: Resource<Cas>) -> Answer<Option<Vec<u8>>> {
        let shared = Arc::clone(&self.shared);
        let rows = shared.rows.lock().unwrap_or_else(PoisonError::into_inner);
        // The swap compares with what was read last.
        let Cas { key, version } = self.table.get_mut(&cas)?;
        *version = rows.version(key);
        Ok(Ok(rows.get(key)))
    }

    fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.table.delete(cas)?;
        Ok(())
    }
}

impl config::Host for Instance {
    fn get(&mut self, name: String) -> Answer<Option<String>, config::Error> {
        Ok(Ok(self.shared.settings.get(&name).cloned()))
    }

    fn get_all(&mut self) -> Answer<Vec<(String, String)>, config::Error> {
        Ok(Ok(self.shared.settings.clone().into_iter().collect()))
    }
}

impl WasiView for Instance {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Instance {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.client,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// Sends no requests: the component does not import the client.
struct NoClient;

type Sending = Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>;

impl WasiHttpHooks for NoClient {
    fn send_request(
        &mut self,
        _: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Sending,
    ) -> Box<
        dyn Future<Output = Result<(http::Response<WasiBody>, Sending), wasmtime_wasi_http::Error>>
            + Send,
    > {
        Box::new(async { Err(wasmtime_wasi_http::Error::HttpRequestDenied) })
    }
}

/// Links everything.
pub fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi::p3::add_to_linker(linker)?;
    types::add_to_linker::<_, WasiHttp>(linker, Instance::http)?;
    store::add_to_linker::<_, HasSelf<_>>(linker, |instance| instance)?;
    atomics::add_to_linker::<_, HasSelf<_>>(linker, |instance| instance)?;
    config::add_to_linker::<_, HasSelf<_>>(linker, |instance| instance)
}
