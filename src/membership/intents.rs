//! Changes of the roster that are under way: noted, made, finished, and finished by others.
//!
//! An intent is finished by whoever gets there: its own request, or one that finds it later. Both
//! do the same, and what is done twice is done once:
//!
//! - A **departure** is always completed. Its entry goes if it is still the membership that the
//!   intent names; then the intent goes, and the departure counts. So it counts after the entry is
//!   gone, and a key that was made before covers it under no circumstances.
//! - A **join** is completed by its own request alone. Another one looks whether the member was
//!   added. If not, it raises the fence of the leaf, so that the member cannot be added any more
//!   under this intent, and gives the place back.
//!
//! An intent may outlive the count during which it was noted. A departure from a leaf that is part
//! of a newer count must be part of that count, too: its epoch is raised first. A departure from a
//! leaf that was not counted yet changes no number. So when an intent goes, its epoch tells whether
//! the number of members changes.

use anonymous_domains_protocol::problem::ErrorName;

use super::{ATTEMPTS, contention};
use crate::{
    environment::Environment,
    error::Error,
    store::{Store, rows::Change},
    tables::{
        Tables, blocked_machines,
        domain_membership::{Departure, Entry, Machine, roster},
        domain_server_info::{self, Action, Count, Domain, DomainServerInfo, Intent},
    },
};

/// So much of what others have left undone one request finishes.
const MOST_SETTLED: usize = 8;

/// Finishes what other requests have left undone, and a departure of this machine; gives the domain
/// as it is then.
pub async fn settle_overdue<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: Domain,
    machine: &Machine,
) -> Result<Domain, Error> {
    let now_ms = tables.env.now_ms();
    let is_due = |intent: &&Intent| {
        intent.is_overdue(now_ms) || (intent.is_departure() && intent.guid == machine.guid)
    };
    let mut settled = false;
    let due = domain.info.intents.iter().filter(is_due);
    for intent in due.take(MOST_SETTLED) {
        let result = settle(tables, &domain, intent).await;
        // What concerns others may wait for another request.
        if intent.guid == machine.guid {
            result?;
        }
        settled = true;
    }
    if settled {
        return domain_server_info::read_again(tables, &domain).await;
    }
    Ok(domain)
}

/// Finishes an intent of another request, or of one's own that cannot go on. May run again.
pub async fn settle<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    intent: &Intent,
) -> Result<(), Error> {
    match intent.action {
        Action::Join { fence } => {
            let is_member = give_up_join(tables, domain, intent, fence).await?;
            finish_join(tables, domain, intent, is_member).await
        }
        Action::Leave { .. } | Action::Remove | Action::Block => {
            complete_departure(tables, domain, intent).await
        }
    }
}

/// Whether the member of a join was added; if not, it never will be.
async fn give_up_join<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    intent: &Intent,
    fence: u64,
) -> Result<bool, Error> {
    roster(tables, domain)
        .update(&intent.guid, |leaf| {
            let member = leaf.get(&intent.guid).and_then(Entry::member);
            if member.is_some_and(|member| member.registration == intent.registration) {
                return Ok(Change::Keep(true));
            }
            let is_open = leaf.header.epoch == intent.epoch && leaf.header.fence == fence;
            if !is_open {
                return Ok(Change::Keep(false));
            }
            leaf.header.fence += 1;
            Ok(Change::Write(false))
        })
        .await
}

/// Takes the intent of a join off, and counts the member if it was added.
pub(super) async fn finish_join<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    intent: &Intent,
    is_member: bool,
) -> Result<(), Error> {
    change(tables, domain, |info| {
        let Some(at) = info.intents.iter().position(|noted| noted == intent) else {
            return Ok(Change::Keep(()));
        };
        info.intents.remove(at);
        if let Count::Known(members) = &mut info.count
            && is_member
            && info.epoch == intent.epoch
        {
            *members += 1;
        }
        Ok(Change::Write(()))
    })
    .await
}

/// Changes the row of a domain that exists.
///
/// # Errors
/// Those of `decide`, with nothing written; `Unavailable` when the domain was deleted since.
pub(super) async fn change<S: Store, E: Environment, R>(
    tables: &Tables<S, E>,
    domain: &Domain,
    decide: impl FnMut(&mut DomainServerInfo) -> Result<Change<R>, Error>,
) -> Result<R, Error> {
    match domain_server_info::update(tables, domain, decide).await {
        Ok((answer, _)) => Ok(answer),
        Err(error) if error.refusal() == Some(ErrorName::UnknownDomain) => {
            Err(domain_server_info::deleted_meanwhile())
        }
        Err(error) => Err(error),
    }
}

/// What [`note_departure`] came to.
pub(super) enum Noted {
    /// The departure is noted, like this.
    Departure(Intent),
    /// Something else was noted of the machine before.
    Other(Intent),
    /// The membership has ended since the domain was looked up, or may have.
    Ended,
}

