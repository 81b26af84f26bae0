//! `DomainMembership`: the machines of a domain.
//!
//! A domain's roster is a [`Tree`] by GUID. Where there is a maximum it is one row, and the maximum
//! stands in that row, so that to count, to check and to insert are one swap: the maximum that
//! admits a machine is the one in force at that instant. `DomainServerInfo` has what the operator
//! set last; whoever finds the roster behind brings it up to date first ([`enforce_maximum`]), so
//! an operator's crash between the two rows mends itself.

use anonymous_domains_protocol::{ids::MachineGuid, problem::ErrorName};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use super::domain_server_info::{self, Domain};
use crate::{
    error::Error,
    knobs::{Mutation, broken},
    ports::Environment,
    store::{
        Store,
        rows::{Change, Rows, Table},
        tree::{Header, Leaf, Node, Tree},
    },
};

/// How far a machine's request may lie before what it is compared with and still pass for later,
/// in milliseconds.
const REPLAY_SLACK_MS: i64 = 1000;

/// A leaf keeps at most this many departures, the newest.
const DEPARTURES_KEPT: usize = 64;

/// A machine's GUID, as the key of its entry.
type Guid = ByteArray<16>;

fn key(guid: MachineGuid) -> Guid {
    ByteArray::new(*guid.as_bytes())
}

/// What a roster says of itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Roster {
    /// Max Membership, as it counts.
    maximum: Option<u64>,
    /// Which of the operator's settings that is from.
    settings_revision: u64,
}

impl Header for Roster {
    fn may_split(&self) -> bool {
        self.maximum.is_none()
    }
}

/// A domain's first row in `DomainMembership`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MembershipRoot(Node<Guid, Entry, Roster>);

impl Default for MembershipRoot {
    fn default() -> Self {
        Self(Node::root(Roster::default()))
    }
}

/// What is known of a GUID in a domain.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Entry {
    /// It belongs to the domain.
    Member(Member),
    /// It belonged to the domain a short while ago: requests from before that are replays.
    Departed {
        /// `iat` of the request to leave.
        iat_ms: i64,
        /// From when on such a replay is too old by its `iat` alone, in milliseconds since 1970.
        forget_at_ms: i64,
    },
    /// An operator has blocked it; it cannot join.
    Blocked,
}

/// A machine that belongs to a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The RFC 7638 SHA-256 thumbprint of the machine's key.
    #[serde(with = "serde_bytes")]
    pub key_thumbprint: [u8; 32],
    /// When it was added, in seconds since 1970 by the server's clock.
    pub registered_at_s: i64,
    /// When it asked to be added, in milliseconds since 1970 by its own clock (`iat`).
    pub joined_iat_ms: i64,
}

/// A machine that asks, as its request proves it.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// Its GUID.
    pub guid: MachineGuid,
    /// The RFC 7638 SHA-256 thumbprint of the key that signed the request.
    pub key_thumbprint: [u8; 32],
    /// When it asked, in milliseconds since 1970 by its own clock.
    pub iat_ms: i64,
}

impl Machine {
    fn key(&self) -> Guid {
        key(self.guid)
    }

    /// A GUID belongs to the key that registered it.
    fn check_key(&self, member: &Member) -> Result<(), Error> {
        if member.key_thumbprint == self.key_thumbprint {
            return Ok(());
        }
        Err(Error::refused(
            ErrorName::MachineKeyMismatch,
            "the machine is registered with another key",
        ))
    }

    fn is_before(&self, iat_ms: i64) -> bool {
        self.iat_ms < iat_ms - REPLAY_SLACK_MS
    }
}

type MembershipTree<'a, S, E> = Tree<'a, S, E, Guid, Entry, Roster>;
type RosterLeaf<'a> = Leaf<'a, Guid, Entry, Roster>;

fn tree<'a, S: Store, E: Environment>(
    rows: &'a Rows<S, E>,
    domain: &Domain,
) -> MembershipTree<'a, S, E> {
    Tree::new(rows, Table::DomainMembership, domain.info.membership)
}

/// A machine that is a member now.
#[derive(Debug)]
pub struct Admitted {
    /// Its entry.
    pub member: Member,
    /// Whether it was added by this request.
    pub is_new: bool,
}

