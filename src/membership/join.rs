//! Memberships that begin.
//!
//! Without a maximum the swap that adds the entry is all. With one, a place is taken first, by an
//! intent in the domain's row, where the maximum, the number of members and the places taken are
//! seen at once; so the maximum that admits a machine is the one in force at that instant. Then the
//! entry is added, if the leaf is still as it was when the place was taken; then the place becomes
//! a member. A place whose request died is given back by the next one that needs it.

use std::cell::{Cell, RefCell};

use super::{
    ATTEMPTS, LOOKS, contention, count,
    departure::settle_departure,
    intents::{change, finish_join, settle},
    limit_reached,
};
use crate::{
    environment::Environment,
    error::Error,
    store::{Store, rows::Change},
    tables::{
        Tables,
        domain_membership::{Entry, LeafHeader, Machine, Member, Roster, RosterLeaf, roster},
        domain_server_info::{self, Action, Count, Domain, DomainServerInfo, Intent},
    },
};

/// No more than this many places are taken, and departures under way, at the same time in a domain:
/// the next one waits. It bounds the domain's row.
const MOST_INTENTS: usize = 256;

/// A machine that is a member now.
#[derive(Debug)]
pub struct Admitted {
    /// Its entry.
    pub member: Member,
    /// Whether it was added by this request.
    pub is_new: bool,
}

/// Looks a machine up, and adds it if it is new; also gives the domain as it was seen last: others'
/// departures may have been finished on the way. A machine that is a member already costs no write.
///
/// # Errors
/// `MACHINE_KEY_MISMATCH`; `DOM_REG_DENIED` for a blocked machine; `REQUEST_REPLAYED` for a request
/// from before the machine left; `DOM_LIMIT_REACHED` for a new one when the domain is full.
/// `Unavailable` for a new one while the members of a large domain are counted, after a maximum was
/// set.
pub async fn find_or_add<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: Domain,
    machine: &Machine,
) -> Result<(Admitted, Domain), Error> {
    let seen = domain.clone();
    let result = look_up_or_add(tables, domain, machine).await;
    if result
        .as_ref()
        .is_err_and(|error| error.refusal().is_some())
    {
        // The refusal may say that the machine is no member.
        settle_departure(tables, &seen, machine.guid).await?;
    }
    result
}

async fn look_up_or_add<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    mut domain: Domain,
    machine: &Machine,
) -> Result<(Admitted, Domain), Error> {
    let own = Registrations::default();
    for looks in 0..ATTEMPTS {
        // It asked to leave, or an operator removes it, and that is not done: whoever is told now
        // that it is a member must not be removed later.
        if let Some(noted) = domain.info.intent(machine.guid)
            && noted.is_departure()
        {
            settle(tables, &domain, noted).await?;
            domain = domain_server_info::read_again(tables, &domain).await?;
            continue;
        }
        // One and the same for reading and adding: it remembers where it found the leaf.
        let roster = roster(tables, &domain);
        let (entry, header) = roster.get_with_header(&machine.guid).await?;
        if let Some(member) = machine.check_join(entry.as_ref())? {
            return Ok((own.admitted(member), domain));
        }
        let added = match &domain.info.count {
            Count::None => add(tables, &domain, &roster, machine, &own).await?,
            Count::Known(_) => {
                add_counted(tables, &domain, &roster, machine, &own, header, looks).await?
            }
            Count::Running { .. } => {
                count::await_count(tables, &domain, looks).await?;
                None
            }
        };
        if let Some(admitted) = added {
            return Ok((admitted, domain));
        }
        domain = domain_server_info::read_again(tables, &domain).await?;
    }
    Err(contention())
}

/// The numbers of the memberships that a request has tried to begin. The one that a machine has may
/// be among them although the request was not told: its write came late, or the row has forgotten it.
#[derive(Debug, Default)]
struct Registrations(RefCell<Vec<u64>>);

impl Registrations {
    fn next(&self, env: &impl Environment) -> u64 {
        let registration = env.random_u64();
        self.0.borrow_mut().push(registration);
        registration
    }

    /// The answer about a machine that is a member.
    fn admitted(&self, member: &Member) -> Admitted {
        Admitted {
            member: member.clone(),
            is_new: self.0.borrow().contains(&member.registration),
        }
    }
}

/// Waits until the places that a domain was seen with are used or given back. When this returns
/// `Ok`, no machine is added any more in a place that was taken before the domain was seen like
/// this: not under a maximum that another one has replaced.
pub async fn settle_places<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    let mut places = domain.info.intents.clone();
    places.retain(|intent| !intent.is_departure());
    for looks in 0.. {
        if places.is_empty() {
            break;
        }
        await_others(tables, domain, &places, looks).await?;
        let now = domain_server_info::read_again(tables, domain).await?;
        places.retain(|intent| now.info.intents.contains(intent));
    }
    Ok(())
}

/// Adds a machine where nobody counts; `None` when a count has begun since.
async fn add<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    roster: &Roster<'_, S, E>,
    machine: &Machine,
    own: &Registrations,
) -> Result<Option<Admitted>, Error> {
    let epoch = domain.info.epoch;
    let is_uncounted = |header: &LeafHeader| header.epoch <= epoch;
    // A number for each try: a membership that was written, forgotten by the row and ended by an
    // operator must not begin again.
    let next = || Some(own.next(&tables.env));
    insert(tables, roster, machine, own, is_uncounted, next).await
}

