//! A domain's export, page by page. The server keeps nothing between two pages.
//!
//! The order of the reads makes every export safe to go on with, whatever happens meanwhile:
//!
//! 1. the domain's row and its keys, as they are when the export begins;
//! 2. each leaf of the roster;
//! 3. how many departures there were, after those that are under way are done.
//!
//! A machine that left before its leaf was read is counted among the departures, and no key of the
//! export covers it unless it was made after: a machine is never missing without the rollover that
//! its departure requires. One that left after its leaf was read is still a member, with keys that it
//! had. Where there is a maximum, departures during the export could let more members through than
//! there ever were at a time, so the export is refused at its end.

use anonymous_domains_protocol::{
    base64url,
    ids::{DomainName, MachineGuid},
    problem::ErrorName,
    time::rfc3339,
    transfer::{
        DomainPart, EndPart, ExportPage, KeysPart, MachinesPart, MovedBlocked, MovedDeparted,
        MovedDeparture, MovedMember, Part, SealedKey,
    },
};
use serde::{Deserialize, Serialize};

use crate::{
    credential::delivery,
    domain::insertion,
    environment::Environment,
    error::Error,
    membership::intents,
    store::Store,
    tables::{
        Tables, blocked_machines,
        domain_keys::{self, DomainKeys},
        domain_membership::{Departure, Entry, roster},
        domain_server_info::{self, Domain},
    },
};

/// A page has keys of about so many bytes, or one.
const KEYS_PAGE_BYTES: usize = 128 * 1024;

/// Where an export goes on, and what it must know of its beginning.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cursor {
    /// Which domain of its name it is, as text.
    generation: String,
    /// Its settings' revision at the beginning.
    settings_revision: u64,
    /// Its departures at the beginning.
    departures: u64,
    /// Its newest key's version at the beginning.
    keys: u32,
    /// How many members there were so far.
    members: u64,
    /// How many blocked machines there were so far.
    blocked: u64,
    /// What comes next.
    next: Next,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Next {
    /// The keys above this version.
    Keys(u32),
    /// The machines above this GUID.
    Machines(Option<MachineGuid>),
    End,
}

impl Cursor {
    fn to_text(&self) -> Result<String, Error> {
        let bytes = postcard::to_allocvec(self)
            .map_err(|error| Error::fault(format!("a cursor cannot be written: {error}")))?;
        Ok(base64url::encode(&bytes))
    }

    fn parse(text: &str) -> Option<Self> {
        postcard::from_bytes(&base64url::decode(text).ok()?).ok()
    }
}

/// The page of a domain's export that comes after another, with at most `limit` machines.
///
/// # Errors
/// `UNKNOWN_DOMAIN`; `INVALID_REQUEST` for an `after` that no page gave; `PRECONDITION_FAILED` when
/// the export must begin again, because the domain is another one, its settings were changed, or
/// machines left a domain that has a maximum.
pub async fn page<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    name: &DomainName,
    after: Option<&str>,
    limit: usize,
) -> Result<ExportPage, Error> {
    let domain = insertion::find(tables, name)
        .await?
        .ok_or_else(|| Error::refused(ErrorName::UnknownDomain, "there is no such domain"))?;
    let Some(after) = after else {
        return begin(tables, &domain).await;
    };
    let mut cursor = Cursor::parse(after).ok_or_else(|| {
        Error::refused(
            ErrorName::InvalidRequest,
            "after is not what a page of an export gave as its next",
        )
    })?;
    if cursor.generation != domain.generation().to_string() {
        return Err(changed("is another one since"));
    }
    let part = match cursor.next.clone() {
        Next::Keys(above) => keys(tables, &domain, &mut cursor, above).await?,
        Next::Machines(above) => machines(tables, &domain, &mut cursor, above, limit).await?,
        Next::End => {
            let part = end(tables, &domain, &cursor).await?;
            return Ok(ExportPage { part, next: None });
        }
    };
    let next = Some(cursor.to_text()?);
    Ok(ExportPage { part, next })
}

fn changed(what: &str) -> Error {
    Error::refused(
        ErrorName::PreconditionFailed,
        format!("the domain {what}: its export must begin again"),
    )
}

async fn begin<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<ExportPage, Error> {
    let keys = domain_keys::read(tables, domain).await?;
    let info = &domain.info;
    let [departures_covered, departures_by_operators_covered] = keys.covers();
    let cursor = Cursor {
        generation: domain.generation().to_string(),
        settings_revision: info.settings_revision,
        departures: info.departures,
        keys: keys.newest_version(),
        members: 0,
        blocked: 0,
        next: match keys.newest_version() {
            0 => Next::Machines(None),
            _ => Next::Keys(0),
        },
    };
    Ok(ExportPage {
        part: Part::Domain(DomainPart {
            domain: info.domain.clone(),
            created_at: rfc3339(info.created_at_s),
            authentication_required: info.authentication_required,
            auth_namespace: info.auth_namespace.clone(),
            max_membership: info.max_membership,
            departures_covered,
            departures_by_operators_covered,
        }),
        next: Some(cursor.to_text()?),
    })
}