/// How many of the memberships that ended last a domain's row remembers.
const ENDED_KEPT: usize = 16;

/// Notes a departure, unless something is noted of the machine already, or the membership has ended
/// since the domain was looked up: it would change the number of members twice.
pub(super) async fn note_departure<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    intent: &Intent,
) -> Result<Noted, Error> {
    change(tables, domain, |info| {
        if let Some(noted) = info.intent(intent.guid) {
            return Ok(Change::Keep(Noted::Other(noted.clone())));
        }
        let departed_since = info.departures.saturating_sub(domain.info.departures);
        let may_have_ended =
            departed_since > ENDED_KEPT as u64 || info.ended.contains(&intent.registration);
        if may_have_ended {
            return Ok(Change::Keep(Noted::Ended));
        }
        let noted = Intent {
            epoch: info.epoch,
            ..intent.clone()
        };
        info.intents.push(noted.clone());
        Ok(Change::Write(Noted::Departure(noted)))
    })
    .await
}

/// Ends the membership that a departure names, and counts the departure.
pub(super) async fn complete_departure<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    intent: &Intent,
) -> Result<(), Error> {
    let mut epoch = intent.epoch;
    for _ in 0..ATTEMPTS {
        if remove(tables, domain, intent, epoch).await? {
            // Whoever finishes a block also puts the machine on the list: it may have been taken off.
            if let (Action::Block, Some(list)) = (&intent.action, domain.info.blocked) {
                blocked_machines::confirm(tables, list, intent.guid).await?;
            }
            return finish_departure(tables, domain, intent).await;
        }
        match raise_epoch(tables, domain, intent, epoch).await? {
            Some(raised) => epoch = raised,
            // Another request has finished it.
            None => return Ok(()),
        }
    }
    Err(contention())
}

/// Removes the entry that a departure names. `false` when its leaf is part of a newer count.
async fn remove<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    intent: &Intent,
    epoch: u64,
) -> Result<bool, Error> {
    roster(tables, domain)
        .update(&intent.guid, |leaf| {
            let member = leaf.get(&intent.guid).and_then(Entry::member);
            if member.is_none_or(|member| member.registration != intent.registration) {
                return Ok(Change::Keep(true));
            }
            if leaf.header.epoch > epoch {
                return Ok(Change::Keep(false));
            }
            leaf.join_count(epoch);
            leaf.forget_departures(tables.env.now_ms());
            match intent.action {
                Action::Leave {
                    iat_ms,
                    forget_at_ms,
                    ..
                } => {
                    let departure = Departure {
                        iat_ms,
                        forget_at_ms,
                    };
                    leaf.insert(intent.guid, Entry::Departed(departure));
                }
                Action::Block => leaf.insert(intent.guid, Entry::Blocked(None)),
                Action::Remove | Action::Join { .. } => leaf.remove(&intent.guid),
            }
            Ok(Change::Write(true))
        })
        .await
}

/// Makes a departure, whose leaf is part of a newer count than `epoch`, part of the count that is
/// the newest, and gives its epoch; `None` when the departure is done.
///
/// Where somebody has raised it above `epoch` already, it stays as it is: they may be about to remove
/// the entry as part of that count.
async fn raise_epoch<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    intent: &Intent,
    epoch: u64,
) -> Result<Option<u64>, Error> {
    change(tables, domain, |info| {
        let newest = info.epoch;
        let Some(noted) = find(info, intent) else {
            return Ok(Change::Keep(None));
        };
        if noted.epoch > epoch {
            return Ok(Change::Keep(Some(noted.epoch)));
        }
        noted.epoch = newest;
        Ok(Change::Write(Some(newest)))
    })
    .await
}

async fn finish_departure<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    intent: &Intent,
) -> Result<(), Error> {
    change(tables, domain, |info| {
        let Some(epoch) = find(info, intent).map(|noted| noted.epoch) else {
            return Ok(Change::Keep(()));
        };
        info.intents
            .retain(|noted| !is_same_departure(noted, intent));
        info.departures += 1;
        info.ended.insert(0, intent.registration);
        info.ended.truncate(ENDED_KEPT);
        if matches!(intent.action, Action::Remove | Action::Block) {
            info.departures_by_operators += 1;
        }
        if epoch == info.epoch {
            match &mut info.count {
                Count::None => {}
                Count::Running { departed, .. } => *departed += 1,
                Count::Known(members) => *members = members.saturating_sub(1),
            }
        }
        Ok(Change::Write(()))
    })
    .await
}

fn find<'a>(info: &'a mut DomainServerInfo, intent: &Intent) -> Option<&'a mut Intent> {
    let mut noted = info.intents.iter_mut();
    noted.find(|noted| is_same_departure(noted, intent))
}

/// Whether two are one and the same: a membership ends once.
fn is_same_departure(a: &Intent, b: &Intent) -> bool {
    a.is_departure() && b.is_departure() && (a.guid, a.registration) == (b.guid, b.registration)
}
