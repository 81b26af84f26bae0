//! HTTP at the rim: paths, methods, media types and sizes on the way in, documents on the way out.

pub mod admin;
mod admin_request;
pub mod console;
mod cross_origin;
mod device;
mod openapi;
mod precondition;
pub mod problem;
pub mod request_id;
pub mod route;
mod transfer;

use std::cell::Cell;

use anonymous_domains_protocol::{ids::DomainName, problem::ErrorName};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use serde::Serialize;

use self::{cross_origin::CrossOrigin, request_id::RequestId, route::Route};
use crate::{
    administration::Administration,
    credential::cache::CredentialCache,
    domain::description,
    environment::Environment,
    error::Error,
    health,
    journal::{Actor, Event, Journal, Kind},
    rotation::Rotation,
    settings::Settings,
    store::Store,
    tables::Tables,
};

const JSON: &str = "application/json";
const PEM: &str = "application/pem-certificate-chain";

/// Where the CA that is to replace the domain CA is announced (RFC 8288).
const NEXT_CA_LINK: &str = "<ca-next.pem>; rel=\"next\"";

/// The server as HTTP sees it: the tables, and the settings if they can be used.
#[derive(Debug)]
pub struct App<S, E> {
    /// The three tables.
    pub tables: Tables<S, E>,
    /// What is remembered of domains' keys.
    pub credential_cache: CredentialCache,
    /// The settings, or what is wrong with them.
    pub settings: Result<Settings, Vec<String>>,
    /// When the domain CA last made a test signature, in milliseconds since 1970.
    signed_at_ms: Cell<Option<i64>>,
}

/// The body of a request, read when it is known how large it may be.
#[expect(
    async_fn_in_trait,
    reason = "a component has one thread, so no future needs to be Send"
)]
pub trait Body {
    /// The whole body.
    ///
    /// # Errors
    /// `PAYLOAD_TOO_LARGE` over `limit` bytes, `INVALID_REQUEST` when it breaks off.
    async fn read(self, limit: usize) -> Result<Vec<u8>, Error>;
}

/// That a body has more than `limit` bytes.
pub fn body_too_long(limit: usize) -> Error {
    Error::refused(
        ErrorName::PayloadTooLarge,
        format!("the body may have {limit} bytes"),
    )
}

/// That a body ended before its end.
pub fn body_broke_off() -> Error {
    Error::refused(
        ErrorName::InvalidRequest,
        "the body could not be read to its end",
    )
}

impl<S: Store, E: Environment> App<S, E> {
    /// A server that remembers nothing yet.
    pub fn new(tables: Tables<S, E>, settings: Result<Settings, Vec<String>>) -> Self {
        Self {
            tables,
            credential_cache: CredentialCache::default(),
            settings,
            signed_at_ms: Cell::default(),
        }
    }