/// Adds an entry if the header of its leaf does, with the next registration's number, as long as there
/// is one; gives the member that there is then.
async fn insert<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    roster: &Roster<'_, S, E>,
    machine: &Machine,
    own: &Registrations,
    does: impl Fn(&LeafHeader) -> bool,
    next: impl Fn() -> Option<u64>,
) -> Result<Option<Admitted>, Error> {
    roster
        .update(&machine.guid, |leaf: &mut RosterLeaf<'_>| {
            if !does(leaf.header) {
                return Ok(Change::Keep(None));
            }
            if let Some(member) = machine.check_join(leaf.get(&machine.guid))? {
                return Ok(Change::Keep(Some(own.admitted(member))));
            }
            let Some(registration) = next() else {
                return Ok(Change::Keep(None));
            };
            let member = Member {
                key_thumbprint: machine.key_thumbprint,
                registered_at_s: tables.env.now_s(),
                joined_iat_ms: machine.iat_ms,
                registration,
            };
            leaf.forget_departures(tables.env.now_ms());
            leaf.insert(machine.guid, Entry::Member(member.clone()));
            let is_new = true;
            Ok(Change::Write(Some(Admitted { member, is_new })))
        })
        .await
}

/// What the attempt to take a place came to.
enum Place {
    Taken,
    /// There is none, and these are under way.
    Full(Vec<Intent>),
    /// Something is under way for the machine.
    Busy(Intent),
    /// Another count has begun, or nobody counts any more.
    Changed,
}

/// Takes a place and adds the machine; `None` to look again.
async fn add_counted<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    roster: &Roster<'_, S, E>,
    machine: &Machine,
    own: &Registrations,
    header: LeafHeader,
    looks: usize,
) -> Result<Option<Admitted>, Error> {
    let intent = Intent {
        guid: machine.guid,
        registration: own.next(&tables.env),
        epoch: domain.info.epoch,
        at_ms: tables.env.now_ms(),
        action: Action::Join {
            fence: header.fence,
        },
    };
    match take_place(tables, domain, &intent).await? {
        Place::Taken => {}
        Place::Changed => return Ok(None),
        Place::Busy(other) => {
            await_others(tables, domain, &[other], looks).await?;
            return Ok(None);
        }
        Place::Full(others) if others.is_empty() => {
            return Err(limit_reached());
        }
        Place::Full(others) => {
            await_others(tables, domain, &others, looks).await?;
            return Ok(None);
        }
    }
    let is_as_seen = |leaf: &LeafHeader| (leaf.epoch, leaf.fence) == (intent.epoch, header.fence);
    let inserted = insert_counted(tables, domain, roster, machine, own, &intent, is_as_seen).await;
    match &inserted {
        Ok(Some(admitted)) => finish_join(tables, domain, &intent, admitted.is_new).await?,
        // The place is given back; whether by this request or another one, nobody was added.
        Ok(None) => settle(tables, domain, &intent).await?,
        Err(error) if error.refusal().is_some() => {
            finish_join(tables, domain, &intent, false).await?;
        }
        // It may have been added, or be added yet: another request will see.
        Err(_) => {}
    }
    inserted
}

/// Adds an entry in a place that was taken, as long as that is there; `None` when it cannot be used.
async fn insert_counted<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    roster: &Roster<'_, S, E>,
    machine: &Machine,
    own: &Registrations,
    intent: &Intent,
    is_as_seen: impl Fn(&LeafHeader) -> bool,
) -> Result<Option<Admitted>, Error> {
    for _ in 0..ATTEMPTS {
        // Once: a second try may follow a write that the row has forgotten, and a departure since.
        let tries = Cell::new(0);
        let next = || {
            tries.set(tries.get() + 1);
            (tries.get() == 1).then_some(intent.registration)
        };
        let inserted = insert(tables, roster, machine, own, &is_as_seen, next).await?;
        if inserted.is_some() || tries.get() < 2 {
            return Ok(inserted);
        }
        // A membership ends only when its place is a member's: while the place is there, none has.
        let now = domain_server_info::read_again(tables, domain).await?;
        if !now.info.intents.contains(intent) {
            return Ok(None);
        }
    }
    Err(contention())
}

async fn take_place<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    intent: &Intent,
) -> Result<Place, Error> {
    change(tables, domain, |info| {
        let (Count::Known(_), true) = (&info.count, info.epoch == intent.epoch) else {
            return Ok(Change::Keep(Place::Changed));
        };
        match info.intent(intent.guid) {
            // The row has forgotten that it was this request that took it.
            Some(own) if own == intent => return Ok(Change::Keep(Place::Taken)),
            Some(other) => return Ok(Change::Keep(Place::Busy(other.clone()))),
            None => {}
        }
        if !has_room(info) || info.intents.len() >= MOST_INTENTS {
            return Ok(Change::Keep(Place::Full(info.intents.clone())));
        }
        info.intents.push(intent.clone());
        Ok(Change::Write(Place::Taken))
    })
    .await
}

/// Whether there are fewer members and places taken than the maximum.
fn has_room(info: &DomainServerInfo) -> bool {
    let (Count::Known(members), Some(maximum)) = (&info.count, info.max_membership) else {
        return true;
    };
    let takes_a_place = |intent: &&Intent| !intent.is_departure() && intent.epoch == info.epoch;
    let taken = info.intents.iter().filter(takes_a_place).count() as u64;
    members + taken < maximum
}

/// Waits a moment for other requests, and finishes what they have begun if they do not, after some
/// looks.
async fn await_others<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    intents: &[Intent],
    looks: usize,
) -> Result<(), Error> {
    tables.back_off(looks).await;
    if looks < LOOKS {
        return Ok(());
    }
    let now = domain_server_info::read_again(tables, domain).await?;
    for intent in intents.iter().filter(|it| now.info.intents.contains(it)) {
        settle(tables, &now, intent).await?;
    }
    Ok(())
}
