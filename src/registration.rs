//! Registration: the reference implementation's steps, in its order.

use std::rc::Rc;

use anonymous_domains_protocol::{
    ids::{DomainName, MachineGuid},
    problem::ErrorName,
    time::rfc3339,
};
use serde::Serialize;

use crate::{
    credential::{Issuer, delivery::Delivery},
    envelope::Registration,
    error::Error,
    membership::{intents, join},
    ports::Environment,
    server::Server,
    store::Store,
    tables::{
        domain_keys::{self, DomainKeys},
        domain_server_info::{self, Domain},
    },
};

/// A machine joins a domain, or fetches its credentials again.
///
/// # Errors
/// `DOM_REG_DENIED`, `UNKNOWN_DOMAIN`, `DOM_AUTHENTICATION_REQUIRED`, `MACHINE_KEY_MISMATCH`,
/// `REQUEST_REPLAYED`, `DOM_LIMIT_REACHED`, `RATE_LIMITED`; nothing but the automatic insert of the
/// domain has changed then.
pub async fn register<S: Store, E: Environment, I: Issuer>(
    server: &Server<'_, S, E, I>,
    request: &Registration,
) -> Result<Registered, Error> {
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
        let max_domains = server.policy.max_domains;
        domain_server_info::find_or_insert(rows, &request.domain, max_domains).await?
    } else {
        domain_server_info::find(rows, &request.domain)
            .await?
            .ok_or_else(|| Error::refused(ErrorName::UnknownDomain, "there is no such domain"))?
    };

    // 2. If authentication is required, there must be a valid token of its namespace.
    server.check_authentication(&domain)?;

    // What other requests have left undone concerns this one: a departure requires a rollover.
    let domain = intents::settle_overdue(rows, domain, &request.machine).await?;
    let keys = match server.known_keys.of(&domain, rows.env.now_s()) {
        Some(_) => None,
        None => Some(read_and_check(server, &domain).await?),
    };

    // 3. Look the GUID up in DomainMembership, and add it if it is new.
    let (admitted, domain) = join::find_or_add(rows, domain, &request.machine).await?;

    // 4. Look all of the domain's keys up in DomainKeys; if a rollover is required, or there is no
    //    key yet, generate one, a version above the highest, and save it.
    let delivery = match server.known_keys.of(&domain, rows.env.now_s()) {
        Some(delivery) => delivery,
        None => {
            let (url, issuer) = (request.server_url.as_str(), server.issuer);
            let keys = match keys.filter(|keys| !keys.key_required(&domain.info)) {
                Some(keys) => keys,
                None => domain_keys::read_or_roll_over(rows, &domain, url, issuer).await?,
            };
            let keys = domain_keys::renew_certificates(rows, &domain, url, issuer, keys).await?;
            let delivery = Delivery::new(issuer, request.domain.as_str(), &keys)?;
            server.known_keys.learn(&domain, delivery)
        }
    };

    // 5. For each key, a domain credential.
    let above = request.known_key_version.unwrap_or(0);
    let encrypted_keys = match delivery.key_set_above(above) {
        Some(key_set) => Some(server.issuer.encrypt(key_set, &request.machine_key)?),
        None => None,
    };
    Ok(Registered {
        head: Head {
            domain: request.domain.clone(),
            machine_guid: request.machine.guid,
            new_member: admitted.is_new,
            registered_at: rfc3339(admitted.member.registered_at_s),
            key_version: delivery.newest_version(),
        },
        delivery,
        above,
        encrypted_keys,
    })
}

/// Reads the domain's keys, and checks before anything is changed that the next one can be made, if
/// the registration needs one.
async fn read_and_check<S: Store, E: Environment, I: Issuer>(
    server: &Server<'_, S, E, I>,
    domain: &Domain,
) -> Result<DomainKeys, Error> {
    let keys = domain_keys::read(server.rows, domain).await?;
    if keys.key_required(&domain.info) {
        let now_s = server.rows.env.now_s();
        server.issuer.check(now_s)?;
        keys.check_rate(&domain.info, server.policy.max_key_versions_per_day, now_s)?;
    }
    Ok(keys)
}

/// The answer to a registration: a
/// [`RegisterResponse`](anonymous_domains_protocol::response::RegisterResponse), whose large parts
/// are written out already.
#[derive(Debug)]
pub struct Registered {
    head: Head,
    delivery: Rc<Delivery>,
    /// The version above which credentials are wanted.
    above: u64,
    encrypted_keys: Option<String>,
}

/// Its small members.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    domain: DomainName,
    machine_guid: MachineGuid,
    new_member: bool,
    registered_at: String,
    key_version: u64,
}

impl Registered {
    /// As JSON.
    ///
    /// # Errors
    /// None in practice.
    pub fn into_json(self) -> Result<Vec<u8>, Error> {
        let mut json = serde_json::to_vec(&self.head)
            .map_err(|error| Error::fault(format!("an answer cannot be written: {error}")))?;
        json.pop();
        let credentials = self.delivery.credentials_above(self.above);
        // Base64url and dots, in which nothing is to be escaped.
        let [quote, jwe] = match &self.encrypted_keys {
            Some(jwe) => ["\"", jwe],
            None => ["", "null"],
        };
        let rest: [&[u8]; 7] = [
            b",\"credentials\":[",
            credentials,
            b"],\"encryptedKeys\":",
            quote.as_bytes(),
            jwe.as_bytes(),
            quote.as_bytes(),
            b"}",
        ];
        json.reserve(rest.iter().map(|part| part.len()).sum());
        for part in rest {
            json.extend_from_slice(part);
        }
        Ok(json)
    }
}