    /// Answers a request. The URI is absolute where the host knows its own name.
    pub async fn answer(&self, head: &Parts, body: impl Body) -> Response<Vec<u8>> {
        let request_id = RequestId::of(&head.headers, &self.tables.env);
        let origins = self.settings.as_ref().map(|it| &it.cors_origins);
        let cross_origin = origins.ok().and_then(|it| CrossOrigin::of(head, it));
        let preflight = cross_origin.and_then(|it| it.preflight(head));
        let answered = match preflight {
            Some(response) => Ok(response),
            None => self.serve(head, body, &request_id).await,
        };
        let mut response = match answered {
            Ok(response) => response,
            Err(error) => {
                if error.refusal().is_none() {
                    let id = request_id.as_str();
                    let line = format!("error: {error} (request {id})");
                    self.tables.env.log(&line);
                }
                problem::response(&error, head, &request_id)
            }
        };
        let headers = response.headers_mut();
        headers.insert(request_id::HEADER, request_id.header());
        if let Some(cross_origin) = cross_origin {
            cross_origin.say(headers);
        }
        if head.method == Method::HEAD {
            // Without a Content-Length: hosts hold it against the body, which is not sent.
            response.body_mut().clear();
        } else if ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&response.status()) {
            let length = HeaderValue::from(response.body().len());
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, length);
        }
        response
    }

    async fn serve(
        &self,
        head: &Parts,
        body: impl Body,
        request_id: &RequestId,
    ) -> Result<Response<Vec<u8>>, Error> {
        let journal = |actor| Journal::new(&self.tables.env, request_id.as_str(), actor);
        let route = Route::of(head.uri.path()).ok_or_else(nothing_here)?;
        let actor = match route {
            Route::Admin(_) => self.authenticate_operator(head, journal)?,
            // Without operators there is none.
            Route::Console(_) | Route::ConsoleWithoutSlash if !self.has_operators() => {
                return Err(nothing_here());
            }
            _ => Actor::Machine,
        };
        let journal = journal(actor);
        if route == Route::Admin(None) {
            return Err(nothing_here());
        }
        if !route
            .allow()
            .split(", ")
            .any(|allowed| allowed == head.method)
        {
            return Err(Error::refused(
                ErrorName::MethodNotAllowed,
                format!("this path takes {}", route.allow()),
            ));
        }
        match route {
            Route::Health => self.health().await,
            Route::OpenApi => response(StatusCode::OK, JSON, openapi::DOCUMENT.to_vec(), false),
            Route::Console(file) => console::answer(file, head),
            Route::ConsoleWithoutSlash => Ok(console::redirect()),
            Route::CaCertificate => self.ca_certificate(),
            Route::NextCaCertificate => self.next_ca_certificate(),
            Route::Domain(domain) => {
                let name = domain_name(domain)?;
                json(&description::describe(&self.tables, &name).await?, true)
            }
            Route::Admin(route) => {
                let administration = Administration {
                    tables: &self.tables,
                    journal,
                };
                let rotation = Rotation {
                    tables: &self.tables,
                    issuer: &self.settings()?.ca,
                };
                let route = route.ok_or_else(nothing_here)?;
                admin::answer(&administration, &rotation, route, head, body).await
            }
            Route::Register(domain) => device::register(self, head, domain, body, journal).await,
            Route::Deregister(domain) => {
                device::deregister(self, head, domain, body, journal).await
            }
        }
    }

    fn settings(&self) -> Result<&Settings, Error> {
        self.settings.as_ref().map_err(|wrong| {
            Error::fault(format!("the settings cannot be used: {}", wrong.join("; ")))
        })
    }

    fn has_operators(&self) -> bool {
        let settings = self.settings.as_ref();
        settings.is_ok_and(|settings| !settings.admin_tokens.is_empty())
    }

    /// Whose token an operator's request has.
    ///
    /// # Errors
    /// Those of [`admin::authenticate`].
    fn authenticate_operator<'a>(
        &'a self,
        head: &Parts,
        journal: impl Fn(Actor) -> Journal<'a, E>,
    ) -> Result<Actor, Error> {
        let settings = self.settings.as_ref().map_err(|_| nothing_here())?;
        admin::authenticate(&settings.admin_tokens, head).map_err(|(error, actor)| {
            if error.name() != ErrorName::NotFound {
                journal(actor).record(&Event {
                    outcome: Some(error.name().as_str()),
                    ..Event::new(Kind::AdminRefused)
                });
            }
            error
        })
    }

    fn ca_certificate(&self) -> Result<Response<Vec<u8>>, Error> {
        let settings = self.settings()?;
        let pem = settings.ca.authority.to_pem();
        let mut response = response(StatusCode::OK, PEM, pem.into_bytes(), false)?;
        if settings.ca_next.is_some() {
            let link = HeaderValue::from_static(NEXT_CA_LINK);
            response.headers_mut().insert(header::LINK, link);
        }
        Ok(response)
    }

    fn next_ca_certificate(&self) -> Result<Response<Vec<u8>>, Error> {
        let next = self.settings()?.ca_next.as_ref().ok_or_else(|| {
            Error::refused(ErrorName::NotFound, "no other domain CA is announced")
        })?;
        response(StatusCode::OK, PEM, next.clone().into_bytes(), false)
    }

    async fn health(&self) -> Result<Response<Vec<u8>>, Error> {
        let settings = self.settings.as_ref().map_err(Vec::as_slice);
        let (health, is_well) = health::check(&self.tables, settings, &self.signed_at_ms).await;
        let mut response = json(&health, true)?;
        if !is_well {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        Ok(response)
    }
}

fn nothing_here() -> Error {
    Error::refused(ErrorName::NotFound, "there is nothing at this path")
}

fn domain_name(segment: &str) -> Result<DomainName, Error> {
    DomainName::from_path_segment(segment)
        .map_err(|error| Error::refused(ErrorName::InvalidDomainName, error.to_string()))
}

/// Whether the one `Content-Type` is `expected`, whatever its parameters (RFC 9110 section 8.3.1).
fn has_media_type(headers: &HeaderMap, expected: &str) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(one), None) = (types.next(), types.next()) else {
        return false;
    };
    one.to_str().is_ok_and(|text| {
        let essence = text.split_once(';').map_or(text, |(essence, _)| essence);
        essence.trim().eq_ignore_ascii_case(expected)
    })
}

fn json(document: &impl Serialize, no_store: bool) -> Result<Response<Vec<u8>>, Error> {
    json_within(256, document, no_store)
}

/// [`json()`] of a document that has about `capacity` bytes. Where it has no more, it is not moved.
fn json_within(
    capacity: usize,
    document: &impl Serialize,
    no_store: bool,
) -> Result<Response<Vec<u8>>, Error> {
    let mut body = Vec::with_capacity(capacity);
    serde_json::to_writer(&mut body, document)
        .map_err(|error| Error::fault(format!("an answer cannot be written: {error}")))?;
    response(StatusCode::OK, JSON, body, no_store)
}

fn response(
    status: StatusCode,
    media_type: &'static str,
    body: Vec<u8>,
    no_store: bool,
) -> Result<Response<Vec<u8>>, Error> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if no_store {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(response)
}
