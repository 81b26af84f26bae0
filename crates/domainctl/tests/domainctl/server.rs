//! `/admin/v1` in a thread, with domains in memory, and the faults that a test asks for.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
};

use anonymous_domains_protocol::{
    admin::{Domain, DomainSettings},
    ids::MachineGuid,
    problem::{ErrorName, Problem},
};
use serde_json::{Value, json};

pub const TOKEN: &str = "the-operators-own-token-of-this-test";
const NOON: &str = "2026-11-22T12:00:00Z";

/// What goes wrong with one request.
pub enum Mishap {
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

/// A domain on the server.
#[derive(Default)]
pub struct Held {
    pub settings: DomainSettings,
    pub revision: u64,
    pub rollover: bool,
    pub members: BTreeSet<MachineGuid>,
    pub blocked: BTreeSet<MachineGuid>,
    pub reissues: u64,
    pub x5c: Vec<Vec<String>>,
}

#[derive(Default)]
pub struct State {
    pub domains: BTreeMap<String, Held>,
    pub mishaps: VecDeque<Mishap>,
    /// What a reseal is answered, one page after the other.
    pub reseals: VecDeque<Value>,
    /// What anyone may fetch, by the last segment of its path.
    pub published: BTreeMap<&'static str, String>,
    /// Runs right after the next request, as if it came from another operator.
    pub meanwhile: Option<fn(&mut State)>,
    /// Each request: method and target, its headers by lower-case name, its body.
    pub requests: Vec<(String, BTreeMap<String, String>, String)>,
}

pub struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// A status, an `ETag` and a body; or an error.
type Answer = Result<(u16, Option<String>, Option<Value>), ErrorName>;

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(&stream.unwrap(), &mut shared.lock().unwrap());
            }
        });
        Self { address, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn next(&self, mishaps: impl IntoIterator<Item = Mishap>) {
        self.state().mishaps.extend(mishaps);
    }

    /// Takes the requests so far, in order: method and target.
    pub fn requests(&self) -> Vec<String> {
        let requests = std::mem::take(&mut self.state().requests);
        requests.into_iter().map(|(line, ..)| line).collect()
    }

    /// Creates a domain with this many members, and returns their GUIDs.
    pub fn domain(&self, name: &str, members: usize) -> Vec<MachineGuid> {
        let members: BTreeSet<_> = (0..members).map(|_| MachineGuid::random()).collect();
        let held = Held {
            members: members.clone(),
            ..Held::default()
        };
        self.state().domains.insert(name.to_owned(), held);
        members.into_iter().collect()
    }
}

fn serve(mut stream: &TcpStream, state: &mut State) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or_default() == 0 {
        return;
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());

    let mishap = state.mishaps.pop_front().unwrap_or(Mishap::None);
    let published = target.strip_prefix("/flashaccess/domainserver/");
    let published = published.map(|name| state.published.get(name).cloned());
    let not_found = || Mishap::problem(ErrorName::NotFound);
    let mishap = match published {
        Some(text) => text.map_or_else(not_found, |text| Mishap::Answer(200, "X-No: tag", text)),
        None => mishap,
    };
    let (status, header, answer) = match &mishap {
        Mishap::Answer(status, header, body) => (*status, (*header).to_owned(), body.clone()),
        Mishap::LostAnswer | Mishap::None => match state.answer(method, target, &headers, &body) {
            Ok((status, etag, answer)) => (
                status,
                etag.map_or_else(|| "X-No: tag".to_owned(), |etag| format!("ETag: {etag}")),
                answer.map_or_else(String::new, |answer| answer.to_string()),
            ),
            Err(error) => (
                error.status(),
                "Content-Type: application/problem+json".to_owned(),
                serde_json::to_string(&Problem::new(error, "")).unwrap(),
            ),
        },
    };
    state
        .requests
        .push((format!("{method} {target}"), headers, body));
    if let Some(meanwhile) = state.meanwhile.take() {
        meanwhile(state);
    }
    if matches!(mishap, Mishap::LostAnswer) {
        return;
    }
    let length = match status {
        204 => String::new(),
        _ => format!("Content-Length: {}\r\n", answer.len()),
    };
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\n{header}\r\n{length}Connection: close\r\n\r\n{answer}"
    );
    // Closed with something unread, such as the end of an empty body in chunks, the connection would be
    // reset, and the answer could be lost.
    let _ = stream.shutdown(Shutdown::Write);
    let _ = io::copy(&mut reader, &mut io::sink());
}

