//! Sends requests to a server and records the outcomes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anonymous_domains_client::Token;
use anonymous_domains_protocol::{
    admin::{Domain, DomainKeyList, DomainSettings, MemberPage},
    ids::{DomainName, MachineGuid},
    request::{self, DeregisterRequest, RegisterRequest},
    response::{DeregisterResponse, DomainDescription, RegisterResponse},
};
use anyhow::{Context as _, bail};
use http::{HeaderValue, Method, StatusCode};

use crate::{
    clock::{Clock, after},
    credential_verifier::{CredentialVerifier, certified_key},
    history::{History, KeySeen, Operation, Outcome, Request},
    http::{Body, HttpClient, Reply},
    machine::Machine,
    outcome::{granted, read},
};

/// An `iat` that is far from any server's clock: 2001-09-09T01:46:40Z.
const LONG_AGO_MS: i64 = 1_000_000_000_000;

/// Sends requests to one or several servers that share their tables.
pub struct Caller {
    http: HttpClient,
    /// Their origins, such as `http://127.0.0.1:3000`.
    servers: Vec<String>,
    admin: Option<HeaderValue>,
    /// After this time a server has certainly finished a request whose answer was lost.
    timeout: Duration,
    verifier: CredentialVerifier,
    /// The clock of the run.
    pub clock: Clock,
    /// What was asked so far.
    pub history: History,
}

