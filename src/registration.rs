//! Registration: the reference implementation's steps, in its order.

use anonymous_domains_protocol::{problem::ErrorName, response::RegisterResponse, time::rfc3339};

use crate::{
    credential::{Issuer, delivery},
    envelope::Registration,
    error::Error,
    ports::Environment,
    server::Server,
    store::Store,
    tables::{domain_keys, domain_membership, domain_server_info},
};

/// A machine joins a domain, or fetches its credentials again.
///
/// # Errors
/// `DOM_REG_DENIED`, `UNKNOWN_DOMAIN`, `DOM_AUTHENTICATION_REQUIRED`, `MACHINE_KEY_MISMATCH`,
/// `REQUEST_REPLAYED`; nothing but the automatic insert of the domain has changed then.
pub async fn register<S: Store, E: Environment, I: Issuer>(
    server: &Server<'_, S, E, I>,
    request: &Registration,
) -> Result<RegisterResponse, Error> {
    let rows = server.rows;

    // A machine that is a member may be given no other domain's credentials.
    if let Some(current) = &request.current_domain
        && current != request.domain.as_str()
    {
        return Err(Error::refused(
            ErrorName::DomRegDenied,
            "the machine belongs to another domain",
        ));
    }

    // 1. Look the domain up in DomainServerInfo, and insert it if there is none.
    let domain = if server.policy.auto_create_domains {
        domain_server_info::find_or_insert(rows, &request.domain).await?
    } else {
        domain_server_info::find(rows, &request.domain)
            .await?
            .ok_or_else(|| Error::refused(ErrorName::UnknownDomain, "there is no such domain"))?
    };

    // 2. If authentication is required, there must be a valid token of its namespace.
    server.check_authentication(&domain)?;

    // 3. Look the GUID up in DomainMembership, and add it if it is new.
    let admitted = domain_membership::find_or_add(rows, &domain, &request.machine).await?;

    // 4. Look all of the domain's keys up in DomainKeys; if a rollover is required, or there is no
    //    key yet, generate one, a version above the highest, and save it.
    let server_url = request.server_url.as_str();
    let keys = domain_keys::read_or_roll_over(rows, &domain, server_url, server.issuer).await?;
    let keys =
        domain_keys::renew_certificates(rows, &domain, server_url, server.issuer, keys).await?;

    // 5. For each key, a domain credential.
    let known = request.known_key_version.unwrap_or(0);
    let credentials = delivery::credentials(request.domain.as_str(), &keys, known);
    let encrypted_keys = server.issuer.encrypted_keys(
        request.domain.as_str(),
        &keys,
        &credentials,
        &request.machine_key,
    )?;
    Ok(RegisterResponse {
        domain: request.domain.clone(),
        machine_guid: request.machine.guid,
        new_member: admitted.is_new,
        registered_at: rfc3339(admitted.member.registered_at_s),
        key_version: u64::from(keys.newest_version()),
        credentials,
        encrypted_keys,
    })
}
