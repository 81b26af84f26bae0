//! Exports and imports: part of the operator's interface.

use anonymous_domains_protocol::{
    base64url,
    ids::DomainName,
    problem::ErrorName,
    transfer::{Imported, Part},
};
use http::{Response, request::Parts};

use super::{
    Body,
    admin_request::{Query, read_json},
    json,
};
use crate::{
    administration::Administration,
    credential::authority::DomainCa,
    environment::Environment,
    error::Error,
    store::Store,
    tables::{Tables, domain_server_info::ImportId},
    transfer::{self, export, import::Import},
};

/// The first line of an export.
pub fn export_header<S, E: Environment>(
    tables: &Tables<S, E>,
    ca: &DomainCa,
) -> Result<Response<Vec<u8>>, Error> {
    json(
        &transfer::header(&tables.env, &ca.vault.key_digests()),
        true,
    )
}

/// A page of a domain's export.
pub async fn export<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    name: &DomainName,
    head: &Parts,
) -> Result<Response<Vec<u8>>, Error> {
    let query = Query::of(head)?;
    let page = export::page(tables, name, query.after.as_deref(), query.limit).await?;
    json(&page, true)
}

/// Takes a line of a domain's import.
pub async fn import<S: Store, E: Environment>(
    administration: &Administration<'_, S, E>,
    ca: &DomainCa,
    name: &DomainName,
    head: &Parts,
    body: impl Body,
) -> Result<Response<Vec<u8>>, Error> {
    let invalid = |why: &'static str| Error::refused(ErrorName::InvalidRequest, why);
    let (mut id, mut replace) = (None, false);
    let query = head.uri.query().unwrap_or_default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "import" => id = import_id(&value),
            "replace" => {
                replace = value
                    .parse()
                    .map_err(|_| invalid("replace must be true or false"))?;
            }
            _ => {}
        }
    }
    let id = id.ok_or_else(|| invalid("import must be 32 bytes in base64url"))?;
    let part: Part = read_json(head, body, "a line of an export", Part::from_value).await?;
    if part.domain() != name {
        return Err(invalid("the line is about another domain than the path"));
    }
    let import = Import {
        tables: administration.tables,
        journal: administration.journal,
        issuer: ca,
        id,
        replace,
    };
    let state = import.take(&part).await?;
    json(&Imported { state }, true)
}

fn import_id(text: &str) -> Option<ImportId> {
    base64url::decode(text).ok()?.try_into().ok()
}
