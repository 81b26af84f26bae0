//! Who calls the server: machines and operators.

use anonymous_domains_protocol::{
    ids::MachineGuid,
    jwe,
    jwk::{KeyType, PrivateKey},
    request::{DeregisterRequest, RegisterRequest},
};
use http::{Request, Response};
use serde_json::Value;

use crate::support::{ADMIN_TOKEN, TestApp, app, ca_params, json, self_signed, send, settings};

pub const URL: &str = "http://127.0.0.1:3000/flashaccess/domainserver/living-room";

pub struct Machine {
    pub guid: MachineGuid,
    pub key: PrivateKey,
}

impl Machine {
    pub fn new() -> Self {
        Self {
            guid: MachineGuid::random(),
            key: PrivateKey::generate(KeyType::EcP256),
        }
    }

    pub fn joining(&self, iat_ms: i64) -> RegisterRequest {
        RegisterRequest {
            machine_guid: self.guid,
            iat_ms,
            current_domain: None,
            known_key_version: None,
        }
    }

    pub fn join_at(&self, app: &TestApp, iat_ms: i64) -> Response<Vec<u8>> {
        let url = format!("{URL}/register");
        post(
            app,
            &url,
            self.joining(iat_ms).sign(&url, &self.key).unwrap(),
        )
    }

    pub fn join(&self, app: &TestApp) -> Value {
        let response = self.join_at(app, app.tables.env.now_ms.get());
        assert_eq!(response.status(), 200, "{:?}", json(&response));
        json(&response)
    }

    pub fn leave_at(&self, app: &TestApp, iat_ms: i64, preview: bool) -> Response<Vec<u8>> {
        let url = format!("{URL}/deregister");
        let request = DeregisterRequest {
            machine_guid: self.guid,
            iat_ms,
            preview,
        };
        post(app, &url, request.sign(&url, &self.key).unwrap())
    }
}

pub fn post(app: &TestApp, url: &str, body: String) -> Response<Vec<u8>> {
    let request = Request::post(url)
        .header("content-type", "application/jose+json")
        .body(body);
    send(app, request.unwrap())
}

pub fn get(app: &TestApp, url: &str) -> Response<Vec<u8>> {
    send(app, Request::get(url).body(String::new()).unwrap())
}

pub fn admin(app: &TestApp, method: &str, path: &str, body: Option<Value>) -> Response<Vec<u8>> {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://127.0.0.1:3000/admin/v1{path}"))
        .header("authorization", format!("Bearer {ADMIN_TOKEN}"))
        .header("content-type", "application/json")
        .body(body.map(|body| body.to_string()).unwrap_or_default());
    send(app, request.unwrap())
}

#[track_caller]
pub fn assert_refused(response: &Response<Vec<u8>>, error: &str) {
    assert_eq!(json(response)["error"], error);
}

pub fn working_app() -> TestApp {
    app(settings(&self_signed(ca_params("Domain CA")), &[]))
}

pub fn versions(joined: &Value) -> Vec<u64> {
    let credentials = joined["credentials"].as_array().unwrap();
    credentials
        .iter()
        .map(|credential| credential["keyVersion"].as_u64().unwrap())
        .collect()
}

/// The key set of a registration's answer.
pub fn private_keys(joined: &Value, machine: &Machine) -> Value {
    let encrypted = joined["encryptedKeys"].as_str().unwrap();
    let opened = jwe::decrypt(encrypted, &machine.key).unwrap();
    serde_json::from_slice(&opened).unwrap()
}

/// Two instances of the server, with stores of their own until one is handed over.
pub fn two_instances() -> (TestApp, TestApp) {
    let ca = self_signed(ca_params("Domain CA"));
    (app(settings(&ca, &[])), app(settings(&ca, &[])))
}

/// Gives what is in the store of one instance to another.
pub fn hand_over(from: &TestApp, to: &TestApp) {
    to.tables.store.rows.replace(from.tables.store.rows.take());
}
