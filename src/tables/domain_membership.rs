//! `DomainMembership`: the machines of a domain.
//!
//! A domain's roster is a [`Tree`] by GUID. An entry is added, changed and removed by one swap on
//! its leaf. Each leaf has a header that ties it to the domain's count of members and to changes
//! that are under way: see [`crate::membership`], which decides when an entry may change.

use anonymous_domains_protocol::{ids::MachineGuid, problem::ErrorName};
use serde::{Deserialize, Serialize};

use super::{Tables, domain_server_info::Domain};
use crate::{
    environment::Environment,
    error::Error,
    store::{
        Store,
        rows::Table,
        tree::{Header, Leaf, Node, Tree},
    },
};

/// The table.
pub const TABLE: Table = Table::named("DomainMembership");

/// How far a machine's request may lie before what it is compared with and still pass for later,
/// in milliseconds.
const REPLAY_SLACK_MS: i64 = 1000;

/// A leaf keeps at most this many departures, the newest.
const DEPARTURES_KEPT: usize = 64;

/// What a leaf of the roster says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafHeader {
    /// The last count of the domain's members that this leaf is part of
    /// ([`DomainServerInfo::epoch`](super::domain_server_info::DomainServerInfo::epoch)).
    pub epoch: u64,
    /// How many members the leaf had when it became part of that count.
    pub counted: u64,
    /// How often a place that was taken for a machine of this leaf was given up.
    pub fence: u64,
}

impl Header for LeafHeader {
    /// Both halves have been counted; the lower one stands for both.
    fn halves(&self) -> [Self; 2] {
        let upper = Self {
            counted: 0,
            ..*self
        };
        [*self, upper]
    }
}

/// A domain's first row in `DomainMembership`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MembershipRoot(Node<MachineGuid, Entry, LeafHeader>);

impl Default for MembershipRoot {
    fn default() -> Self {
        Self(Node::root(LeafHeader::default()))
    }
}

/// What is known of a GUID in a domain.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Entry {
    /// It belongs to the domain.
    Member(Member),
    /// It belonged to the domain a short while ago.
    Departed(Departure),
    /// An operator has blocked it; it cannot join. It may have left a short while ago.
    Blocked(Option<Departure>),
}

impl Entry {
    /// The member, if this is one.
    pub fn member(&self) -> Option<&Member> {
        match self {
            Self::Member(member) => Some(member),
            Self::Departed(_) | Self::Blocked(_) => None,
        }
    }
}

/// A departure: requests to join from before it are replays.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Departure {
    /// `iat` of the request to leave, in milliseconds since 1970.
    pub iat_ms: i64,
    /// From when on such a replay is too old by its `iat` alone, in milliseconds since 1970.
    pub forget_at_ms: i64,
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
    /// A random number that no other membership has.
    pub registration: u64,
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
    fn is_before(&self, iat_ms: i64) -> bool {
        self.iat_ms < iat_ms - REPLAY_SLACK_MS
    }

    /// Whether it may join, by its entry: the member that it already is, or `None` if it is new.
    ///
    /// # Errors
    /// `MACHINE_KEY_MISMATCH`: a GUID belongs to the key that registered it. `DOM_REG_DENIED` for a
    /// blocked machine; `REQUEST_REPLAYED` for a request from before the machine left.
    pub fn check_join<'a>(&self, entry: Option<&'a Entry>) -> Result<Option<&'a Member>, Error> {
        match entry {
            Some(Entry::Member(member)) if member.key_thumbprint == self.key_thumbprint => {
                Ok(Some(member))
            }
            Some(Entry::Member(_)) => Err(Error::refused(
                ErrorName::MachineKeyMismatch,
                "the machine is registered with another key",
            )),
            Some(Entry::Departed(departure)) if self.is_before(departure.iat_ms) => {
                Err(replayed("the machine has left since"))
            }
            Some(Entry::Blocked(_)) => Err(Error::refused(
                ErrorName::DomRegDenied,
                "the machine is blocked in the domain",
            )),
            Some(Entry::Departed(_)) | None => Ok(None),
        }
    }

    /// Whether it may leave, by its entry; `None` if it is no member, or not under this key, which
    /// nobody is to tell from the other.
    ///
    /// # Errors
    /// `REQUEST_REPLAYED` when it joined after this request was made.
    pub fn check_leave<'a>(&self, entry: Option<&'a Entry>) -> Result<Option<&'a Member>, Error> {
        let member = entry.and_then(Entry::member);
        match member.filter(|member| member.key_thumbprint == self.key_thumbprint) {
            Some(member) if self.is_before(member.joined_iat_ms) => {
                Err(replayed("the machine has joined again since"))
            }
            member => Ok(member),
        }
    }
}

