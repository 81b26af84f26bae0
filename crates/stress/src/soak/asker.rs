//! Asks for one thing after another, each with the answers that it may get.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anonymous_domains_protocol::{
    ids::DomainName,
    problem::{ErrorName, Problem},
    request::{self, DeregisterRequest, RegisterRequest},
};
use http::{HeaderValue, Method, StatusCode};
use serde_json::Value;

use super::tally::Tally;
use crate::{
    clock::Clock,
    http::{Body, HttpClient, Reply},
    machine::Machine,
};

/// How often a request that met an outage is sent again, and how long is waited before.
const TRIES: usize = 300;
const PAUSE: Duration = Duration::from_millis(100);

/// Sends requests to the servers of a soak.
#[derive(Clone)]
pub struct Asker {
    /// How it sends them.
    pub http: HttpClient,
    /// Where to.
    pub servers: Arc<[String]>,
    /// The operator's token, as a header.
    pub admin: HeaderValue,
    /// What counts them.
    pub tally: Arc<Tally>,
    /// The machines' clock.
    pub clock: Arc<Clock>,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Question {
    /// What a report calls it.
    pub kind: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path, and query.
    pub path: String,
    /// Whether it comes from the operator.
    pub is_admin: bool,
    /// Its body and media type.
    pub body: Option<Body>,
}

impl Question {
    /// Something that anyone may read.
    pub fn read(kind: &'static str, path: impl Into<String>) -> Self {
        Self {
            kind,
            method: Method::GET,
            path: path.into(),
            is_admin: false,
            body: None,
        }
    }

    /// A call of an operator about a domain.
    pub fn admin(kind: &'static str, method: Method, path: impl std::fmt::Display) -> Self {
        Self {
            method,
            is_admin: true,
            ..Self::read(kind, format!("/admin/v1/domains{path}"))
        }
    }

    /// The same with a body of JSON.
    pub fn json(self, body: &Value) -> Self {
        Self {
            body: Some(("application/json", body.to_string())),
            ..self
        }
    }
}

/// An answer: its status, the error's name where it has one, and the JSON in it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// The error of a problem document.
    pub error: Option<ErrorName>,
    /// Its body; null if that is no JSON.
    pub json: Value,
    /// Whether an earlier try met an outage, so that the request may have been done before.
    pub is_repeated: bool,
}

/// What a request may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// This status, and no error.
    Status(u16),
    /// This error, with its own status.
    Error(ErrorName),
}

impl Answer {
    /// Whether it is that.
    pub fn is(&self, expected: Expected) -> bool {
        match expected {
            Expected::Status(status) => self.status.as_u16() == status && self.error.is_none(),
            Expected::Error(error) => {
                self.error == Some(error) && self.status.as_u16() == error.status()
            }
        }
    }

    fn name(&self) -> String {
        self.error
            .map_or_else(|| self.status.as_u16().to_string(), |e| e.to_string())
    }
}

impl Asker {
    /// Asks until there is an answer, which must be one of those expected. A server that is down is
    /// asked again later. `None`, and noted, where no answer comes.
    ///
    /// # Errors
    ///
    /// When the request cannot be built.
    pub async fn ask(
        &self,
        server: usize,
        question: &Question,
        expected: &[Expected],
    ) -> anyhow::Result<Option<Answer>> {
        let url = format!("{}{}", self.servers[server], question.path);
        let send = || {
            let admin = question.is_admin.then_some(&self.admin);
            let method = question.method.clone();
            self.http.send(method, &url, admin, question.body.clone())
        };
        let what = format!("{} {}", question.method, question.path);
        let mut is_repeated = false;
        for _ in 0..TRIES {
            let start = Instant::now();
            let reply = send().await?;
            let end = Instant::now();
            let (status, body) = match reply {
                Reply::Answer { status, body } => (status, body),
                lost => {
                    self.tally.record_unanswered(question.kind, "not answered");
                    if !self.tally.is_down(server, start, end) || matches!(lost, Reply::TimedOut) {
                        self.tally
                            .wrong(format!("{what} at server {server}: {lost:?}"));
                        return Ok(None);
                    }
                    is_repeated = true;
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let problem = serde_json::from_slice::<Problem>(&body).ok();
            let answer = Answer {
                status,
                error: problem.and_then(|problem| problem.error_name()),
                json: serde_json::from_slice(&body).unwrap_or_default(),
                is_repeated,
            };
            self.tally
                .record(question.kind, answer.name(), end.duration_since(start));
            if answer.is(Expected::Error(ErrorName::StoreUnavailable))
                && self.tally.is_any_down(start, end)
            {
                is_repeated = true;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            if !expected.iter().any(|expected| answer.is(*expected)) {
                let text = String::from_utf8_lossy(&body);
                self.tally.wrong(format!(
                    "{what} at server {server} was answered with {status} {text}, and {expected:?} \
                     was expected{}",
                    if is_repeated { " (repeated)" } else { "" }
                ));
            }
            return Ok(Some(answer));
        }
        self.tally
            .wrong(format!("{what} at server {server}: no answer after all"));
        Ok(None)
    }

    /// A machine's request to join, or to ask again.
    ///
    /// # Errors
    ///
    /// When it cannot be signed.
    pub fn register(
        &self,
        server: usize,
        domain: &DomainName,
        machine: &Machine,
    ) -> anyhow::Result<Question> {
        let path = format!("/flashaccess/domainserver/{domain}/register");
        let message = RegisterRequest {
            machine_guid: machine.guid,
            iat_ms: self.clock.unix_ms(),
            current_domain: None,
            known_key_version: None,
        }
        .sign(&format!("{}{path}", self.servers[server]), &machine.key)?;
        Ok(post("join", path, message))
    }

    /// A machine's request to leave, or whether it may.
    ///
    /// # Errors
    ///
    /// When it cannot be signed.
    pub fn deregister(
        &self,
        server: usize,
        domain: &DomainName,
        machine: &Machine,
        preview: bool,
    ) -> anyhow::Result<Question> {
        let path = format!("/flashaccess/domainserver/{domain}/deregister");
        let message = DeregisterRequest {
            machine_guid: machine.guid,
            iat_ms: self.clock.unix_ms(),
            preview,
        }
        .sign(&format!("{}{path}", self.servers[server]), &machine.key)?;
        Ok(post("leave, preview", path, message))
    }

    /// Deletes a domain, after which neither server knows it.
    ///
    /// # Errors
    ///
    /// When a request cannot be built.
    pub async fn delete(&self, server: usize, domain: &DomainName) -> anyhow::Result<()> {
        let delete = Question::admin("admin: delete", Method::DELETE, format_args!("/{domain}"));
        let unknown = Expected::Error(ErrorName::UnknownDomain);
        let gone = [Expected::Status(204), unknown];
        if let Some(answer) = self.ask(server, &delete, &gone).await?
            && answer.is(unknown)
            && !answer.is_repeated
        {
            self.tally
                .wrong(format!("{domain} was not there to delete"));
        }
        for server in 0..self.servers.len() {
            let path = format!("/flashaccess/domainserver/{domain}");
            let describe = Question::read("refused", path);
            self.ask(server, &describe, &[unknown]).await?;
        }
        Ok(())
    }
}

fn post(kind: &'static str, path: String, message: String) -> Question {
    Question {
        method: Method::POST,
        body: Some((request::MEDIA_TYPE, message)),
        ..Question::read(kind, path)
    }
}
