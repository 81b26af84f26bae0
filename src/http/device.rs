//! A device's requests: read, answered, and recorded with their outcome.

use anonymous_domains_protocol::{
    ids::{DomainName, MachineGuid},
    problem::ErrorName,
    request,
    response::{DeregisterResponse, RegisterResponse},
};
use http::{Response, request::Parts};
use serde_json::value::RawValue;

use super::{App, Body, domain_name, has_media_type, json, json_within};
use crate::{
    authentication::Credentials,
    context::RequestContext,
    credential::{authority::DomainCa, delivery},
    deregistration,
    device_request::Received,
    environment::Environment,
    error::Error,
    journal::{Event, Journal, Kind},
    registration,
    store::Store,
};

/// More than an answer to a registration has beside its credentials and keys, in bytes.
const NAMES: usize = 512;

/// What is known so far of a request.
#[derive(Default)]
struct Known {
    domain: Option<DomainName>,
    machine: Option<MachineGuid>,
}

impl Known {
    /// Records how the request ended.
    fn record<E: Environment>(
        &self,
        journal: Journal<'_, E>,
        kind: Kind,
        outcome: Result<&'static str, &Error>,
        key_version: Option<u64>,
    ) {
        journal.record(&Event {
            outcome: Some(outcome.unwrap_or_else(|error| error.name().as_str())),
            domain: self.domain.as_ref(),
            machine_guid: self.machine,
            key_version,
            ..Event::new(kind)
        });
    }
}

/// Answers a request to join.
pub(super) async fn register<S: Store, E: Environment>(
    app: &App<S, E>,
    head: &Parts,
    domain: &str,
    body: impl Body,
    journal: Journal<'_, E>,
) -> Result<Response<Vec<u8>>, Error> {
    let mut known = Known::default();
    let result = join(app, head, domain, body, journal, &mut known).await;
    let (outcome, version) = match &result {
        Ok(answer) if answer.new_member => (Ok("joined"), Some(answer.key_version)),
        Ok(answer) => (Ok("member"), Some(answer.key_version)),
        Err(error) => (Err(error), None),
    };
    known.record(journal, Kind::Registration, outcome, version);
    let answer = result?;
    let keys_len = answer
        .encrypted_keys
        .as_ref()
        .map_or(0, |it| it.get().len());
    json_within(answer.credentials.size() + keys_len + NAMES, &answer, true)
}

/// Answers a request to leave, or its preview.
pub(super) async fn deregister<S: Store, E: Environment>(
    app: &App<S, E>,
    head: &Parts,
    domain: &str,
    body: impl Body,
    journal: Journal<'_, E>,
) -> Result<Response<Vec<u8>>, Error> {
    let mut known = Known::default();
    let result = leave(app, head, domain, body, journal, &mut known).await;
    let outcome = match &result {
        Ok(answer) if answer.preview => Ok("preview"),
        Ok(_) => Ok("left"),
        Err(error) => Err(error),
    };
    known.record(journal, Kind::Deregistration, outcome, None);
    json(&result?, true)
}

async fn join<S: Store, E: Environment>(
    app: &App<S, E>,
    head: &Parts,
    domain: &str,
    body: impl Body,
    journal: Journal<'_, E>,
    known: &mut Known,
) -> Result<RegisterResponse<delivery::Credentials, Box<RawValue>>, Error> {
    let received = received(app, head, domain, known)?;
    let request = received.open_registration(&read(head, body).await?)?;
    known.machine = Some(request.machine.guid);
    registration::register(&context(app, head, journal)?, &request).await
}

async fn leave<S: Store, E: Environment>(
    app: &App<S, E>,
    head: &Parts,
    domain: &str,
    body: impl Body,
    journal: Journal<'_, E>,
    known: &mut Known,
) -> Result<DeregisterResponse, Error> {
    let received = received(app, head, domain, known)?;
    let request = received.open_deregistration(&read(head, body).await?)?;
    known.machine = Some(request.machine.guid);
    deregistration::deregister(&context(app, head, journal)?, &request).await
}

fn received<'a, S: Store, E: Environment>(
    app: &'a App<S, E>,
    head: &'a Parts,
    domain: &str,
    known: &mut Known,
) -> Result<Received<'a>, Error> {
    let domain = domain_name(domain)?;
    known.domain = Some(domain.clone());
    Ok(Received {
        domain,
        url: &head.uri,
        now_ms: app.tables.env.now_ms(),
        policy: &app.settings()?.policy,
    })
}

fn context<'a, S: Store, E: Environment>(
    app: &'a App<S, E>,
    head: &'a Parts,
    journal: Journal<'a, E>,
) -> Result<RequestContext<'a, S, E, DomainCa>, Error> {
    let settings = app.settings()?;
    Ok(RequestContext {
        tables: &app.tables,
        credential_cache: &app.credential_cache,
        issuer: &settings.ca,
        policy: &settings.policy,
        credentials: Credentials::of(&head.headers),
        journal,
    })
}

/// Reads the body of a device's request, if it can be one.
async fn read(head: &Parts, body: impl Body) -> Result<Vec<u8>, Error> {
    if !has_media_type(&head.headers, request::MEDIA_TYPE) {
        return Err(Error::refused(
            ErrorName::UnsupportedMediaType,
            format!("the Content-Type must be {}", request::MEDIA_TYPE),
        ));
    }
    body.read(request::MAX_BYTES).await
}
