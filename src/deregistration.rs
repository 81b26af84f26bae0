//! De-registration and its preview: the reference implementation's steps, in its order.

use anonymous_domains_protocol::{problem::ErrorName, response::DeregisterResponse};

use crate::{
    envelope::Deregistration,
    error::Error,
    knobs::{Mutation, broken},
    ports::Environment,
    server::Server,
    store::Store,
    tables::{domain_membership, domain_server_info},
};

/// A machine leaves a domain, or asks whether it could.
///
/// # Errors
/// `DEREG_DENIED`, `DOM_AUTHENTICATION_REQUIRED`, `MACHINE_KEY_MISMATCH`, `REQUEST_REPLAYED`;
/// nothing has changed then. A preview and the real thing answer alike.
pub async fn deregister<S: Store, E: Environment, I>(
    server: &Server<'_, S, E, I>,
    request: &Deregistration,
) -> Result<DeregisterResponse, Error> {
    let rows = server.rows;

    // 1. Look the domain up in DomainServerInfo. It is not inserted.
    let domain = domain_server_info::find(rows, &request.domain)
        .await?
        .ok_or_else(no_such_domain)?;

    // 2. If authentication is required, there must be a valid token of its namespace.
    server.check_authentication(&domain)?;

    // 3. Look the GUID up in DomainMembership.
    domain_membership::find_leaver(rows, &domain, &request.machine).await?;

    // 4. Unless this is a preview, set Key Rollover Required and delete the entry. In this order:
    //    after a crash in between, a rollover that nobody needed is harmless, a lost one is not.
    //    And once more: a key that was made in between may have reached the machine.
    if !request.preview {
        let tolerance_s = server.policy.clock_tolerance_s;
        if broken(Mutation::RemoveBeforeRaise) {
            domain_membership::remove(rows, &domain, &request.machine, tolerance_s).await?;
        }
        domain_server_info::require_rollover(rows, &domain)
            .await
            .map_err(|error| match error.refusal() {
                Some(ErrorName::UnknownDomain) => no_such_domain(),
                _ => error,
            })?;
        if !broken(Mutation::RemoveBeforeRaise) {
            domain_membership::remove(rows, &domain, &request.machine, tolerance_s).await?;
        }
        domain_server_info::require_rollover_again(rows, &domain).await?;
    }
    Ok(DeregisterResponse {
        domain: request.domain.clone(),
        machine_guid: request.machine.guid,
        preview: request.preview,
        deregistered: !request.preview,
    })
}

fn no_such_domain() -> Error {
    Error::refused(ErrorName::DeregDenied, "there is no such domain")
}
