//! Devices whose requests are signed in advance, so that the load itself takes little CPU time.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anonymous_domains_protocol::{
    ids::MachineGuid,
    jwk::{KeyType, PrivateKey},
    request::{self, DeregisterRequest, RegisterRequest},
};
use bytes::Bytes;

use crate::load::{Post, Requests};

/// One device.
pub struct Machine {
    guid: MachineGuid,
    key: Arc<PrivateKey>,
}

/// `count` devices with keys of one type. RSA keys are slow to generate, and the server's cost does not
/// depend on who has them, so these devices share one key. Their GUIDs differ.
pub fn machines(count: usize, kind: KeyType) -> Vec<Machine> {
    let key = Arc::new(PrivateKey::generate(kind));
    (0..count)
        .map(|_| Machine {
            guid: MachineGuid::random(),
            key: Arc::clone(&key),
        })
        .collect()
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_millis() as i64
}

impl Machine {
    /// A registration for `url`.
    pub fn registration(&self, url: &str, known_key_version: Option<u64>) -> Bytes {
        RegisterRequest {
            machine_guid: self.guid,
            iat_ms: now_ms(),
            current_domain: None,
            known_key_version,
        }
        .sign(url, &self.key)
        .expect("a generated key can sign")
        .into()
    }

    /// A de-registration for `url`.
    pub fn deregistration(&self, url: &str) -> Bytes {
        DeregisterRequest {
            machine_guid: self.guid,
            iat_ms: now_ms(),
            preview: false,
        }
        .sign(url, &self.key)
        .expect("a generated key can sign")
        .into()
    }
}

/// A registration of each machine in the domain of a URL, which has no slash at its end.
pub fn registrations(machines: &[Machine], domain_url: &str, known: Option<u64>) -> Requests {
    let url = format!("{domain_url}/register");
    let post = |machine: &Machine| Post::new(&url, machine.registration(&url, known));
    Requests::posts(request::MEDIA_TYPE, machines.iter().map(post).collect())
}

/// A de-registration of each machine from the domain of a URL.
pub fn deregistrations(machines: &[Machine], domain_url: &str) -> Requests {
    let url = format!("{domain_url}/deregister");
    let post = |machine: &Machine| Post::new(&url, machine.deregistration(&url));
    Requests::posts(request::MEDIA_TYPE, machines.iter().map(post).collect())
}