impl Caller {
    /// A caller. Asks the first server for the domain CA's certificates, which also shows that
    /// there is a domain server.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn new(
        http: HttpClient,
        servers: Vec<String>,
        token: Option<&Token>,
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        let url = format!("{}/flashaccess/domainserver/ca.pem", servers[0]);
        let body = match http.send(Method::GET, &url, None, None).await? {
            Reply::Answer {
                status: StatusCode::OK,
                body,
            } => body,
            Reply::Answer { status, .. } => bail!("{url} answers with HTTP {status}"),
            _ => bail!("{url} cannot be reached"),
        };
        let anchors = x509_cert::Certificate::load_pem_chain(&body)
            .and_then(|chain| chain.iter().map(x509_cert::der::Encode::to_der).collect())
            .with_context(|| format!("{url} does not give certificates"))?;
        Ok(Self {
            http,
            servers,
            admin: token.map(Token::header),
            timeout,
            verifier: CredentialVerifier::new(anchors),
            clock: Clock::default(),
            history: History::default(),
        })
    }

    /// How many servers there are.
    pub fn servers(&self) -> usize {
        self.servers.len()
    }

    /// Whether it can do what an operator does.
    pub fn is_operator(&self) -> bool {
        self.admin.is_some()
    }

    /// Sends a request about a domain, from `machine` or from an operator about `machine`. Records
    /// the operation and returns its outcome.
    ///
    /// # Errors
    ///
    /// When the request cannot be built.
    pub async fn ask(
        &self,
        server: usize,
        domain: &Arc<DomainName>,
        machine: Option<&Machine>,
        request: Request,
    ) -> anyhow::Result<Outcome> {
        let start = self.clock.now();
        let outcome = self.outcome(server, domain, machine, &request).await?;
        let end = self.clock.now();
        let outcome = match outcome {
            Outcome::Unknown { why, .. } => Outcome::Unknown {
                why,
                until: after(start, self.timeout).max(end),
            },
            outcome => outcome,
        };
        self.history.add(Operation {
            number: 0,
            domain: Arc::clone(domain),
            machine: machine.map(|machine| machine.guid),
            request,
            server,
            start,
            end,
            outcome: outcome.clone(),
        });
        Ok(outcome)
    }

    async fn outcome(
        &self,
        server: usize,
        domain: &DomainName,
        machine: Option<&Machine>,
        request: &Request,
    ) -> anyhow::Result<Outcome> {
        match (request, machine) {
            (
                Request::Register { .. } | Request::RegisterExpired | Request::RegisterElsewhere,
                Some(machine),
            ) => self.register(server, domain, machine, request).await,
            (Request::Leave | Request::Preview | Request::LeaveExpired, Some(machine)) => {
                self.deregister(server, domain, machine, request).await
            }
            (Request::Remove, Some(machine)) => {
                let path = format!("{domain}/members/{}", machine.guid);
                let reply = self.admin(server, Method::DELETE, &path, None).await?;
                Ok(granted(reply, StatusCode::NO_CONTENT, |_| {
                    Ok(Outcome::Done)
                }))
            }
            (Request::Members, _) => self.members(server, domain).await,
            (request, _) => self.look(server, domain, request).await,
        }
    }

    async fn register(
        &self,
        server: usize,
        domain: &DomainName,
        machine: &Machine,
        request: &Request,
    ) -> anyhow::Result<Outcome> {
        let url = self.device_url(server, domain, "register");
        let known = match request {
            Request::Register { known } => *known,
            _ => None,
        };
        let message = RegisterRequest {
            machine_guid: machine.guid,
            iat_ms: self.iat_ms(request),
            current_domain: (*request == Request::RegisterElsewhere)
                .then(|| "somewhere-else".to_owned()),
            known_key_version: known,
        }
        .sign(&url, &machine.key)?;
        let reply = self.post(&url, message).await?;
        Ok(granted(reply, StatusCode::OK, |body| {
            let answer: RegisterResponse = read(body)?;
            let keys = self.verifier.verify(&answer, domain, machine)?;
            Ok(Outcome::Registered {
                new_member: answer.new_member,
                newest: answer.key_version,
                keys,
            })
        }))
    }

    async fn deregister(
        &self,
        server: usize,
        domain: &DomainName,
        machine: &Machine,
        request: &Request,
    ) -> anyhow::Result<Outcome> {
        let url = self.device_url(server, domain, "deregister");
        let preview = *request == Request::Preview;
        let message = DeregisterRequest {
            machine_guid: machine.guid,
            iat_ms: self.iat_ms(request),
            preview,
        }
        .sign(&url, &machine.key)?;
        let reply = self.post(&url, message).await?;
        Ok(granted(reply, StatusCode::OK, |body| {
            let expected = DeregisterResponse {
                domain: domain.clone(),
                machine_guid: machine.guid,
                preview,
                deregistered: !preview,
            };
            if read::<DeregisterResponse>(body)? == expected {
                Ok(Outcome::Done)
            } else {
                Err("it answers another question".to_owned())
            }
        }))
    }

    /// All members. A list is read page by page, so it shows each member at its own moment, not all
    /// of them at one moment.
    async fn members(&self, server: usize, domain: &DomainName) -> anyhow::Result<Outcome> {
        let mut members = BTreeSet::new();
        let mut after: Option<MachineGuid> = None;
        loop {
            let after_parameter = after.map(|guid| format!("&after={guid}"));
            let path = format!(
                "{domain}/members?limit=1000{}",
                after_parameter.unwrap_or_default()
            );
            let reply = self.admin(server, Method::GET, &path, None).await?;
            let mut next = None;
            let outcome = granted(reply, StatusCode::OK, |body| {
                let page: MemberPage = read(body)?;
                for member in page.members {
                    if !members.insert(member.machine_guid) {
                        return Err("it lists a machine twice".to_owned());
                    }
                }
                next = page.next;
                Ok(Outcome::Done)
            });
            if outcome != Outcome::Done {
                return Ok(outcome);
            }
            match next.map(|next| MachineGuid::parse(&next)) {
                None => return Ok(Outcome::Members(Arc::new(members))),
                Some(Ok(next)) => after = Some(next),
                Some(Err(error)) => return Ok(Outcome::Wrong(error.to_string())),
            }
        }
    }

    async fn look(
        &self,
        server: usize,
        domain: &DomainName,
        request: &Request,
    ) -> anyhow::Result<Outcome> {
        let name = domain.as_str();
        match request {
            Request::Describe => {
                let url = format!("{}/flashaccess/domainserver/{name}", self.servers[server]);
                let reply = self.http.send(Method::GET, &url, None, None).await?;
                Ok(granted(reply, StatusCode::OK, |body| {
                    let answer: DomainDescription = read(body)?;
                    let key = match (answer.key_version, &answer.x5c) {
                        (None, None) => None,
                        (Some(version), Some(x5c)) => Some(KeySeen {
                            version,
                            key: certified_key(x5c)?,
                        }),
                        _ => return Err("it has one of keyVersion and x5c".to_owned()),
                    };
                    Ok(Outcome::Described(key))
                }))
            }
            Request::SetMaximum(maximum) => {
                let settings = DomainSettings {
                    max_membership: *maximum,
                    ..DomainSettings::default()
                };
                let body = serde_json::to_string(&settings)?;
                let body = Some(("application/json", body));
                let reply = self.admin(server, Method::PUT, name, body).await?;
                let reply = match reply {
                    Reply::Answer { status, body } if status == StatusCode::CREATED => {
                        Reply::Answer {
                            status: StatusCode::OK,
                            body,
                        }
                    }
                    reply => reply,
                };
                Ok(granted(reply, StatusCode::OK, |body| {
                    let set: Domain = read(body)?;
                    if set.max_membership == *maximum {
                        Ok(Outcome::Done)
                    } else {
                        Err("it shows another maximum".to_owned())
                    }
                }))
            }
            Request::Rollover => {
                let path = format!("{name}/rollover");
                let reply = self.admin(server, Method::POST, &path, None).await?;
                Ok(granted(reply, StatusCode::ACCEPTED, |_| Ok(Outcome::Done)))
            }
            Request::Show => {
                let reply = self.admin(server, Method::GET, name, None).await?;
                Ok(granted(reply, StatusCode::OK, |body| {
                    let shown: Domain = read(body)?;
                    Ok(Outcome::Shown {
                        members: shown
                            .member_count
                            .ok_or_else(|| "it has no memberCount".to_owned())?,
                        newest: shown.key_version,
                    })
                }))
            }
            Request::Keys => {
                let path = format!("{name}/keys");
                let reply = self.admin(server, Method::GET, &path, None).await?;
                Ok(granted(reply, StatusCode::OK, |body| {
                    let list: DomainKeyList = read(body)?;
                    let keys = list.keys.iter().map(|key| {
                        Ok(KeySeen {
                            version: key.key_version,
                            key: certified_key(&key.x5c)?,
                        })
                    });
                    Ok(Outcome::Keys(keys.collect::<Result<_, String>>()?))
                }))
            }
            request => bail!("{} needs a machine", request.name()),
        }
    }

    fn iat_ms(&self, request: &Request) -> i64 {
        match request {
            Request::RegisterExpired | Request::LeaveExpired => LONG_AGO_MS,
            _ => self.clock.unix_ms(),
        }
    }

    fn device_url(&self, server: usize, domain: &DomainName, what: &str) -> String {
        format!(
            "{}/flashaccess/domainserver/{domain}/{what}",
            self.servers[server]
        )
    }

    async fn post(&self, url: &str, message: String) -> anyhow::Result<Reply> {
        let body = Some((request::MEDIA_TYPE, message));
        self.http.send(Method::POST, url, None, body).await
    }

    async fn admin(
        &self,
        server: usize,
        method: Method,
        path: &str,
        body: Option<Body>,
    ) -> anyhow::Result<Reply> {
        let url = format!("{}/admin/v1/domains/{path}", self.servers[server]);
        self.http
            .send(method, &url, self.admin.as_ref(), body)
            .await
    }
}
