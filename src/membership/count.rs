//! The number of a domain's members, for a maximum.
//!
//! Where there is no maximum nobody counts, because machines are added by a swap on their leaf
//! alone. When one is set, the domain's row begins a count: it gets the next epoch. The roster is
//! walked leaf by leaf, and each leaf takes the epoch over, by a swap, together with the number of
//! members that it has at that instant. A request that adds a machine on the word of an earlier
//! epoch is turned away from such a leaf, and while the count runs nobody is added on the word of
//! this one; members that depart from a counted leaf are counted as departed. So the number of
//! members at the end is the sum of what the leaves had, less the departed.
//!
//! The domain's row says how far the walk has come, a few leaves at a time, so that a count that
//! breaks off is taken up where it stopped, by the operator's next try or by a machine that wants
//! to join. Many may walk at the same time.

use anonymous_domains_protocol::ids::MachineGuid;

use super::{LOOKS, intents::change, limit_reached};
use crate::{
    environment::Environment,
    error::Error,
    store::{Store, rows::Change},
    tables::{
        Tables,
        domain_membership::{RosterLeaf, count_members, roster},
        domain_server_info::{self, Count, Domain, DomainServerInfo, Intent},
    },
};

/// Finishes the count of a domain, if one is running. When this returns `Ok`, the maximum that the
/// domain was seen with is in force: no machine is added any more under an earlier one.
pub async fn finish<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<Domain, Error> {
    let mut domain = domain.clone();
    while let Count::Running { .. } = domain.info.count {
        step(tables, &domain).await?;
        domain = domain_server_info::read_again(tables, &domain).await?;
    }
    Ok(domain)
}

/// Counts the members again, if they were counted: as if the maximum had been lifted and set again.
pub async fn again<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<Domain, Error> {
    change(tables, domain, |info: &mut DomainServerInfo| {
        if info.epoch != domain.info.epoch || !matches!(info.count, Count::Known(_)) {
            return Ok(Change::Keep(()));
        }
        let maximum = info.max_membership;
        info.set_maximum(None);
        info.set_maximum(maximum);
        Ok(Change::Write(()))
    })
    .await?;
    let now = domain_server_info::read_again(tables, domain).await?;
    finish(tables, &now).await
}

/// How many machines belong to a domain: as many as a list of its members has. Looks at every row of
/// the roster where nobody counts.
pub async fn members<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<u64, Error> {
    if let Count::Known(members) = domain.info.count {
        return with_changes_under_way(tables, domain, members).await;
    }
    let roster = roster(tables, domain);
    let mut members = 0;
    let mut from: Option<MachineGuid> = None;
    loop {
        let leaf = roster.leaf(from.as_ref()).await?;
        members += count_members(&leaf.entries);
        match leaf.upper {
            Some(upper) => from = Some(upper),
            None => return Ok(members),
        }
    }
}

/// The number of members, with the changes that are made in the roster and not yet counted: the
/// request that makes one may have died in between.
async fn with_changes_under_way<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    mut members: u64,
) -> Result<u64, Error> {
    let is_counted = |intent: &&Intent| intent.epoch == domain.info.epoch;
    let mut intents: Vec<&Intent> = domain.info.intents.iter().filter(is_counted).collect();
    intents.sort_by_key(|intent| intent.guid);
    let roster = roster(tables, domain);
    let mut intents = intents.into_iter().peekable();
    // Leaf by leaf: what concerns one is seen at one moment.
    while let Some(first) = intents.peek() {
        let leaf = roster.leaf(Some(&first.guid)).await?;
        let is_here = |intent: &&Intent| leaf.upper.is_none_or(|upper| intent.guid < upper);
        while let Some(intent) = intents.next_if(is_here) {
            let is_member = leaf.entries.iter().any(|(guid, entry)| {
                let member = entry.member().filter(|_| *guid == intent.guid);
                member.is_some_and(|member| member.registration == intent.registration)
            });
            match (intent.is_departure(), is_member) {
                (false, true) => members += 1,
                (true, false) => members = members.saturating_sub(1),
                _ => {}
            }
        }
    }
    Ok(members)
}

/// Waits for a count on behalf of a machine that wants to join, and takes it up where nobody goes
/// on with it.
///
/// # Errors
/// `DOM_LIMIT_REACHED` when more are counted already than there may be; `Unavailable` when the
/// count takes long.
pub(super) async fn await_count<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    looks: usize,
) -> Result<(), Error> {
    let (Count::Running { sum, departed, .. }, Some(maximum)) =
        (&domain.info.count, domain.info.max_membership)
    else {
        return Ok(());
    };
    // Those that are departing may have gone already: a refusal comes too late rather than too early.
    let departing = domain.info.intents.iter().filter(|it| it.is_departure());
    if sum.saturating_sub(*departed + departing.count() as u64) >= maximum {
        return Err(limit_reached());
    }
    if looks > LOOKS {
        return Err(Error::Unavailable(
            "the members of the domain are being counted".into(),
        ));
    }
    tables.back_off(looks).await;
    let now = domain_server_info::read_again(tables, domain).await?;
    if now.info.count == domain.info.count {
        step(tables, domain).await?;
    }
    Ok(())
}

/// Walks some leaves of a count that is running, and notes how far it came.
async fn step<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    let Count::Running { from, .. } = domain.info.count else {
        return Ok(());
    };
    let epoch = domain.info.epoch;
    let roster = roster(tables, domain);
    let mut counted = 0;
    let mut next = from;
    for _ in 0..tables.limits.leaves_a_step {
        let (members, upper) = roster
            .update_leaf(next.as_ref(), |leaf| take_over(leaf, epoch))
            .await?;
        counted += members;
        next = upper;
        if next.is_none() {
            break;
        }
    }
    change(tables, domain, |info: &mut DomainServerInfo| {
        let Count::Running {
            from: noted,
            sum,
            departed,
        } = &mut info.count
        else {
            return Ok(Change::Keep(()));
        };
        // Another walk has come further, or another count has begun.
        if info.epoch != epoch || *noted != from {
            return Ok(Change::Keep(()));
        }
        *sum += counted;
        if next.is_some() {
            *noted = next;
        } else {
            info.count = Count::Known(sum.saturating_sub(*departed));
        }
        Ok(Change::Write(()))
    })
    .await
}

/// Makes a leaf part of a count, and gives the number of members that it had then.
fn take_over(leaf: &mut RosterLeaf<'_>, epoch: u64) -> Change<u64> {
    if leaf.header.epoch >= epoch {
        return Change::Keep(leaf.header.counted);
    }
    leaf.join_count(epoch);
    Change::Write(leaf.header.counted)
}