/// Looks a machine up, and adds it if it is new. A machine that is a member already costs no write.
///
/// # Errors
/// `MACHINE_KEY_MISMATCH`; `DOM_REG_DENIED` for a blocked machine; `REQUEST_REPLAYED` for a request
/// from before the machine left; `DOM_LIMIT_REACHED` for a new one when the domain is full.
pub async fn find_or_add<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
    machine: &Machine,
) -> Result<Admitted, Error> {
    let tree = tree(rows, domain);
    if let Some(Entry::Member(member)) = tree.get(&machine.key()).await? {
        machine.check_key(&member)?;
        let is_new = false;
        return Ok(Admitted { member, is_new });
    }
    enforce_maximum(rows, domain).await?;
    tree.update(&machine.key(), |leaf| {
        match leaf.get(&machine.key()) {
            Some(Entry::Member(member)) => {
                machine.check_key(member)?;
                let (member, is_new) = (member.clone(), false);
                return Ok(Change::Keep(Admitted { member, is_new }));
            }
            Some(Entry::Departed { iat_ms, .. }) if machine.is_before(*iat_ms) => {
                return Err(replayed("the machine has left since"));
            }
            Some(Entry::Blocked) => {
                return Err(Error::refused(
                    ErrorName::DomRegDenied,
                    "the machine is blocked in the domain",
                ));
            }
            Some(Entry::Departed { .. }) | None => {}
        }
        check_room(leaf)?;
        let member = Member {
            key_thumbprint: machine.key_thumbprint,
            registered_at_s: rows.env.now_s(),
            joined_iat_ms: machine.iat_ms,
        };
        forget_departures(leaf, rows.env.now_ms());
        leaf.insert(machine.key(), Entry::Member(member.clone()));
        let is_new = true;
        Ok(Change::Write(Admitted { member, is_new }))
    })
    .await
}

/// Looks up a machine that wants to leave.
///
/// # Errors
/// `DEREG_DENIED` when it is no member; `MACHINE_KEY_MISMATCH`; `REQUEST_REPLAYED` when it joined
/// after this request was made.
pub async fn find_leaver<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
    machine: &Machine,
) -> Result<(), Error> {
    check_leaver(
        tree(rows, domain).get(&machine.key()).await?.as_ref(),
        machine,
    )
}

/// Deletes a machine's entry. Key Rollover Required must have been set before.
///
/// `clock_tolerance_s` says how long a request is taken for fresh, and so how long a departure
/// must be remembered.
///
/// # Errors
/// Those of [`find_leaver`].
pub async fn remove<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
    machine: &Machine,
    clock_tolerance_s: u32,
) -> Result<(), Error> {
    tree(rows, domain)
        .update(&machine.key(), |leaf| {
            check_leaver(leaf.get(&machine.key()), machine)?;
            let now_ms = rows.env.now_ms();
            let departed = Entry::Departed {
                iat_ms: machine.iat_ms,
                forget_at_ms: now_ms + 2000 * i64::from(clock_tolerance_s),
            };
            forget_departures(leaf, now_ms);
            leaf.insert(machine.key(), departed);
            Ok(Change::Write(()))
        })
        .await
}

/// A maximum counts members; a leaf with one is the whole roster.
fn check_room(leaf: &RosterLeaf<'_>) -> Result<(), Error> {
    let Some(maximum) = leaf.header.maximum else {
        return Ok(());
    };
    let members = leaf.entries.iter().filter(|(_, entry)| is_member(entry));
    if (members.count() as u64) < maximum {
        return Ok(());
    }
    Err(Error::refused(
        ErrorName::DomLimitReached,
        "the domain has as many members as it may",
    ))
}

fn is_member(entry: &Entry) -> bool {
    matches!(entry, Entry::Member(_))
}

/// Brings the maximum that counts up to what the operator set last.
///
/// When this returns, no machine is admitted any more under a maximum that was set before.
pub async fn enforce_maximum<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    let settings_revision = domain.info.settings_revision;
    if settings_revision == 0 {
        return Ok(());
    }
    let tree = tree(rows, domain);
    let is_newer = |roster: &Roster| settings_revision > roster.settings_revision;
    if is_newer(&tree.header().await?) {
        let maximum = domain.info.max_membership;
        let roster = Roster {
            maximum,
            settings_revision,
        };
        tree.set_header(&roster, is_newer).await?;
    }
    Ok(())
}

fn check_leaver(entry: Option<&Entry>, machine: &Machine) -> Result<(), Error> {
    let Some(Entry::Member(member)) = entry else {
        return Err(Error::refused(
            ErrorName::DeregDenied,
            "the machine is not a member of the domain",
        ));
    };
    machine.check_key(member)?;
    if machine.is_before(member.joined_iat_ms) {
        return Err(replayed("the machine has joined again since"));
    }
    Ok(())
}