async fn keys<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    cursor: &mut Cursor,
    above: u32,
) -> Result<Part, Error> {
    let keys = domain_keys::read(tables, domain).await?;
    let listed = sealed_keys(&keys, above, cursor.keys);
    let last = listed.last().map_or(cursor.keys, |key| key.key_version);
    cursor.next = match last < cursor.keys {
        true => Next::Keys(last),
        false => Next::Machines(None),
    };
    Ok(Part::Keys(KeysPart {
        domain: domain.info.domain.clone(),
        keys: listed,
    }))
}

/// The keys above one version and up to another, as many as a page has.
fn sealed_keys(keys: &DomainKeys, above: u32, up_to: u32) -> Vec<SealedKey> {
    let mut bytes = 0;
    keys.above(u64::from(above))
        .take_while(|(version, key)| {
            let is_first = bytes == 0;
            bytes += key.sealed.len() + keys.certificates(key).map(<[u8]>::len).sum::<usize>();
            *version <= up_to && (is_first || bytes <= KEYS_PAGE_BYTES)
        })
        .map(|(key_version, key)| SealedKey {
            key_version,
            created_at: rfc3339(key.created_at_s),
            by_operator: key.by_operator,
            sealed: base64url::encode(&key.sealed),
            x5c: delivery::x5c(keys, key),
        })
        .collect()
}

async fn machines<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    cursor: &mut Cursor,
    above: Option<MachineGuid>,
    limit: usize,
) -> Result<Part, Error> {
    let roster = roster(tables, domain);
    // One more than asked for tells whether there is a next page.
    let mut entries = roster.scan(above.as_ref(), limit + 1).await?;
    cursor.next = match entries.len() > limit {
        true => Next::Machines(Some(entries[limit - 1].0)),
        false => Next::End,
    };
    entries.truncate(limit);
    let mut part = MachinesPart {
        domain: domain.info.domain.clone(),
        members: Vec::new(),
        blocked: Vec::new(),
        departed: Vec::new(),
    };
    for (machine_guid, entry) in entries {
        match entry {
            Entry::Member(member) => part.members.push(MovedMember {
                machine_guid,
                registered_at: rfc3339(member.registered_at_s),
                key_thumbprint: base64url::encode(&member.key_thumbprint),
                joined_iat_ms: member.joined_iat_ms,
            }),
            Entry::Departed(it) => part.departed.push(MovedDeparted {
                machine_guid,
                departure: departure(it),
            }),
            Entry::Blocked(it) => part.blocked.push(MovedBlocked {
                machine_guid,
                blocked_at: blocked_at(tables, domain, machine_guid).await?,
                departure: it.map(departure),
            }),
        }
    }
    cursor.members += part.members.len() as u64;
    cursor.blocked += part.blocked.len() as u64;
    Ok(Part::Machines(part))
}

fn departure(departure: Departure) -> MovedDeparture {
    MovedDeparture {
        iat_ms: departure.iat_ms,
        forget_at_ms: departure.forget_at_ms,
    }
}

async fn blocked_at<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    guid: MachineGuid,
) -> Result<Option<String>, Error> {
    let Some(list) = domain.info.blocked else {
        return Ok(None);
    };
    let listed = blocked_machines::get(tables, list, guid).await?;
    Ok(listed.map(|listed| rfc3339(listed.blocked_at_s())))
}

async fn end<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    cursor: &Cursor,
) -> Result<Part, Error> {
    // A machine whose departure is under way may have been missing already.
    for intent in domain.info.intents.iter().filter(|it| it.is_departure()) {
        intents::settle(tables, domain, intent).await?;
    }
    let now = domain_server_info::read_again(tables, domain).await?;
    let info = &now.info;
    if info.settings_revision != cursor.settings_revision {
        return Err(changed("has other settings since"));
    }
    if info.max_membership.is_some() && info.departures != cursor.departures {
        return Err(changed("has a maximum, and machines left since"));
    }
    Ok(Part::End(EndPart {
        domain: info.domain.clone(),
        keys: cursor.keys,
        members: cursor.members,
        blocked: cursor.blocked,
        departures: info.departures,
        departures_by_operators: info.departures_by_operators,
    }))
}
