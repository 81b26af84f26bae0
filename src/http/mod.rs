//! HTTP at the rim: paths, methods, media types and sizes on the way in, documents on the way out.

pub mod admin;
mod openapi;
mod precondition;
pub mod problem;
pub mod route;

use anonymous_domains_protocol::{
    ids::DomainName,
    problem::ErrorName,
    request,
    response::{DomainDescription, Health},
    time::rfc3339,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use serde::Serialize;

use self::route::Route;
use crate::{
    administration::Administration,
    authentication::Credentials,
    credential::{authority::DomainCa, delivery, known_keys::KnownKeys},
    deregistration,
    envelope::Received,
    error::Error,
    ports::Environment,
    registration,
    server::Server,
    settings::Settings,
    store::{Store, health, rows::Rows},
    tables::{directory, domain_keys, domain_server_info},
};

const JSON: &str = "application/json";
const PEM: &str = "application/pem-certificate-chain";

/// The server as HTTP sees it: the tables, and the settings if they can be used.
#[derive(Debug)]
pub struct App<S, E> {
    /// The three tables.
    pub rows: Rows<S, E>,
    /// What is remembered of domains' keys.
    pub known_keys: KnownKeys,
    /// The settings, or what is wrong with them.
    pub settings: Result<Settings, Vec<String>>,
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

impl<S: Store, E: Environment> App<S, E> {
    /// A server that remembers nothing yet.
    pub fn new(rows: Rows<S, E>, settings: Result<Settings, Vec<String>>) -> Self {
        Self {
            rows,
            known_keys: KnownKeys::default(),
            settings,
        }
    }

    /// Answers a request. The URI is absolute where the host knows its own name.
    pub async fn answer(&self, head: &Parts, body: impl Body) -> Response<Vec<u8>> {
        let mut response = match self.serve(head, body).await {
            Ok(response) => response,
            Err(error) => {
                if error.refusal().is_none() {
                    self.rows.env.log(&format!("error: {error}"));
                }
                problem::response(&error, head)
            }
        };
        if head.method == Method::HEAD {
            // Without a Content-Length: hosts hold it against the body, which is not sent.
            response.body_mut().clear();
        } else if response.status() != StatusCode::NO_CONTENT {
            let length = HeaderValue::from(response.body().len());
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, length);
        }
        response
    }

    async fn serve(&self, head: &Parts, body: impl Body) -> Result<Response<Vec<u8>>, Error> {
        let route = Route::of(head.uri.path()).ok_or_else(nothing_here)?;
        if let Route::Admin(_) = route {
            let settings = self.settings.as_ref().map_err(|_| nothing_here());
            admin::authenticate(settings?.admin_token.as_ref(), &head.headers)?;
        }
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
            Route::CaCertificate => self.ca_certificate(),
            Route::Domain(domain) => self.describe(&domain_name(domain)?).await,
            Route::Admin(route) => {
                let administration = Administration { rows: &self.rows };
                let route = route.ok_or_else(nothing_here)?;
                admin::answer(&administration, route, head, body).await
            }
            Route::Register(domain) => {
                let received = self.received(head, domain)?;
                let body = read_device_request(head, body).await?;
                let request = received.open_registration(&body)?;
                let answer = registration::register(&self.server(head)?, &request).await?;
                response(StatusCode::OK, JSON, answer.into_json()?, true)
            }
            Route::Deregister(domain) => {
                let received = self.received(head, domain)?;
                let body = read_device_request(head, body).await?;
                let request = received.open_deregistration(&body)?;
                let answer = deregistration::deregister(&self.server(head)?, &request).await?;
                json(&answer, true)
            }
        }
    }

    /// Whether the store can be read and written, and is this server's.
    async fn check_store(&self, now_ms: i64) -> Result<(), Error> {
        directory::open(&self.rows).await?;
        Ok(health::check(&self.rows.store, now_ms).await?)
    }

    fn settings(&self) -> Result<&Settings, Error> {
        self.settings.as_ref().map_err(|wrong| {
            Error::fault(format!("the settings cannot be used: {}", wrong.join("; ")))
        })
    }

    fn server<'a>(&'a self, head: &'a Parts) -> Result<Server<'a, S, E, DomainCa>, Error> {
        let settings = self.settings()?;
        Ok(Server {
            rows: &self.rows,
            known_keys: &self.known_keys,
            issuer: &settings.ca,
            policy: &settings.policy,
            credentials: Credentials::of(&head.headers),
        })
    }

    fn received<'a>(&'a self, head: &'a Parts, domain: &str) -> Result<Received<'a>, Error> {
        Ok(Received {
            domain: domain_name(domain)?,
            url: &head.uri,
            now_ms: self.rows.env.now_ms(),
            policy: &self.settings()?.policy,
        })
    }

    /// What a client must know before it joins. Never a member or their number.
    async fn describe(&self, name: &DomainName) -> Result<Response<Vec<u8>>, Error> {
        let domain = domain_server_info::find(&self.rows, name)
            .await?
            .ok_or_else(|| Error::refused(ErrorName::UnknownDomain, "there is no such domain"))?;
        let keys = domain_keys::read(&self.rows, &domain).await?;
        let newest = keys.above(0).last();
        let description = DomainDescription {
            domain: name.clone(),
            authentication_required: domain.info.authentication_required,
            auth_namespace: domain.info.auth_namespace.clone(),
            key_version: newest.map(|(version, _)| u64::from(version)),
            kid: newest.map(|(version, _)| delivery::kid(name.as_str(), version)),
            x5c: newest.map(|(_, key)| delivery::x5c(&keys, key)),
            key_rollover_required: keys.rollover_required(&domain.info),
        };
        json(&description, true)
    }

    fn ca_certificate(&self) -> Result<Response<Vec<u8>>, Error> {
        let pem = self.settings()?.ca.authority.to_pem()?;
        response(StatusCode::OK, PEM, pem.into_bytes(), false)
    }

    async fn health(&self) -> Result<Response<Vec<u8>>, Error> {
        let mut details = Vec::new();
        let now_ms = self.rows.env.now_ms();
        let store = match self.check_store(now_ms).await {
            Ok(()) => true,
            Err(Error::Fault(why)) => {
                details.push(why);
                false
            }
            Err(_) => {
                details.push("the key-value store does not answer".to_owned());
                false
            }
        };
        let now_s = now_ms.div_euclid(1000);
        let ca = match &self.settings {
            Ok(settings) => {
                let ca = &settings.ca.authority;
                let ends = rfc3339(ca.not_after_s());
                let is_in_date = ca.is_in_date(now_s);
                if now_s > ca.not_after_s() {
                    details.push(format!("the domain CA's certificate ended on {ends}"));
                } else if !is_in_date {
                    details.push("the domain CA's certificate is not yet good".to_owned());
                } else if ca.not_after_s() - now_s < CA_WARNING_S {
                    details.push(format!("the domain CA's certificate ends on {ends}"));
                }
                is_in_date
            }
            Err(wrong) => {
                details.extend_from_slice(wrong);
                false
            }
        };
        let word = |good: bool| if good { "ok" } else { "error" }.to_owned();
        let health = Health {
            status: word(store && ca),
            store: word(store),
            ca: word(ca),
            detail: (!details.is_empty()).then(|| details.join("; ")),
        };
        let mut response = json(&health, true)?;
        if !(store && ca) {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        Ok(response)
    }
}

/// `/healthz` tells so long before that the domain CA's certificate will end, in seconds: 30 days.
const CA_WARNING_S: i64 = 30 * 24 * 60 * 60;

fn nothing_here() -> Error {
    Error::refused(ErrorName::NotFound, "there is nothing at this path")
}

/// The token of the one `Authorization: Bearer` header (RFC 6750 section 2.1).
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(one), None) = (all.next(), all.next()) else {
        return None;
    };
    let (scheme, token) = one.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("Bearer")
        .then_some(token.trim_start())
}

fn domain_name(segment: &str) -> Result<DomainName, Error> {
    DomainName::from_path_segment(segment)
        .map_err(|error| Error::refused(ErrorName::InvalidDomainName, error.to_string()))
}

/// Reads the body of a device's request, if it can be one.
async fn read_device_request(head: &Parts, body: impl Body) -> Result<Vec<u8>, Error> {
    if !has_media_type(&head.headers, request::MEDIA_TYPE) {
        return Err(Error::refused(
            ErrorName::UnsupportedMediaType,
            format!("the Content-Type must be {}", request::MEDIA_TYPE),
        ));
    }
    body.read(request::MAX_BYTES).await
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
    let body = serde_json::to_vec(document)
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
