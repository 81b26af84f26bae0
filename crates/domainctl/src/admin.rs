//! The calls of `/admin/v1`.

use anonymous_domains_client::{Answer, Client, CommandError as _};
use anonymous_domains_protocol::{
    admin::{
        BlockedMachine, BlockedPage, Domain, DomainKeyDescription, DomainKeyList, DomainPage,
        DomainSettings, Member, MemberPage,
    },
    ids::{DomainName, MachineGuid},
    problem::ErrorName,
};
use http::{Method, Request, header};

use crate::{
    advice::Subject,
    error::AdminError,
    pages::{Pages, Paging, query},
    server_url::ServerUrl,
    settings::{SetOutcome, SettingsChange},
};

/// How often a change is repeated that takes longer than a request may: some minutes in all.
const MOST_REPETITIONS: usize = 60;

/// One server's operator's interface.
pub struct Admin {
    pub(crate) server: ServerUrl,
    client: Client,
}

/// A domain, and the tag of the state that it was in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// The domain.
    pub domain: Domain,
    /// Its `ETag`.
    pub etag: String,
}

/// The precondition of a PUT.
enum Precondition<'a> {
    /// The domain still has this tag.
    Unchanged(&'a str),
    /// The domain does not exist.
    Absent,
    /// None.
    None,
}

impl Admin {
    /// The interface of the server at `server`, as `client` with its token reaches it.
    pub fn new(server: ServerUrl, client: Client) -> Self {
        Self { server, client }
    }

