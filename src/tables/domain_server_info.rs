//! `DomainServerInfo`: a domain's settings.

use std::fmt;

use anonymous_domains_protocol::{
    ids::{DomainName, MachineGuid},
    problem::ErrorName,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use super::Tables;
use crate::{
    environment::Environment,
    error::Error,
    store::{
        Store,
        rows::{Change, RowId, Table},
    },
};

/// The table.
pub const TABLE: Table = Table::named("DomainServerInfo");

/// A domain's row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DomainServerInfo {
    /// The domain's name.
    pub domain: DomainName,
    /// When the domain was inserted, in seconds since 1970.
    pub created_at_s: i64,
    /// Whether devices must bring an authentication token.
    pub authentication_required: bool,
    /// Auth Namespace: what the token's namespace must be, where this is set.
    pub auth_namespace: Option<String>,
    /// Max Membership: how many machines may belong to the domain, where this is set.
    pub max_membership: Option<u64>,
    /// How often an operator has set these settings.
    pub settings_revision: u64,
    /// How often an operator has had the certificates of its keys signed again.
    pub reissues: u64,
    /// How many departures and rollovers asked for there have been. A key must cover them all: the
    /// reference implementation's Key Rollover Required is `departures` above what the newest key
    /// covers.
    pub departures: u64,
    /// How many of them were an operator's wish.
    pub departures_by_operators: u64,
    /// The number of members, which is known where there is a maximum.
    pub count: Count,
    /// Which count this is: how often one was begun. A leaf of the roster that has this number
    /// was counted.
    pub epoch: u64,
    /// Changes of the roster that are under way, or whose request has died. At most one for a GUID.
    pub intents: Vec<Intent>,
    /// The memberships that ended last, the newest first, so that none ends twice: the numbers of
    /// their entries.
    pub ended: Vec<u64>,
    /// The root of the domain's tree in `DomainMembership`.
    pub membership: RowId,
    /// The domain's row in `DomainKeys`.
    pub keys: RowId,
    /// The root of the list of the domain's blocked machines, once there is one.
    pub blocked: Option<RowId>,
    /// Whether the domain exists.
    pub life: Life,
}

/// How many members a domain has, as far as that matters ([`crate::membership`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Count {
    /// There is no maximum, and nobody counts.
    None,
    /// A maximum was set, and the members are being counted, leaf by leaf.
    Running {
        /// The first GUID that is not yet counted; `None` at the beginning.
        from: Option<MachineGuid>,
        /// The members of the leaves below, each as it was when it was counted.
        sum: u64,
        /// How many members have departed from counted leaves since.
        departed: u64,
    },
    /// So many, changes in `intents` aside.
    Known(u64),
}

/// A change of the roster, noted before it is made, so that whoever finds it can finish it
/// ([`crate::membership::intents`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The machine's GUID.
    pub guid: MachineGuid,
    /// The membership that begins or ends: the number that its entry has.
    pub registration: u64,
    /// The count during which it is made: [`DomainServerInfo::epoch`].
    pub epoch: u64,
    /// When it was noted, in milliseconds since 1970.
    pub at_ms: i64,
    /// What is to be done.
    pub action: Action,
}

/// What an [`Intent`] is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Add a member, as long as its leaf has this fence.
    Join {
        /// The leaf's fence when the place was taken.
        fence: u64,
    },
    /// Remove a member that asked to leave, and remember its departure.
    Leave {
        /// `iat` of the request, in milliseconds since 1970.
        iat_ms: i64,
        /// Until when the departure is remembered, in milliseconds since 1970.
        forget_at_ms: i64,
        /// The thumbprint of the key that signed the request.
        key_thumbprint: ByteArray<32>,
    },
    /// Remove a member on an operator's word.
    Remove,
    /// Remove a member on an operator's word, and let it not join any more.
    Block,
}

