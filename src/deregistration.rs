//! De-registration and its preview: the reference implementation's steps, in its order.

use anonymous_domains_protocol::{problem::ErrorName, response::DeregisterResponse};

use crate::{
    context::RequestContext, device_request::Deregistration, domain::insertion,
    environment::Environment, error::Error, membership::departure, store::Store,
};

/// A machine leaves a domain, or asks whether it could.
///
/// # Errors
/// `DEREG_DENIED`, `DOM_AUTHENTICATION_REQUIRED`, `REQUEST_REPLAYED`; nothing has changed then. A
/// preview and the real thing answer alike, and a machine that is a member under another key is
/// answered like one that is none, so that nobody can ask who is a member.
pub async fn deregister<S: Store, E: Environment, I>(
    context: &RequestContext<'_, S, E, I>,
    request: &Deregistration,
) -> Result<DeregisterResponse, Error> {
    let tables = context.tables;

    // 1. Look the domain up in DomainServerInfo. It is not inserted.
    let domain = insertion::find(tables, &request.domain)
        .await?
        .ok_or_else(no_such_domain)?;

    // 2. If authentication is required, there must be a valid token of its namespace.
    context.check_authentication(&domain)?;

    // 3. Look the GUID up in DomainMembership. A preview stops here.
    // 4. Otherwise set Key Rollover Required and delete the entry: the departure is noted in the
    //    domain's row before the entry goes, and counts when it has gone.
    let machine = &request.machine;
    if request.preview {
        departure::check_leave(tables, &domain, machine).await?;
    } else {
        departure::leave(tables, domain, machine, context.policy.clock_tolerance_s).await?;
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
