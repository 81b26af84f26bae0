//! A domain server in a thread: the protocol's happy path and a few refusals over one domain, and
//! the faults that a test asks for.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    time::{SystemTime, UNIX_EPOCH},
};

use anonymous_domains_protocol::{
    base64url,
    ids::MachineGuid,
    jwe,
    jwk::{KeyType, PrivateKey},
    problem::{ErrorName, Problem},
    request::{DeregisterRequest, RegisterRequest, SignedRequest},
    time::rfc3339,
};
use serde_json::{Value, json};
use x509_cert::{Certificate, der::Decode as _};

use crate::ca::{Ca, Flaw};

/// What goes wrong with one request.
#[derive(Clone)]
pub enum Mishap {
    /// The connection closes before the server acts on the request.
    LostRequest,
    /// The server acts on the request, and the answer is lost.
    LostAnswer,
    /// The server answers this, and does nothing else.
    Answer(u16, &'static str, String),
    /// Nothing goes wrong.
    None,
}

impl Mishap {
    pub fn problem(error: ErrorName) -> Self {
        let body = serde_json::to_string(&Problem::new(error, "said the test")).unwrap();
        Self::Answer(error.status(), "Retry-After: 0", body)
    }
}

pub struct State {
    pub ca: Ca,
    /// Members, and when they joined, in seconds.
    pub members: BTreeMap<MachineGuid, i64>,
    /// Each version's private key and `x5c`.
    pub keys: Vec<(PrivateKey, Vec<String>)>,
    pub rollover: bool,
    /// How far the server's clock is ahead of the device's, in seconds.
    pub clock_ahead: i64,
    /// The flaw of the next new certificate.
    pub flaw: Option<Flaw>,
    /// Changes an answer to a registration and its plaintext keys before they are sent.
    pub tamper: Option<fn(&mut Value, &mut Value)>,
    pub mishaps: VecDeque<Mishap>,
    /// The last part of each request's path, and its payload.
    pub requests: Vec<(String, Value)>,
    /// The last request's Authorization.
    pub authorization: Option<String>,
}

pub struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            ca: Ca::new(),
            members: BTreeMap::new(),
            keys: Vec::new(),
            rollover: true,
            clock_ahead: 0,
            flaw: None,
            tamper: None,
            mishaps: VecDeque::new(),
            requests: Vec::new(),
            authorization: None,
        }));
        let shared = Arc::clone(&state);
        // The thread ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(&stream, &mut shared.lock().unwrap());
            }
        });
        Self { address, state }
    }

    pub fn url(&self, domain: &str) -> String {
        format!("http://{}/flashaccess/domainserver/{domain}/", self.address)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn next(&self, mishaps: impl IntoIterator<Item = Mishap>) {
        self.state().mishaps.extend(mishaps);
    }

    /// Takes the requests so far, in order: the last part of each path, and the payload.
    pub fn requests(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.state().requests)
    }
}

fn serve(mut stream: &TcpStream, state: &mut State) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or_default() == 0 {
        return;
    }
    let path = line.split(' ').nth(1).unwrap().to_owned();
    let mut host = String::new();
    let mut length = 0;
    state.authorization = None;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "host" => host = value.to_owned(),
            "content-length" => length = value.parse().unwrap(),
            "authorization" => state.authorization = Some(value.to_owned()),
            "content-type" => assert_eq!(value, "application/jose+json"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();

    let request = SignedRequest::parse(&body).unwrap();
    assert_eq!(request.url(), format!("http://{host}{path}"));
    let request = request.verify().unwrap();
    let (domain_url, verb) = request.url().rsplit_once('/').unwrap();
    let payload = request.payload_json().unwrap();
    state.requests.push((verb.to_owned(), payload));

    let mishap = state.mishaps.pop_front().unwrap_or(Mishap::None);
    let (status, header, answer) = match &mishap {
        Mishap::LostRequest => return,
        Mishap::Answer(status, header, body) => (*status, *header, body.clone()),
        Mishap::LostAnswer | Mishap::None => {
            let answer = match verb {
                "register" => state.register(&request, domain_url),
                "deregister" => state.deregister(&request),
                _ => panic!("{verb}"),
            };
            match answer {
                Ok(answer) => (200, "Cache-Control: no-store", answer.to_string()),
                Err(error) => {
                    let problem = Problem::new(error, "");
                    (
                        error.status(),
                        "Content-Type: application/problem+json",
                        serde_json::to_string(&problem).unwrap(),
                    )
                }
            }
        }
    };
    if !matches!(mishap, Mishap::LostAnswer) {
        let length = answer.len();
        let _ = write!(
            stream,
            "HTTP/1.1 {status} X\r\n{header}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}"
        );
    }
}