/// Whether a domain exists. A deleted domain's row stays, because its name is given once; a domain
/// that is inserted under the name again gets other rows everywhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Life {
    /// The domain exists.
    Exists,
    /// It was deleted, but its other rows are still to be erased.
    DeletionBegun,
    /// Nothing of it is left.
    Deleted,
    /// It is being imported: only the import may see it.
    Importing(ImportId),
    /// The domain exists, and was imported.
    Imported(ImportId),
}

/// Which import it is: a digest of what is imported.
pub type ImportId = [u8; 32];

impl DomainServerInfo {
    /// What a domain is inserted with at the first registration.
    pub fn with_defaults(
        domain: DomainName,
        created_at_s: i64,
        membership: RowId,
        keys: RowId,
    ) -> Self {
        Self {
            domain,
            created_at_s,
            authentication_required: false,
            auth_namespace: None,
            max_membership: None,
            settings_revision: 0,
            reissues: 0,
            departures: 0,
            departures_by_operators: 0,
            count: Count::None,
            epoch: 0,
            intents: Vec::new(),
            ended: Vec::new(),
            membership,
            keys,
            blocked: None,
            life: Life::Exists,
        }
    }

    /// Whether the domain exists.
    pub fn exists(&self) -> bool {
        matches!(self.life, Life::Exists | Life::Imported(_))
    }

    /// Which of the domains of its name this is.
    pub fn generation(&self) -> Generation {
        Generation(self.keys)
    }

    /// Sets Max Membership. Where there was none before, the members must be counted.
    pub fn set_maximum(&mut self, maximum: Option<u64>) {
        self.max_membership = maximum;
        match (maximum, &self.count) {
            (None, _) => self.count = Count::None,
            (Some(_), Count::None) => {
                self.epoch += 1;
                self.count = Count::Running {
                    from: None,
                    sum: 0,
                    departed: 0,
                };
            }
            (Some(_), Count::Running { .. } | Count::Known(_)) => {}
        }
    }

    /// Whether a rollover is required that the newest key, which covers so many departures, does
    /// not cover, or will be once a departure that is under way is done.
    pub fn rollover_required(&self, departures_covered: u64) -> bool {
        let departs = |intent: &Intent| !matches!(intent.action, Action::Join { .. });
        departures_covered < self.departures || self.intents.iter().any(departs)
    }

    /// What is noted of a machine.
    pub fn intent(&self, guid: MachineGuid) -> Option<&Intent> {
        self.intents.iter().find(|intent| intent.guid == guid)
    }
}

/// Which of the domains that have had a name in turn: a domain that is inserted under the name of a
/// deleted one is another generation. It is the name of the domain's row in `DomainKeys`, which no
/// other domain ever has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(RowId);

/// 32 hexadecimal digits.
impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
impl Generation {
    pub(crate) fn from_byte(byte: u8) -> Self {
        Self(RowId::from_byte(byte))
    }
}

/// A domain as one request sees it.
#[derive(Debug, Clone)]
pub struct Domain {
    /// Its row's name.
    pub id: RowId,
    /// Its row, as it was when the request read it.
    pub info: DomainServerInfo,
}

impl Domain {
    /// Which of the domains of its name it is.
    pub fn generation(&self) -> Generation {
        self.info.generation()
    }

    /// Whether it exists.
    pub fn exists(&self) -> bool {
        self.info.exists()
    }

    /// Whether it is being imported.
    pub fn is_importing(&self) -> bool {
        matches!(self.info.life, Life::Importing(_))
    }
}

/// Reads a row that the directory names; `None` for a domain that was deleted, or is not imported
/// yet.
pub async fn read_existing<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    id: RowId,
) -> Result<Option<Domain>, Error> {
    Ok(Some(read(tables, id).await?).filter(Domain::exists))
}

/// The same domain as it is now.
///
/// # Errors
/// `Unavailable` when it was deleted since.
pub async fn read_again<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<Domain, Error> {
    let now = read(tables, domain.id).await?;
    if now.exists() && now.generation() == domain.generation() {
        return Ok(now);
    }
    Err(deleted_meanwhile())
}