fn replayed(why: &'static str) -> Error {
    Error::refused(ErrorName::RequestReplayed, why)
}

/// A domain's roster.
pub type Roster<'a, S, E> = Tree<'a, S, E, MachineGuid, Entry, LeafHeader>;

/// A leaf of it.
pub type RosterLeaf<'a> = Leaf<'a, MachineGuid, Entry, LeafHeader>;

/// The roster of a domain.
pub fn roster<'a, S: Store, E: Environment>(
    tables: &'a Tables<S, E>,
    domain: &Domain,
) -> Roster<'a, S, E> {
    Tree::new(tables, TABLE, domain.info.membership)
}

impl RosterLeaf<'_> {
    /// How many members the leaf has.
    pub fn members(&self) -> u64 {
        count_members(self.entries)
    }

    /// Makes the leaf part of a count, if it is not part of it already. From then on nobody is
    /// added to it on the word of an earlier one.
    pub fn join_count(&mut self, epoch: u64) {
        if self.header.epoch < epoch {
            self.header.epoch = epoch;
            self.header.counted = self.members();
        }
    }

    /// Drops departures whose replays are refused by their age alone, and the oldest of too many.
    pub fn forget_departures(&mut self, now_ms: i64) {
        let forget_at = |entry: &Entry| match entry {
            Entry::Departed(departure) => Some(departure.forget_at_ms),
            Entry::Member(_) | Entry::Blocked(_) => None,
        };
        let mut remembered: Vec<i64> = self
            .entries
            .iter()
            .filter_map(|(_, entry)| forget_at(entry))
            .collect();
        remembered.sort_unstable_by(|a, b| b.cmp(a));
        let oldest = remembered
            .get(DEPARTURES_KEPT)
            .map_or(now_ms, |at| now_ms.max(*at));
        self.entries
            .retain(|(_, entry)| forget_at(entry).is_none_or(|at| at > oldest));
    }
}

/// How many of a leaf's entries are members.
pub fn count_members(entries: &[(MachineGuid, Entry)]) -> u64 {
    let members = entries.iter().filter(|(_, entry)| entry.member().is_some());
    members.count() as u64
}

/// Members with GUIDs above `after`, ascending, at most `limit` of them.
pub async fn members<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    mut after: Option<MachineGuid>,
    limit: usize,
) -> Result<Vec<(MachineGuid, Member)>, Error> {
    let mut listed = Vec::new();
    while listed.len() < limit {
        let entries = roster(tables, domain).scan(after.as_ref(), limit).await?;
        let Some((last, _)) = entries.last() else {
            break;
        };
        after = Some(*last);
        listed.extend(entries.into_iter().filter_map(|(guid, entry)| match entry {
            Entry::Member(member) => Some((guid, member)),
            Entry::Departed(_) | Entry::Blocked(_) => None,
        }));
    }
    listed.truncate(limit);
    Ok(listed)
}

/// Whether a machine is blocked.
pub async fn is_blocked<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    guid: MachineGuid,
) -> Result<bool, Error> {
    let entry = roster(tables, domain).get(&guid).await?;
    Ok(matches!(entry, Some(Entry::Blocked(_))))
}

/// Erases a deleted domain's roster for ever. May run again.
pub async fn erase<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    roster(tables, domain).erase().await
}
