//! Machines that an operator blocks, and lets in again.
//!
//! What blocks a machine is its entry in the roster. The list of blocked machines is only how they
//! are found again without a look at all members: a machine is put on it before it is blocked and
//! taken off after it is let in again, so it has every blocked machine; one that a crash left on it
//! is recognized by its entry. Who blocks a machine confirms it on the list afterwards, and who lets
//! it in takes it off only if it was not confirmed since.

use anonymous_domains_protocol::ids::MachineGuid;

use super::departure;
use crate::{
    environment::Environment,
    error::Error,
    store::Store,
    tables::{Tables, blocked_machines, domain_membership, domain_server_info::Domain},
};

/// Blocks a machine, and removes it if it is a member, with the rollover that a removal means.
pub async fn block<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    guid: MachineGuid,
) -> Result<(), Error> {
    let list = blocked_machines::find_or_insert(tables, domain).await?;
    blocked_machines::put_on(tables, list, guid).await?;
    if departure::block(tables, domain, guid).await? {
        // Another operator may be about to take it off, having let it join again before.
        blocked_machines::confirm(tables, list, guid).await?;
    } else {
        blocked_machines::put_on(tables, list, guid).await?;
    }
    Ok(())
}

/// Lets a machine join again. One that is not blocked stays as it is.
pub async fn unblock<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    guid: MachineGuid,
) -> Result<(), Error> {
    // A block that is under way, or died, comes before this.
    departure::settle_departure(tables, domain, guid).await?;
    let Some(list) = domain.info.blocked else {
        return departure::unblock(tables, domain, guid).await;
    };
    let listed = blocked_machines::get(tables, list, guid).await?;
    departure::unblock(tables, domain, guid).await?;
    if let Some(listed) = listed {
        blocked_machines::take_off(tables, list, guid, listed).await?;
    }
    // Another operator may have blocked it again meanwhile.
    if domain_membership::is_blocked(tables, domain, guid).await? {
        blocked_machines::put_on(tables, list, guid).await?;
    }
    Ok(())
}

/// Blocked machines with GUIDs above `after`, ascending, at most `limit` of them, and when each was
/// blocked, in seconds since 1970.
pub async fn list<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    mut after: Option<MachineGuid>,
    limit: usize,
) -> Result<Vec<(MachineGuid, i64)>, Error> {
    let mut listed = Vec::new();
    while listed.len() < limit {
        let listing = blocked_machines::list(tables, domain, after, limit).await?;
        let Some((last, _)) = listing.last() else {
            break;
        };
        after = Some(*last);
        for (guid, blocked_at_s) in listing {
            if domain_membership::is_blocked(tables, domain, guid).await? {
                listed.push((guid, blocked_at_s));
            }
        }
    }
    listed.truncate(limit);
    Ok(listed)
}