/// For a request that was under way when its domain was deleted.
pub fn deleted_meanwhile() -> Error {
    Error::Unavailable("the domain was deleted in the meantime".into())
}

/// For a request that comes while the domain is being imported.
pub fn being_imported() -> Error {
    Error::Unavailable("the domain is being imported".into())
}

/// Whether a domain was deleted since it was read.
pub async fn is_gone<S: Store, E: Environment>(tables: &Tables<S, E>, domain: &Domain) -> bool {
    let now = read(tables, domain.id).await;
    now.is_ok_and(|now| !now.exists() || now.generation() != domain.generation())
}

/// Reads a row that the directory names, whatever has become of the domain.
pub async fn read<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    id: RowId,
) -> Result<Domain, Error> {
    match tables.read(TABLE, id).await {
        Ok(info) => Ok(Domain { id, info }),
        Err(error) => {
            tables.forget(id);
            Err(error)
        }
    }
}

/// Changes the row of a domain that exists and is still the one that was looked up, as `decide`
/// says; also gives the domain as it is then. The promises are those of
/// [`Rows::update`](crate::store::rows::Rows::update).
///
/// # Errors
/// Those of `decide`, with nothing written; `UNKNOWN_DOMAIN` when the domain was deleted since.
pub async fn update<S: Store, E: Environment, R>(
    tables: &Tables<S, E>,
    domain: &Domain,
    mut decide: impl FnMut(&mut DomainServerInfo) -> Result<Change<R>, Error>,
) -> Result<(R, Domain), Error> {
    let mut answer = None;
    let domain = update_row(tables, domain, &mut |info| {
        let change = decide(info)?;
        let writes = matches!(change, Change::Write(_));
        let (Change::Keep(decided) | Change::Write(decided)) = change;
        answer = Some(decided);
        Ok(writes)
    })
    .await?;
    let answer = answer.ok_or_else(|| Error::fault("a domain was decided about by nobody"))?;
    Ok((answer, domain))
}

/// [`update`] whatever it gives. `decide` says whether the row is to be written.
async fn update_row<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
    decide: &mut dyn FnMut(&mut DomainServerInfo) -> Result<bool, Error>,
) -> Result<Domain, Error> {
    let decide = |info: &mut DomainServerInfo| {
        if !info.exists() || info.generation() != domain.generation() {
            return Err(Error::refused(
                ErrorName::UnknownDomain,
                "the domain was deleted in the meantime",
            ));
        }
        Ok(match decide(info)? {
            false => Change::Keep(info.clone()),
            true => Change::Write(info.clone()),
        })
    };
    let info = tables.update(TABLE, domain.id, decide).await?;
    let id = domain.id;
    Ok(Domain { id, info })
}

/// [`read`], but the read is never stale.
pub async fn read_now<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    id: RowId,
) -> Result<Domain, Error> {
    let info = tables
        .update(TABLE, id, |info: &mut DomainServerInfo| {
            Ok(Change::Keep(info.clone()))
        })
        .await?;
    Ok(Domain { id, info })
}

/// Notes that the certificates of the domain's keys were signed again, after they are saved:
/// whoever remembers them reads them anew.
///
/// # Errors
/// `UNKNOWN_DOMAIN` when the domain was deleted since.
pub async fn note_reissue<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    let note = |info: &mut DomainServerInfo| {
        info.reissues += 1;
        Ok(Change::Write(()))
    };
    update(tables, domain, note).await?;
    Ok(())
}

/// Sets Key Rollover Required on an operator's word.
///
/// # Errors
/// `UNKNOWN_DOMAIN` when the domain was deleted since.
pub async fn require_rollover<S: Store, E: Environment>(
    tables: &Tables<S, E>,
    domain: &Domain,
) -> Result<(), Error> {
    let raise = |info: &mut DomainServerInfo| {
        info.departures += 1;
        info.departures_by_operators += 1;
        Ok(Change::Write(()))
    };
    update(tables, domain, raise).await?;
    Ok(())
}
