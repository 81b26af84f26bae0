//! The operator's interface: `/admin/v1`.

use anonymous_domains_protocol::{
    admin::{DEFAULT_PAGE_LIMIT, DomainSettings, MAX_BYTES, MAX_PAGE_LIMIT},
    ids::MachineGuid,
    json::from_slice_strict,
    problem::ErrorName,
};
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};

use super::{
    Body, domain_name, has_media_type, json, precondition::Preconditions, route::AdminRoute,
};
use crate::{
    administration::{Administration, Described, Page},
    authentication::BearerToken,
    environment::Environment,
    error::Error,
    journal::Actor,
    settings::{AdminTokens, Scope},
    store::Store,
};

const JSON: &str = "application/json";

/// Whose token a request has, if that token allows the request. With an error comes who asked, as
/// far as it is known.
///
/// # Errors
/// `NOT_FOUND` where no token is configured, `ADMIN_AUTHENTICATION_REQUIRED`, `ADMIN_FORBIDDEN`.
pub fn authenticate(tokens: &AdminTokens, head: &Parts) -> Result<Actor, (Error, Actor)> {
    let refused = |name, why: &'static str, actor| Err((Error::refused(name, why), actor));
    if tokens.is_empty() {
        return refused(
            ErrorName::NotFound,
            "there is nothing at this path",
            Actor::Anonymous,
        );
    }
    let operator = match BearerToken::of(&head.headers) {
        BearerToken::One(theirs) => tokens.operator(theirs),
        _ => None,
    };
    let Some(operator) = operator else {
        return refused(
            ErrorName::AdminAuthenticationRequired,
            "the operator's token is missing or wrong",
            Actor::Anonymous,
        );
    };
    let actor = Actor::Operator(operator.digest);
    let reads = matches!(head.method, Method::GET | Method::HEAD);
    match operator.scope {
        Scope::Read if !reads => refused(
            ErrorName::AdminForbidden,
            "the operator's token only allows GET and HEAD",
            actor,
        ),
        Scope::Read | Scope::All => Ok(actor),
    }
}

/// Answers an operator.
pub async fn answer<S: Store, E: Environment>(
    administration: &Administration<'_, S, E>,
    route: AdminRoute<'_>,
    head: &Parts,
    body: impl Body,
) -> Result<Response<Vec<u8>>, Error> {
    match route {
        AdminRoute::Domains => {
            let page = Query::of(head)?.page(|after| Ok(after.to_owned()))?;
            json(&administration.domains(page).await?, true)
        }
        AdminRoute::Domain(domain) => {
            let name = domain_name(domain)?;
            match head.method {
                Method::PUT => {
                    let settings = read_settings(head, body).await?;
                    let preconditions = Preconditions::of(&head.headers)?;
                    let (described, created) = administration
                        .put_domain(&name, &settings, &preconditions)
                        .await?;
                    let mut response = described_domain(&described)?;
                    if created {
                        *response.status_mut() = StatusCode::CREATED;
                    }
                    Ok(response)
                }
                Method::DELETE => {
                    administration.delete_domain(&name).await?;
                    Ok(empty(StatusCode::NO_CONTENT))
                }
                _ => described_domain(&administration.domain(&name).await?),
            }
        }
        AdminRoute::Members(domain) => {
            let page = Query::of(head)?.page(machine_guid)?;
            let members = administration.members(&domain_name(domain)?, page).await?;
            json(&members, true)
        }
        AdminRoute::Member(domain, guid) => {
            let (name, guid) = (domain_name(domain)?, machine_guid(guid)?);
            administration.remove_member(&name, guid).await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        AdminRoute::BlockedMachines(domain) => {
            let page = Query::of(head)?.page(machine_guid)?;
            let blocked = administration.blocked(&domain_name(domain)?, page).await?;
            json(&blocked, true)
        }
        AdminRoute::BlockedMachine(domain, guid) => {
            let (name, guid) = (domain_name(domain)?, machine_guid(guid)?);
            match head.method {
                Method::PUT => administration.block(&name, guid).await?,
                _ => administration.unblock(&name, guid).await?,
            }
            Ok(empty(StatusCode::NO_CONTENT))
        }
        AdminRoute::Rollover(domain) => {
            administration
                .require_rollover(&domain_name(domain)?)
                .await?;
            Ok(empty(StatusCode::ACCEPTED))
        }
        AdminRoute::Keys(domain) => json(&administration.keys(&domain_name(domain)?).await?, true),
    }
}

fn described_domain(described: &Described) -> Result<Response<Vec<u8>>, Error> {
    let mut response = json(&described.document, true)?;
    let entity_tag = HeaderValue::from_str(&described.entity_tag)
        .map_err(|error| Error::fault(format!("an entity tag cannot be written: {error}")))?;
    response.headers_mut().insert(header::ETAG, entity_tag);
    Ok(response)
}

fn empty(status: StatusCode) -> Response<Vec<u8>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status;
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

async fn read_settings(head: &Parts, body: impl Body) -> Result<DomainSettings, Error> {
    if !has_media_type(&head.headers, JSON) {
        return Err(Error::refused(
            ErrorName::UnsupportedMediaType,
            format!("the Content-Type must be {JSON}"),
        ));
    }
    let invalid = |error: &dyn std::fmt::Display| {
        Error::refused(
            ErrorName::InvalidRequest,
            format!("the body is not a domain's settings: {error}"),
        )
    };
    let body = body.read(MAX_BYTES).await?;
    let settings = from_slice_strict(&body).map_err(|error| invalid(&error))?;
    // Serde would take an array for the members' values, in their order.
    if !settings.is_object() {
        return Err(invalid(&"it is not a JSON object"));
    }
    serde_json::from_value(settings).map_err(|error| invalid(&error))
}

fn machine_guid(text: &str) -> Result<MachineGuid, Error> {
    MachineGuid::parse(text)
        .map_err(|error| Error::refused(ErrorName::InvalidRequest, error.to_string()))
}

/// The query of a list: `after` and `limit`. Other parameters are ignored.
struct Query {
    after: Option<String>,
    limit: usize,
}

impl Query {
    fn of(head: &Parts) -> Result<Self, Error> {
        let invalid = |why: &'static str| Error::refused(ErrorName::InvalidRequest, why);
        let mut query = Self {
            after: None,
            limit: DEFAULT_PAGE_LIMIT as usize,
        };
        let text = head.uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match &*name {
                "after" => query.after = Some(value.into_owned()),
                "limit" => {
                    query.limit = value
                        .parse()
                        .ok()
                        .filter(|limit| (1..=MAX_PAGE_LIMIT as usize).contains(limit))
                        .ok_or_else(|| invalid("limit must be a whole number from 1 to 1000"))?;
                }
                _ => {}
            }
        }
        Ok(query)
    }

    fn page<T>(self, parse: impl Fn(&str) -> Result<T, Error>) -> Result<Page<T>, Error> {
        Ok(Page {
            after: self.after.as_deref().map(parse).transpose()?,
            limit: self.limit,
        })
    }
}
