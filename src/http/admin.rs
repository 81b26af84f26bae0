//! The operator's interface: `/admin/v1`.

use anonymous_domains_protocol::{admin::DomainSettings, ids::MachineGuid, problem::ErrorName};
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};

use super::{
    Body,
    admin_request::{Query, read_json},
    domain_name, json,
    precondition::Preconditions,
    route::AdminRoute,
    transfer,
};
use crate::{
    administration::{Administration, Described},
    authentication::BearerToken,
    credential::authority::DomainCa,
    environment::Environment,
    error::Error,
    inspection::Inspection,
    journal::Actor,
    rotation::Rotation,
    settings::{AdminTokens, Scope},
    store::Store,
};

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
    rotation: &Rotation<'_, S, E, DomainCa>,
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
        AdminRoute::Reissue(domain) => json(&rotation.reissue(&domain_name(domain)?).await?, true),
        AdminRoute::Reseal => {
            let page = Query::of(head)?.page(|after| Ok(after.to_owned()))?;
            json(&rotation.reseal(page).await?, true)
        }
        AdminRoute::Keys(domain) => json(&administration.keys(&domain_name(domain)?).await?, true),
        AdminRoute::Check => {
            let Query { after, limit } = Query::of(head)?;
            let inspection = Inspection {
                tables: administration.tables,
                ca: rotation.issuer,
                mend: head.method == Method::POST,
            };
            json(&inspection.page(after.as_deref(), limit).await?, true)
        }
        AdminRoute::ExportHeader => transfer::export_header(administration.tables, rotation.issuer),
        AdminRoute::Export(domain) => {
            transfer::export(administration.tables, &domain_name(domain)?, head).await
        }
        AdminRoute::Import(domain) => {
            let name = domain_name(domain)?;
            transfer::import(administration, rotation.issuer, &name, head, body).await
        }
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
    read_json(head, body, "a domain's settings", serde_json::from_value).await
}

fn machine_guid(text: &str) -> Result<MachineGuid, Error> {
    MachineGuid::parse(text)
        .map_err(|error| Error::refused(ErrorName::InvalidRequest, error.to_string()))
}
