//! Those who are nobody's members: malformed requests, names of no domain, and floods.

use std::{net::Ipv4Addr, sync::Arc};

use anonymous_domains_protocol::{
    ids::{DomainName, MachineGuid},
    problem::ErrorName,
    request,
};
use http::{HeaderValue, Method};
use tokio::task::JoinSet;

use super::asker::{Asker, Expected, Question};
use crate::{http::Source, machine::Machine, random::Random};

/// How many requests a flood has, and how many of them are sent at a time.
const FLOOD: usize = 120;
const FLOOD_AT_A_TIME: usize = 6;

use Expected::{Error, Status};

/// Sends one request that is malformed, or that asks for what is not there.
///
/// # Errors
///
/// When the request cannot be built.
pub async fn stray(
    asker: &Asker,
    domain: &DomainName,
    machine: &Machine,
    random: &mut Random,
) -> anyhow::Result<()> {
    let server = random.below(asker.servers.len());
    let register = format!("/flashaccess/domainserver/{domain}/register");
    let posted = |body: &str| Question {
        method: Method::POST,
        body: Some((request::MEDIA_TYPE, body.to_owned())),
        ..Question::read("refused", register.clone())
    };
    let valid = asker.register(server, domain, machine)?;
    let (question, error) = match random.below(11) {
        0 => (posted("{"), ErrorName::InvalidRequest),
        1 => (posted(""), ErrorName::InvalidRequest),
        2 => (
            posted(&"x".repeat(request::MAX_BYTES + 1)),
            ErrorName::PayloadTooLarge,
        ),
        3 => {
            // Signed for another domain's address.
            let (_, body) = valid.body.unwrap_or_default();
            let path = "/flashaccess/domainserver/another/register".to_owned();
            (
                Question {
                    path,
                    ..posted(&body)
                },
                ErrorName::InvalidRequest,
            )
        }
        4 => {
            let body = valid.body.map(|(_, body)| ("text/plain", body));
            (
                Question { body, ..posted("") },
                ErrorName::UnsupportedMediaType,
            )
        }
        5 => {
            let method = Method::PUT;
            (
                Question {
                    method,
                    ..posted("")
                },
                ErrorName::MethodNotAllowed,
            )
        }
        6 => {
            let path = "/flashaccess/domainserver/%2e%2e%2f/register".to_owned();
            (
                Question {
                    path,
                    ..posted("{}")
                },
                ErrorName::InvalidDomainName,
            )
        }
        7 => {
            let path = format!("/flashaccess/domainserver/no-{}", MachineGuid::random());
            (Question::read("refused", path), ErrorName::UnknownDomain)
        }
        8 => (
            Question::read("refused", "/nothing/here"),
            ErrorName::NotFound,
        ),
        9 => {
            let path = format!("/admin/v1/domains/{domain}");
            (
                Question::read("refused", path),
                ErrorName::AdminAuthenticationRequired,
            )
        }
        _ => {
            let name = format!("/no-{}", MachineGuid::random());
            let delete = Question::admin("refused", Method::DELETE, name);
            (delete, ErrorName::UnknownDomain)
        }
    };
    asker.ask(server, &question, &[Error(error)]).await?;
    Ok(())
}

/// Reads what anyone, and what an operator, may read of the server.
///
/// # Errors
///
/// When the request cannot be built.
pub async fn look(asker: &Asker, random: &mut Random) -> anyhow::Result<()> {
    let server = random.below(asker.servers.len());
    let question = match random.below(4) {
        0 => Question::read("describe", "/healthz"),
        1 => Question::read("describe", "/openapi.json"),
        2 => Question::read("describe", "/flashaccess/domainserver/ca.pem"),
        _ => Question::admin("admin: list", Method::GET, "?limit=1000"),
    };
    asker.ask(server, &question, &[Status(200)]).await?;
    Ok(())
}

/// Sends more requests from one address than the limit of rates allows.
///
/// # Errors
///
/// When a request cannot be built.
pub async fn flood(asker: &Asker, domain: &DomainName, random: &mut Random) -> anyhow::Result<()> {
    let server = random.below(asker.servers.len());
    let address = Ipv4Addr::new(
        198,
        51 + u8::try_from(random.below(50))?,
        u8::try_from(random.below(256))?,
        1,
    );
    let asker = Arc::new(Asker {
        http: asker.http.from_source(Source::One(address)),
        // Nobody, so that no operator is limited.
        admin: HeaderValue::from_static("Bearer none"),
        ..asker.clone()
    });
    let question = Arc::new(Question::read(
        "flood",
        format!("/flashaccess/domainserver/{domain}"),
    ));
    let mut tasks = JoinSet::new();
    for _ in 0..FLOOD_AT_A_TIME {
        let (asker, question) = (Arc::clone(&asker), Arc::clone(&question));
        tasks.spawn(async move {
            let expected = [Status(200), Error(ErrorName::RateLimited)];
            for _ in 0..FLOOD / FLOOD_AT_A_TIME {
                asker.ask(server, &question, &expected).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(())
}
