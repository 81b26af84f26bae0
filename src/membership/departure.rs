//! Memberships that end: a machine leaves, an operator removes or blocks it.

use anonymous_domains_protocol::{ids::MachineGuid, problem::ErrorName};
use serde_bytes::ByteArray;

use super::{
    ATTEMPTS, contention,
    intents::{Noted, complete_departure, note_departure, settle},
};
use crate::{
    environment::Environment,
    error::Error,
    store::{Store, rows::Change},
    tables::{
        Tables,
        domain_membership::{Departure, Entry, Machine, roster},
        domain_server_info::{self, Action, Domain, Intent},
    },
};

/// Looks whether a machine could leave. A request of the machine's own to leave that died a while
/// ago stays as it is, for [`leave`] to finish.
///
/// # Errors
/// Those of [`leave`].
pub async fn check_leave<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    machine: &Machine,
) -> Result<(), Error> {
    let entry = roster(tables, domain).get(&machine.guid).await?;
    if machine.check_leave(entry.as_ref())?.is_some() {
        return Ok(());
    }
    let now = domain_server_info::read_again(tables, domain).await?;
    if let Some(noted) = now.info.intent(machine.guid)
        && is_dead_leave_of(tables, noted, machine)
    {
        return Ok(());
    }
    settle_departure(tables, domain, machine.guid).await?;
    Err(no_member())
}

/// A machine leaves. When this returns, it is no member, and its departure counts.
///
/// A request to leave that died a while ago is finished by the machine's next one, which is answered
/// as the first would have been. Of several at the same time one is answered that it is done.
///
/// # Errors
/// `DEREG_DENIED` when it is no member, or not under this key; `REQUEST_REPLAYED` when it joined
/// after this request was made. Where this is told, an earlier departure counts already.
pub async fn leave<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    mut domain: Domain,
    machine: &Machine,
    clock_tolerance_s: u32,
) -> Result<(), Error> {
    let guid = machine.guid;
    for _ in 0..ATTEMPTS {
        let entry = roster(tables, &domain).get(&guid).await?;
        let Some(member) = machine.check_leave(entry.as_ref())? else {
            let is_another_key = entry.as_ref().is_some_and(|entry| entry.member().is_some());
            return match settle_departure(tables, &domain, machine.guid).await? {
                Some(noted) if is_dead_leave_of(tables, &noted, machine) && !is_another_key => {
                    Ok(())
                }
                _ => Err(no_member()),
            };
        };
        let action = Action::Leave {
            iat_ms: machine.iat_ms,
            forget_at_ms: tables.env.now_ms() + 2000 * i64::from(clock_tolerance_s),
            key_thumbprint: ByteArray::new(machine.key_thumbprint),
        };
        if end(tables, &domain, machine.guid, member.registration, action).await? {
            return Ok(());
        }
        domain = domain_server_info::read_again(tables, &domain).await?;
    }
    Err(contention())
}

/// An operator removes a machine. When this returns, it is no member, and its departure counts.
/// `false` when it was no member; of several requests at the same time one is told that it was.
pub async fn remove<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    mut domain: Domain,
    guid: MachineGuid,
) -> Result<bool, Error> {
    for _ in 0..ATTEMPTS {
        let entry = roster(tables, &domain).get(&guid).await?;
        let Some(member) = entry.as_ref().and_then(Entry::member) else {
            let settled = settle_departure(tables, &domain, guid).await?;
            let is_dead_removal = |noted: Intent| {
                noted.action == Action::Remove && noted.is_overdue(tables.env.now_ms())
            };
            return Ok(settled.is_some_and(is_dead_removal));
        };
        if end(tables, &domain, guid, member.registration, Action::Remove).await? {
            return Ok(true);
        }
        domain = domain_server_info::read_again(tables, &domain).await?;
    }
    Err(contention())
}