impl State {
    fn now(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.as_secs() as i64 + self.clock_ahead
    }

    fn register(&mut self, request: &SignedRequest, url: &str) -> Result<Value, ErrorName> {
        let wanted = RegisterRequest::from_payload(request.payload()).unwrap();
        let domain = url.rsplit_once('/').unwrap().1;
        if wanted
            .current_domain
            .is_some_and(|current| current != domain)
        {
            return Err(ErrorName::DomRegDenied);
        }
        let now = self.now();
        let new_member = !self.members.contains_key(&wanted.machine_guid);
        let registered_at = *self.members.entry(wanted.machine_guid).or_insert(now);
        if std::mem::take(&mut self.rollover) {
            let key = PrivateKey::generate(KeyType::EcP256);
            let version = self.keys.len() as u64 + 1;
            let x5c = self.ca.credential(
                &format!("{url}/"),
                domain,
                version,
                &key.public_key(),
                self.flaw,
            );
            self.keys.push((key, x5c));
        }
        let mut credentials = Vec::new();
        let mut jwks = Vec::new();
        let known = wanted.known_key_version.unwrap_or(0) as usize;
        for (at, (key, x5c)) in self.keys.iter().enumerate().skip(known) {
            let kid = format!("{domain}/{}", at + 1);
            let [not_before, not_after] = dates(&x5c[0]);
            credentials.push(json!({
                "keyVersion": at + 1, "kid": kid, "x5c": x5c,
                "notBefore": not_before, "notAfter": not_after,
            }));
            let mut jwk: Value = serde_json::from_str(&key.to_jwk()).unwrap();
            jwk["kid"] = kid.into();
            jwks.push(jwk);
        }
        let mut keys = json!({ "keys": jwks });
        let mut answer = json!({
            "domain": domain,
            "machineGuid": wanted.machine_guid,
            "newMember": new_member,
            "registeredAt": rfc3339(registered_at),
            "keyVersion": self.keys.len(),
            "credentials": credentials,
            "encryptedKeys": null,
        });
        if let Some(tamper) = self.tamper {
            tamper(&mut answer, &mut keys);
        }
        if !credentials.is_empty() {
            let plaintext = keys.to_string().into_bytes();
            let encrypted = jwe::encrypt(plaintext.into(), request.machine_key(), "jwk-set+json");
            answer["encryptedKeys"] = encrypted.unwrap().into();
        }
        Ok(answer)
    }

    fn deregister(&mut self, request: &SignedRequest) -> Result<Value, ErrorName> {
        let wanted = DeregisterRequest::from_payload(request.payload()).unwrap();
        let Some(registered_at) = self.members.get(&wanted.machine_guid) else {
            return Err(ErrorName::DeregDenied);
        };
        if wanted.iat_ms < (registered_at - 1) * 1000 {
            return Err(ErrorName::RequestReplayed);
        }
        if !wanted.preview {
            self.members.remove(&wanted.machine_guid);
            self.rollover = true;
        }
        Ok(json!({
            "domain": "living-room",
            "machineGuid": wanted.machine_guid,
            "preview": wanted.preview,
            "deregistered": !wanted.preview,
        }))
    }
}

/// From when to when a certificate is valid, as an answer says it.
fn dates(certificate: &str) -> [String; 2] {
    let der = base64url::decode_standard(certificate).unwrap();
    let certificate = Certificate::from_der(&der).unwrap();
    let validity = certificate.tbs_certificate().validity();
    [validity.not_before, validity.not_after]
        .map(|time| rfc3339(time.to_unix_duration().as_secs().cast_signed()))
}
