//! What anyone may know of a domain: what a client needs before it joins.

use anonymous_domains_protocol::{
    ids::DomainName, problem::ErrorName, response::DomainDescription,
};

use super::insertion;
use crate::{
    credential::delivery,
    environment::Environment,
    error::Error,
    store::Store,
    tables::{Tables, domain_keys},
};

/// Describes a domain. Never a member or their number.
///
/// # Errors
/// `UNKNOWN_DOMAIN`.
pub async fn describe<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    name: &DomainName,
) -> Result<DomainDescription, Error> {
    let domain = insertion::find(tables, name)
        .await?
        .ok_or_else(|| Error::refused(ErrorName::UnknownDomain, "there is no such domain"))?;
    let keys = domain_keys::read(tables, &domain).await?;
    let newest = keys.above(0).last();
    Ok(DomainDescription {
        domain: name.clone(),
        authentication_required: domain.info.authentication_required,
        auth_namespace: domain.info.auth_namespace.clone(),
        key_version: newest.map(|(version, _)| u64::from(version)),
        kid: newest.map(|(version, _)| delivery::kid(name, version)),
        x5c: newest.map(|(_, key)| delivery::x5c(&keys, key)),
        key_rollover_required: keys.rollover_required(&domain.info),
    })
}