/// An operator blocks a machine. When this returns, it is no member, cannot become one, and its
/// departure counts, if it was a member. `false` when it was blocked already.
pub(super) async fn block<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    guid: MachineGuid,
) -> Result<bool, Error> {
    let mut domain = domain.clone();
    for attempt in 0..ATTEMPTS {
        let entry = roster(tables, &domain).get(&guid).await?;
        match entry {
            Some(Entry::Member(member)) => {
                end(tables, &domain, guid, member.registration, Action::Block).await?;
                domain = domain_server_info::read_again(tables, &domain).await?;
            }
            Some(Entry::Blocked(_)) => {
                let settled = settle_departure(tables, &domain, guid).await?;
                return Ok(attempt > 0 || settled.is_some());
            }
            Some(Entry::Departed(_)) | None => block_stranger(tables, &domain, guid).await?,
        }
    }
    Err(contention())
}

/// Blocks a machine that is no member.
async fn block_stranger<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    guid: MachineGuid,
) -> Result<(), Error> {
    roster(tables, domain)
        .update(&guid, |leaf| {
            let departure = match leaf.get(&guid) {
                Some(Entry::Member(_) | Entry::Blocked(_)) => return Ok(Change::Keep(())),
                Some(Entry::Departed(departure)) => Some(*departure),
                None => None,
            };
            leaf.insert(guid, Entry::Blocked(departure));
            Ok(Change::Write(()))
        })
        .await
}

/// Lets a blocked machine join again. A departure from before is remembered as it was.
pub(super) async fn unblock<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    guid: MachineGuid,
) -> Result<(), Error> {
    roster(tables, domain)
        .update(&guid, |leaf| {
            let Some(Entry::Blocked(departure)) = leaf.get(&guid) else {
                return Ok(Change::Keep(()));
            };
            let still_to_remember =
                |departure: &Departure| departure.forget_at_ms > tables.env.now_ms();
            match departure.filter(still_to_remember) {
                Some(departure) => leaf.insert(guid, Entry::Departed(departure)),
                None => leaf.remove(&guid),
            }
            Ok(Change::Write(()))
        })
        .await
}

/// Ends a membership, which was seen after the domain was. `false` when something else was under way
/// for the machine, which is done now: then the membership may have ended otherwise.
async fn end<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    guid: MachineGuid,
    registration: u64,
    action: Action,
) -> Result<bool, Error> {
    let intent = Intent {
        guid,
        registration,
        epoch: domain.info.epoch,
        at_ms: tables.env.now_ms(),
        action,
    };
    match note_departure(tables, domain, &intent).await? {
        Noted::Departure(noted) => {
            complete_departure(tables, domain, &noted).await?;
            Ok(true)
        }
        Noted::Other(noted) => {
            settle(tables, domain, &noted).await?;
            Ok(false)
        }
        Noted::Ended => Ok(false),
    }
}

/// Finishes a departure that is noted of a machine, and gives it: so nobody is told that a machine is
/// gone before its departure counts.
pub(super) async fn settle_departure<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    guid: MachineGuid,
) -> Result<Option<Intent>, Error> {
    // As it is now: the departure may have been noted since the domain was looked up.
    let now = domain_server_info::read_again(tables, domain).await?;
    let Some(noted) = now.info.intent(guid).filter(|it| it.is_departure()) else {
        return Ok(None);
    };
    settle(tables, &now, noted).await?;
    Ok(Some(noted.clone()))
}

/// Whether this is the machine's own request to leave, which nobody will answer any more.
fn is_dead_leave_of<S, E: Environment>(
    tables: &Tables<S, E>,
    noted: &Intent,
    machine: &Machine,
) -> bool {
    noted.is_overdue(tables.env.now_ms())
        && matches!(&noted.action, Action::Leave { key_thumbprint, .. }
            if **key_thumbprint == machine.key_thumbprint)
}

/// Whether the machine is a stranger or a member under another key is not told apart.
fn no_member() -> Error {
    Error::refused(
        ErrorName::DeregDenied,
        "no machine of this GUID and key is a member of the domain",
    )
}
