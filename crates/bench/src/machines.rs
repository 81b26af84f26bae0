//! Devices with their requests signed beforehand, so that the load costs the machine little.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anonymous_domains_protocol::ids::MachineGuid;
use anonymous_domains_protocol::jwk::{KeyType, PrivateKey};
use anonymous_domains_protocol::request::RegisterRequest;
use bytes::Bytes;

/// One device.
pub struct Machine {
    guid: MachineGuid,
    key: Arc<PrivateKey>,
}

/// `count` devices with keys of a kind. RSA keys are slow to make and cost the server the same
/// whoever has them, so these devices share one; their GUIDs differ.
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
    /// A registration as it goes to `url`.
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
}