impl State {
    fn answer(
        &mut self,
        method: &str,
        target: &str,
        headers: &BTreeMap<String, String>,
        body: &str,
    ) -> Answer {
        if headers.get("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return Err(ErrorName::AdminAuthenticationRequired);
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if (method, path) == ("POST", "/admin/v1/reseal") {
            let page = self.reseals.pop_front().expect("a page is left");
            return Ok((200, None, Some(page)));
        }
        let path = path
            .strip_prefix("/admin/v1/domains")
            .ok_or(ErrorName::NotFound)?;
        let path: Vec<_> = path.split('/').skip(1).collect();
        let Some((name, rest)) = path.split_first() else {
            let all = self.domains.iter().map(|(name, held)| {
                let mut domain = held.describe(name);
                domain.member_count = None;
                (name.clone(), json!(domain))
            });
            return Ok((200, None, Some(page("domains", all, query))));
        };
        if method == "PUT" && rest.is_empty() {
            assert_eq!(headers["content-type"], "application/json");
            return self.put(name, headers, serde_json::from_str(body).unwrap());
        }
        if method == "DELETE" && rest.is_empty() {
            let held = self.domains.remove(*name);
            return held
                .map(|_| (204, None, None))
                .ok_or(ErrorName::UnknownDomain);
        }
        let held = self
            .domains
            .get_mut(*name)
            .ok_or(ErrorName::UnknownDomain)?;
        match (method, rest) {
            ("GET", []) => Ok((200, Some(held.etag()), Some(json!(held.describe(name))))),
            ("GET", ["members"]) => {
                let all = held.members.iter().map(|machine| {
                    let member = json!({
                        "machineGuid": machine, "registeredAt": NOON, "keyThumbprint": "abc",
                    });
                    (machine.to_string(), member)
                });
                Ok((200, None, Some(page("members", all, query))))
            }
            ("GET", ["blocked"]) => {
                let all = held.blocked.iter().map(|machine| {
                    let blocked = json!({ "machineGuid": machine, "blockedAt": NOON });
                    (machine.to_string(), blocked)
                });
                Ok((200, None, Some(page("blocked", all, query))))
            }
            ("GET", ["keys"]) => {
                let keys = held.x5c.iter().enumerate().map(|(at, x5c)| {
                    let version = at + 1;
                    json!({
                        "keyVersion": version, "kid": format!("{name}/{version}"),
                        "createdAt": NOON, "x5c": x5c,
                    })
                });
                let keys = json!({ "keys": keys.collect::<Vec<_>>() });
                Ok((200, None, Some(keys)))
            }
            ("POST", ["reissue"]) => {
                held.reissues += 1;
                Ok((200, None, Some(json!({ "reissued": 2 }))))
            }
            ("POST", ["rollover"]) => {
                held.rollover = true;
                Ok((202, None, None))
            }
            ("DELETE", ["members", machine]) => {
                if !held.members.remove(&guid(machine)) {
                    return Err(ErrorName::NotFound);
                }
                held.rollover = true;
                Ok((204, None, None))
            }
            ("PUT", ["blocked", machine]) => {
                held.rollover |= held.members.remove(&guid(machine));
                held.blocked.insert(guid(machine));
                Ok((204, None, None))
            }
            ("DELETE", ["blocked", machine]) => {
                held.blocked.remove(&guid(machine));
                Ok((204, None, None))
            }
            _ => Err(ErrorName::MethodNotAllowed),
        }
    }

    fn put(
        &mut self,
        name: &str,
        headers: &BTreeMap<String, String>,
        settings: DomainSettings,
    ) -> Answer {
        let held = self.domains.get_mut(name);
        let current = held.as_ref().map(|held| held.etag());
        let matches = headers
            .get("if-match")
            .is_none_or(|tag| Some(tag) == current.as_ref());
        let none_matches = headers
            .get("if-none-match")
            .is_none_or(|any| any == "*" && current.is_none());
        if !matches || !none_matches {
            return Err(ErrorName::PreconditionFailed);
        }
        let created = held.is_none();
        let held = self.domains.entry(name.to_owned()).or_default();
        held.settings = settings;
        held.revision += 1;
        let status = if created { 201 } else { 200 };
        Ok((status, Some(held.etag()), Some(json!(held.describe(name)))))
    }
}

impl Held {
    fn etag(&self) -> String {
        format!("\"{}\"", self.revision)
    }

    fn describe(&self, name: &str) -> Domain {
        Domain {
            domain: name.to_owned(),
            authentication_required: self.settings.authentication_required,
            auth_namespace: self.settings.auth_namespace.clone(),
            max_membership: self.settings.max_membership,
            key_rollover_required: self.rollover,
            member_count: Some(self.members.len() as u64),
            key_version: match self.x5c.len() {
                0 => None,
                versions => Some(versions as u64),
            },
            created_at: NOON.to_owned(),
        }
    }
}

fn guid(text: &str) -> MachineGuid {
    MachineGuid::parse(text).unwrap()
}

/// A page of `all`, each entry with its sort key.
fn page(name: &str, all: impl Iterator<Item = (String, Value)>, query: &str) -> Value {
    let query: BTreeMap<_, _> = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap())
        .collect();
    let limit: usize = query["limit"].parse().unwrap();
    let mut rest = all.skip_while(|(key, _)| {
        query
            .get("after")
            .is_some_and(|after| key <= &(*after).to_owned())
    });
    let entries: Vec<_> = rest.by_ref().take(limit).collect();
    let next = match rest.next() {
        Some(_) => entries.last().map(|(key, _)| key.clone()),
        None => None,
    };
    let entries: Vec<_> = entries.into_iter().map(|(_, entry)| entry).collect();
    json!({ name: entries, "next": next })
}
