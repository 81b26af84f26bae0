//! Requests as they go over the wire.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use anonymous_domains_protocol::{
    ids::MachineGuid,
    jwk::{KeyType, PrivateKey},
    request::{DeregisterRequest, MEDIA_TYPE, RegisterRequest},
};

/// A machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its GUID.
    pub guid: MachineGuid,
    /// Its key.
    pub key: PrivateKey,
}

impl Machine {
    /// A machine with a random GUID and a new key.
    pub fn new(key: KeyType) -> Self {
        Self {
            guid: MachineGuid::random(),
            key: PrivateKey::generate(key),
        }
    }

    /// One with the same key and another GUID.
    #[must_use]
    pub fn with_guid(&self, guid: MachineGuid) -> Self {
        Self {
            guid,
            key: self.key.clone(),
        }
    }
}

/// Writes the requests of one client to one server.
#[derive(Clone, Debug)]
pub struct Requests {
    /// The server.
    pub server: SocketAddr,
    /// The client's address, as a proxy would tell it.
    pub client: String,
}

impl Requests {
    /// A `GET`.
    pub fn get(&self, path: &str) -> Vec<u8> {
        self.head("GET", path, &[]).into_bytes()
    }

    /// A request's head with more fields, which are not checked.
    pub fn head(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> String {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nX-Forwarded-For: {}\r\n",
            self.server, self.client
        );
        for (name, value) in fields {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head + "\r\n"
    }

    /// A device's request with this body.
    pub fn post(&self, path: &str, body: &str) -> Vec<u8> {
        let length = body.len().to_string();
        let fields = [("Content-Type", MEDIA_TYPE), ("Content-Length", &length)];
        (self.head("POST", path, &fields) + body).into_bytes()
    }

    /// A registration.
    ///
    /// # Panics
    ///
    /// If it cannot be signed.
    pub fn join(&self, domain: &str, machine: &Machine) -> Vec<u8> {
        let path = register(domain);
        let request = RegisterRequest {
            machine_guid: machine.guid,
            iat_ms: now_ms(),
            current_domain: None,
            known_key_version: None,
        };
        let body = request.sign(&self.url(&path), &machine.key);
        self.post(&path, &body.expect("the key is whole"))
    }

    /// A de-registration.
    ///
    /// # Panics
    ///
    /// If it cannot be signed.
    pub fn leave(&self, domain: &str, machine: &Machine) -> Vec<u8> {
        let path = format!("/flashaccess/domainserver/{domain}/deregister");
        let request = DeregisterRequest {
            machine_guid: machine.guid,
            iat_ms: now_ms(),
            preview: false,
        };
        let body = request.sign(&self.url(&path), &machine.key);
        self.post(&path, &body.expect("the key is whole"))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server)
    }
}

/// The path of a domain's registrations.
pub fn register(domain: &str) -> String {
    format!("/flashaccess/domainserver/{domain}/register")
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_millis() as i64
}