    /// The domains, by name.
    pub fn domains(&self, paging: Paging) -> Pages<'_, Domain> {
        Pages::new(paging, |after, limit| {
            let path = format!("/domains{}", query(after, limit));
            let page: DomainPage = self.get(&Subject::Server, &path)?;
            Ok((page.domains, page.next))
        })
    }

    /// A domain.
    ///
    /// # Errors
    ///
    /// [`AdminError::Refused`] with `UNKNOWN_DOMAIN`, and the errors of every call: a wrong
    /// token, an unreachable server, an unusable answer.
    pub fn domain(&self, name: &DomainName) -> Result<Tagged, AdminError> {
        let subject = Subject::Domain(name.clone());
        let answer = self.call(&subject, Method::GET, &path(name, ""))?;
        let domain = read(&subject, &answer)?;
        let etag = answer.header(header::ETAG.as_str()).ok_or_else(|| {
            AdminError::UnusableAnswer(format!("The server's answer about {name} has no ETag."))
        })?;
        Ok(Tagged {
            domain,
            etag: etag.to_owned(),
        })
    }

    /// Changes some of a domain's settings, or creates the domain. Unless `force` is set, nothing
    /// is written if the domain has changed since it was read.
    ///
    /// # Errors
    ///
    /// [`AdminError::Refused`] with `PRECONDITION_FAILED` if someone else was faster, and the
    /// errors of every call.
    pub fn set(
        &self,
        name: &DomainName,
        change: &SettingsChange,
        force: bool,
    ) -> Result<SetOutcome, AdminError> {
        let found = self.find(name)?;
        let before = found
            .as_ref()
            .map(|found| DomainSettings::from(&found.domain));
        let settings = change.of(before.as_ref().unwrap_or(&DomainSettings::default()));
        if let Some(found) = &found
            && before.as_ref() == Some(&settings)
            && !force
        {
            return Ok(SetOutcome::Unchanged(found.domain.clone()));
        }
        let precondition = match &found {
            _ if force => Precondition::None,
            Some(found) => Precondition::Unchanged(&found.etag),
            None => Precondition::Absent,
        };
        let written = self.put(name, &settings, &precondition);
        match (&written, &settings.max_membership) {
            // The answer to an earlier attempt was lost: perhaps that attempt made the change.
            (
                Err(AdminError::Refused {
                    after_lost_answer: true,
                    problem,
                    ..
                }),
                maximum,
            ) if problem.error_name() == Some(ErrorName::PreconditionFailed) => {
                let now = self.find(name)?;
                let now = now.filter(|now| DomainSettings::from(&now.domain) == settings);
                let (Some(now), is_new) = (now, found.is_none()) else {
                    return written;
                };
                let now = match before.and_then(|before| before.max_membership) {
                    // The members may still be counted, which goes on with each attempt.
                    None if maximum.is_some() => self.put_until_done(name, &settings, now)?,
                    _ => now.domain,
                };
                Ok(match is_new {
                    true => SetOutcome::Created(now),
                    false => SetOutcome::Changed(now),
                })
            }
            _ => written,
        }
    }

    /// Repeats a change that was made, but was not answered, until it is.
    fn put_until_done(
        &self,
        name: &DomainName,
        settings: &DomainSettings,
        mut now: Tagged,
    ) -> Result<Domain, AdminError> {
        for _ in 0..MOST_REPETITIONS {
            let written = self.put(name, settings, &Precondition::Unchanged(&now.etag));
            match written {
                Ok(outcome) => return Ok(outcome.domain().clone()),
                Err(AdminError::Refused {
                    after_lost_answer: true,
                    problem,
                    ..
                }) if problem.error_name() == Some(ErrorName::PreconditionFailed) => {
                    now = self.domain(name)?;
                    if DomainSettings::from(&now.domain) != *settings {
                        return Ok(now.domain);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(AdminError::Unreachable(format!(
            "The members of {name} are still being counted for its maximum. Run this again with --force to go on."
        )))
    }

    /// Deletes a domain: its settings, its members and its keys.
    ///
    /// # Errors
    ///
    /// [`AdminError::Refused`] with `UNKNOWN_DOMAIN`, and the errors of every call.
    pub fn delete(&self, name: &DomainName) -> Result<(), AdminError> {
        self.take_away(
            &Subject::Domain(name.clone()),
            &path(name, ""),
            ErrorName::UnknownDomain,
        )
    }

    /// A domain's members.
    pub fn members(&self, name: &DomainName, paging: Paging) -> Pages<'_, Member> {
        let name = name.clone();
        Pages::new(paging, move |after, limit| {
            let path = path(&name, &format!("/members{}", query(after, limit)));
            let page: MemberPage = self.get(&Subject::Domain(name.clone()), &path)?;
            Ok((page.members, page.next))
        })
    }

    /// Removes a member; the domain gets a new key, and the machine may join again.
    ///
    /// # Errors
    ///
    /// [`AdminError::Refused`] with `NOT_FOUND` if it is not a member, and the errors of every
    /// call.
    pub fn remove(&self, name: &DomainName, machine: MachineGuid) -> Result<(), AdminError> {
        self.take_away(
            &Subject::Machine(name.clone(), machine),
            &path(name, &format!("/members/{machine}")),
            ErrorName::NotFound,
        )
    }

    /// Blocks a machine, and removes it if it is a member; it cannot join.
    ///
    /// # Errors
    ///
    /// [`AdminError::Refused`] with `UNKNOWN_DOMAIN`, and the errors of every call.
    pub fn block(&self, name: &DomainName, machine: MachineGuid) -> Result<(), AdminError> {
        let path = path(name, &format!("/blocked/{machine}"));
        self.call(&Subject::Domain(name.clone()), Method::PUT, &path)
            .map(drop)
    }

    /// Lets a machine join again.
    ///
    /// # Errors
    ///
    /// [`AdminError::Refused`] with `UNKNOWN_DOMAIN`, and the errors of every call.
    pub fn unblock(&self, name: &DomainName, machine: MachineGuid) -> Result<(), AdminError> {
        let path = path(name, &format!("/blocked/{machine}"));
        self.call(&Subject::Domain(name.clone()), Method::DELETE, &path)
            .map(drop)
    }

    /// The machines that may not join a domain.
    pub fn blocked(&self, name: &DomainName, paging: Paging) -> Pages<'_, BlockedMachine> {
        let name = name.clone();
        Pages::new(paging, move |after, limit| {
            let path = path(&name, &format!("/blocked{}", query(after, limit)));
            let page: BlockedPage = self.get(&Subject::Domain(name.clone()), &path)?;
            Ok((page.blocked, page.next))
        })
    }

    /// The versions of a domain's key, ascending, without the private keys.
    ///
    /// # Errors
    ///
    /// [`AdminError::Refused`] with `UNKNOWN_DOMAIN`, and the errors of every call.
    pub fn keys(&self, name: &DomainName) -> Result<Vec<DomainKeyDescription>, AdminError> {
        let list: DomainKeyList = self.get(&Subject::Domain(name.clone()), &path(name, "/keys"))?;
        Ok(list.keys)
    }

    /// Has a new key made at the next registration.
    ///
    /// # Errors
    ///
    /// [`AdminError::Refused`] with `UNKNOWN_DOMAIN`, and the errors of every call.
    pub fn roll_over(&self, name: &DomainName) -> Result<(), AdminError> {
        let path = path(name, "/rollover");
        self.call(&Subject::Domain(name.clone()), Method::POST, &path)
            .map(drop)
    }

    /// Looks whether a domain is there, whatever its size.
    ///
    /// # Errors
    ///
    /// [`AdminError::Refused`] with `UNKNOWN_DOMAIN`, and the errors of every call.
    pub(crate) fn has(&self, name: &DomainName) -> Result<(), AdminError> {
        let subject = Subject::Domain(name.clone());
        let path = path(name, &format!("/members{}", query(None, 1)));
        self.call(&subject, Method::GET, &path).map(drop)
    }

    /// Its URL.
    pub fn server(&self) -> &ServerUrl {
        &self.server
    }

    fn find(&self, name: &DomainName) -> Result<Option<Tagged>, AdminError> {
        match self.domain(name) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_refusal(ErrorName::UnknownDomain) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn put(
        &self,
        name: &DomainName,
        settings: &DomainSettings,
        precondition: &Precondition<'_>,
    ) -> Result<SetOutcome, AdminError> {
        let subject = Subject::Domain(name.clone());
        let body = serde_json::to_string(settings).expect("settings are JSON");
        let answer = self.request(&subject, || {
            let mut request = Request::put(self.url(&path(name, ""))?)
                .header(header::CONTENT_TYPE, "application/json");
            match precondition {
                Precondition::Unchanged(etag) => {
                    request = request.header(header::IF_MATCH, *etag);
                }
                Precondition::Absent => request = request.header(header::IF_NONE_MATCH, "*"),
                Precondition::None => {}
            }
            request.body(Some(body.clone()))
        })?;
        let domain = read(&subject, &answer)?;
        Ok(if answer.status() == 201 {
            SetOutcome::Created(domain)
        } else {
            SetOutcome::Changed(domain)
        })
    }

    /// Deletes something. `gone` is the server's error if it does not exist; after a lost answer,
    /// that means that an earlier attempt deleted it.
    fn take_away(&self, subject: &Subject, path: &str, gone: ErrorName) -> Result<(), AdminError> {
        match self.call(subject, Method::DELETE, path) {
            Err(AdminError::Refused {
                after_lost_answer: true,
                problem,
                ..
            }) if problem.error_name() == Some(gone) => Ok(()),
            other => other.map(drop),
        }
    }

    pub(crate) fn get<T: serde::de::DeserializeOwned>(
        &self,
        subject: &Subject,
        path: &str,
    ) -> Result<T, AdminError> {
        read(subject, &self.call(subject, Method::GET, path)?)
    }

    pub(crate) fn call(
        &self,
        subject: &Subject,
        method: Method,
        path: &str,
    ) -> Result<Answer, AdminError> {
        self.request(subject, || {
            Request::builder()
                .method(method.clone())
                .uri(self.url(path)?)
                .body(None)
        })
    }

    pub(crate) fn request(
        &self,
        subject: &Subject,
        request: impl Fn() -> Result<Request<Option<String>>, http::Error>,
    ) -> Result<Answer, AdminError> {
        self.client
            .send(request)
            .map_err(|error| AdminError::Usage(format!("The request cannot be made: {error}.")))?
            .map_err(|failure| AdminError::about(subject, failure))
    }

    pub(crate) fn url(&self, path: &str) -> Result<http::Uri, http::Error> {
        Ok(self.server.join(&format!("/admin/v1{path}"))?)
    }
}

pub(crate) fn read<T: serde::de::DeserializeOwned>(
    subject: &Subject,
    answer: &Answer,
) -> Result<T, AdminError> {
    answer
        .json()
        .map_err(|failure| AdminError::about(subject, failure))
}

/// The path of a domain. Names and GUIDs need no escaping.
pub(crate) fn path(name: &DomainName, tail: &str) -> String {
    format!("/domains/{name}{tail}")
}
