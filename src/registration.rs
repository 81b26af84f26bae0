//! Registration: the reference implementation's steps, in its order.

use anonymous_domains_protocol::{problem::ErrorName, response::RegisterResponse, time::rfc3339};
use serde_json::value::RawValue;

use crate::{
    context::RequestContext,
    credential::delivery::{Credentials, Delivery, as_json, private_key_set},
    device_request::Registration,
    domain::insertion,
    environment::Environment,
    error::Error,
    issuer::Issuer,
    journal::{Event, Kind},
    membership::{intents, join},
    store::Store,
    tables::{
        domain_keys::{self, DomainKeys},
        domain_server_info::Domain,
    },
};

/// A machine joins a domain, or fetches its credentials again.
///
/// # Errors
/// `DOM_REG_DENIED`, `UNKNOWN_DOMAIN`, `DOM_AUTHENTICATION_REQUIRED`, `MACHINE_KEY_MISMATCH`,
/// `REQUEST_REPLAYED`, `DOM_LIMIT_REACHED`, `RATE_LIMITED`; nothing but the automatic insert of the
/// domain has changed then.
pub async fn register<S: Store, E: Environment, I: Issuer>(
    context: &RequestContext<'_, S, E, I>,
    request: &Registration,
) -> Result<RegisterResponse<Credentials, Box<RawValue>>, Error> {
    let tables = context.tables;

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
    let domain = if context.policy.auto_create_domains {
        let max_domains = context.policy.max_domains;
        let (domain, is_new) =
            insertion::find_or_insert(tables, &request.domain, max_domains).await?;
        if is_new {
            context.journal.record(&Event {
                domain: Some(&request.domain),
                ..Event::new(Kind::DomainCreated)
            });
        }
        domain
    } else {
        insertion::find(tables, &request.domain)
            .await?
            .ok_or_else(|| Error::refused(ErrorName::UnknownDomain, "there is no such domain"))?
    };

    // 2. If authentication is required, there must be a valid token of its namespace.
    context.check_authentication(&domain)?;

    // What other requests have left undone concerns this one: a departure requires a rollover.
    let domain = intents::settle_overdue(tables, domain, &request.machine).await?;
    let keys = match context.credential_cache.get(&domain, tables.env.now_s()) {
        Some(_) => None,
        None => Some(read_and_check(context, &domain).await?),
    };
    let reissues = domain.info.reissues;

    // 3. Look the GUID up in DomainMembership, and add it if it is new.
    let (admitted, domain) = join::find_or_add(tables, domain, &request.machine).await?;

    // 4. Look all of the domain's keys up in DomainKeys; if a rollover is required, or there is no
    //    key yet, generate one, a version above the highest, and save it.
    let delivery = match context.credential_cache.get(&domain, tables.env.now_s()) {
        Some(delivery) => delivery,
        None => {
            let (url, issuer) = (request.server_url.as_str(), context.issuer);
            let is_current = |keys: &DomainKeys| {
                !keys.key_required(&domain.info) && domain.info.reissues == reissues
            };
            let keys = match keys.filter(is_current) {
                Some(keys) => keys,
                None => {
                    let journal = context.journal;
                    domain_keys::read_or_roll_over(tables, &domain, url, issuer, journal).await?
                }
            };
            let keys = domain_keys::renew_certificates(tables, &domain, url, issuer, keys).await?;
            let former = context.credential_cache.former(&domain);
            let delivery = Delivery::new(issuer, &domain, keys, former.as_deref());
            context.credential_cache.insert(&domain, delivery)
        }
    };

    // 5. For each key, a domain credential.
    let version = request.known_key_version.unwrap_or(0);
    let versions = delivery.above(context.issuer, version)?;
    let encrypted_keys = match private_key_set(&versions) {
        Some(key_set) => {
            let encrypted = context.issuer.encrypt(key_set, &request.machine_key)?;
            Some(as_json(&encrypted)?)
        }
        None => None,
    };
    Ok(RegisterResponse {
        domain: request.domain.clone(),
        machine_guid: request.machine.guid,
        new_member: admitted.is_new,
        registered_at: rfc3339(admitted.member.registered_at_s),
        key_version: delivery.newest_version(),
        credentials: Credentials(versions),
        encrypted_keys,
    })
}

/// Reads the domain's keys, and checks before anything is changed that the next one can be made, if
/// the registration needs one.
async fn read_and_check<S: Store, E: Environment, I: Issuer>(
    context: &RequestContext<'_, S, E, I>,
    domain: &Domain,
) -> Result<DomainKeys, Error> {
    let keys = domain_keys::read(context.tables, domain).await?;
    if keys.key_required(&domain.info) {
        let now_s = context.tables.env.now_s();
        context.issuer.check(now_s)?;
        keys.check_rate(&domain.info, context.policy.max_key_versions_per_day, now_s)?;
    }
    Ok(keys)
}