/// Drops departures whose replays are refused by their age alone, and the oldest of too many.
fn forget_departures(leaf: &mut RosterLeaf<'_>, now_ms: i64) {
    let forget_at = |entry: &Entry| match entry {
        Entry::Departed { forget_at_ms, .. } => Some(*forget_at_ms),
        Entry::Member(_) | Entry::Blocked => None,
    };
    let mut remembered: Vec<i64> = leaf
        .entries
        .iter()
        .filter_map(|(_, entry)| forget_at(entry))
        .collect();
    remembered.sort_unstable_by(|a, b| b.cmp(a));
    let oldest = remembered
        .get(DEPARTURES_KEPT)
        .map_or(now_ms, |at| now_ms.max(*at));
    leaf.entries
        .retain(|(_, entry)| forget_at(entry).is_none_or(|at| at > oldest));
}

fn replayed(why: &'static str) -> Error {
    Error::refused(ErrorName::RequestReplayed, why)
}

/// Members with GUIDs above `after`, ascending, at most `limit` of them.
pub async fn members<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
    mut after: Option<MachineGuid>,
    limit: usize,
) -> Result<Vec<(MachineGuid, Member)>, Error> {
    let mut listed = Vec::new();
    while listed.len() < limit {
        let from = after.map(key);
        let entries = tree(rows, domain).scan(from.as_ref(), limit).await?;
        let Some((last, _)) = entries.last() else {
            break;
        };
        after = Some(MachineGuid::from_bytes(**last));
        listed.extend(entries.into_iter().filter_map(|(guid, entry)| match entry {
            Entry::Member(member) => Some((MachineGuid::from_bytes(*guid), member)),
            Entry::Departed { .. } | Entry::Blocked => None,
        }));
    }
    listed.truncate(limit);
    Ok(listed)
}

/// How many machines belong to the domain. Looks at every row of the roster.
pub async fn count<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
) -> Result<u64, Error> {
    let entries = tree(rows, domain).scan(None, usize::MAX).await?;
    Ok(entries.iter().filter(|(_, entry)| is_member(entry)).count() as u64)
}

/// What an operator does to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Remove it; it may join again.
    Remove,
    /// Remove it if it is there, and let it not join any more.
    Block,
}

/// Removes a machine on an operator's word, with the rollover that a removal means. Whether there
/// was anything to do.
pub async fn expel<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
    guid: MachineGuid,
    removal: Removal,
) -> Result<bool, Error> {
    enum Step {
        Done(bool),
        RaiseFirst,
    }
    let key = key(guid);
    let mut raised = false;
    loop {
        let step = tree(rows, domain)
            .update(&key, |leaf| {
                let entry = leaf.get(&key);
                let is_member = entry.is_some_and(is_member);
                let is_blocked = matches!(entry, Some(Entry::Blocked));
                if is_member && !raised && !broken(Mutation::ExpelWithoutRollover) {
                    return Ok(Change::Keep(Step::RaiseFirst));
                }
                match removal {
                    Removal::Remove if !is_member => return Ok(Change::Keep(Step::Done(false))),
                    Removal::Block if is_blocked => return Ok(Change::Keep(Step::Done(false))),
                    Removal::Remove => leaf.remove(&key),
                    Removal::Block => leaf.insert(key, Entry::Blocked),
                }
                Ok(Change::Write(Step::Done(true)))
            })
            .await?;
        match step {
            Step::Done(changed) => {
                if changed && raised {
                    domain_server_info::require_rollover_again(rows, domain).await?;
                }
                return Ok(changed);
            }
            // As when a machine leaves by itself: the rollover is required before it is gone.
            Step::RaiseFirst => domain_server_info::require_rollover(rows, domain).await?,
        }
        raised = true;
    }
}

/// Lets a blocked machine join again.
pub async fn unblock<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
    guid: MachineGuid,
) -> Result<(), Error> {
    let key = key(guid);
    tree(rows, domain)
        .update(&key, |leaf| {
            if !matches!(leaf.get(&key), Some(Entry::Blocked)) {
                return Ok(Change::Keep(()));
            }
            leaf.remove(&key);
            Ok(Change::Write(()))
        })
        .await
}

/// Whether a machine is blocked.
pub async fn is_blocked<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
    guid: MachineGuid,
) -> Result<bool, Error> {
    let entry = tree(rows, domain).get(&key(guid)).await?;
    Ok(matches!(entry, Some(Entry::Blocked)))
}

/// Erases a deleted domain's roster for ever. May run again.
pub(super) async fn erase<S: Store, E: Environment>(
    rows: &Rows<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    tree(rows, domain).erase().await
}
