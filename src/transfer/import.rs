//! A domain's import, line by line.
//!
//! The domain's rows are made and named as for any new domain, but the domain does not exist for
//! anybody else until the last line is in ([`Life::Importing`]). Each line may come again; so an
//! import that broke off is done again from its beginning, and changes nothing that is there.
//!
//! A line that the network has held back must change nothing in a domain that is in use. The last
//! line counts the members, leaf by leaf, and gives each leaf the epoch of that count; machines are
//! put into leaves without one alone. Keys are appended, and the last line says how many there are.

use anonymous_domains_protocol::{
    base64url,
    ids::DomainName,
    problem::ErrorName,
    transfer::{DomainPart, EndPart, ImportState, KeysPart, MachinesPart, Part, SealedKey},
};

use super::lines::{entries, invalid, is_same, seconds};
use crate::{
    credential::stored_key,
    domain::{deletion, insertion},
    environment::Environment,
    error::Error,
    issuer::{Issuer, NewCertificate},
    journal::{Event, Journal, Kind},
    store::{
        Store,
        rows::{Change, RowId},
    },
    tables::{
        Tables, blocked_machines,
        domain_keys::{self, MovedKey},
        domain_membership::{RosterLeaf, roster},
        domain_server_info::{self, Count, Domain, DomainServerInfo, ImportId, Life},
    },
};

/// The count that the last line makes: [`DomainServerInfo::epoch`].
const EPOCH: u64 = 1;

/// One request counts so many steps.
const STEPS: usize = 16;

/// How often a domain that is in the way is deleted before the request gives up.
const ATTEMPTS: usize = 3;

/// An import, for one request.
#[derive(Debug)]
pub struct Import<'a, S, E, I> {
    /// The three tables.
    pub tables: &'a Tables<S, E>,
    /// What opens private keys.
    pub issuer: &'a I,
    /// Where the request's events go.
    pub journal: Journal<'a, E>,
    /// Which import it is.
    pub id: ImportId,
    /// Whether a domain that is there is deleted first.
    pub replace: bool,
}

impl<S: Store, E: Environment, I: Issuer> Import<'_, S, E, I> {
    /// Takes a line about a domain.
    ///
    /// # Errors
    /// `PRECONDITION_FAILED` when a domain is there that this import did not make, or when the line
    /// that begins the domain did not come; `INVALID_REQUEST` for a line that cannot be used, a
    /// private key that does not open or fit its certificate, and missing lines at the end.
    pub async fn take(&self, part: &Part) -> Result<ImportState, Error> {
        if let Part::Domain(part) = part {
            return self.begin(part).await;
        }
        let domain = match self.find(part.domain()).await? {
            Some(domain) if domain.info.life == Life::Imported(self.id) => {
                return Ok(ImportState::Imported);
            }
            Some(domain) if domain.info.life == Life::Importing(self.id) => domain,
            _ => return Err(not_begun()),
        };
        match self.go_on(domain, part).await {
            // The last line came at the same time, perhaps this one before.
            Err(error)
                if error.refusal() == Some(ErrorName::PreconditionFailed)
                    && self.is_imported(part.domain()).await? =>
            {
                Ok(ImportState::Imported)
            }
            state => state,
        }
    }

    /// Takes a line about a domain that this import has begun.
    async fn go_on(&self, domain: Domain, part: &Part) -> Result<ImportState, Error> {
        match part {
            Part::Domain(_) => {}
            Part::Keys(part) => self.keys(&domain, part).await?,
            Part::Machines(part) => self.machines(&domain, part).await?,
            Part::End(part) => return self.end(domain, part).await,
        }
        Ok(ImportState::Importing)
    }

    async fn is_imported(&self, name: &DomainName) -> Result<bool, Error> {
        let found = self.find(name).await?;
        Ok(found.is_some_and(|domain| domain.info.life == Life::Imported(self.id)))
    }

    fn record(&self, kind: Kind, domain: &Domain) {
        self.journal.record(&Event {
            domain: Some(&domain.info.domain),
            ..Event::new(kind)
        });
    }

    async fn find(&self, name: &DomainName) -> Result<Option<Domain>, Error> {
        insertion::find_undeleted(self.tables, name).await
    }

    async fn begin(&self, part: &DomainPart) -> Result<ImportState, Error> {
        let created_at_s = seconds(&part.created_at)?;
        let adjust = |info: &mut DomainServerInfo| {
            info.created_at_s = created_at_s;
            info.authentication_required = part.authentication_required;
            info.auth_namespace.clone_from(&part.auth_namespace);
            info.max_membership = part.max_membership;
            info.settings_revision = 1;
            info.life = Life::Importing(self.id);
        };
        for _ in 0..ATTEMPTS {
            let (domain, _) =
                insertion::find_any_or_insert_with(self.tables, &part.domain, None, &adjust)
                    .await?;
            match domain.info.life {
                Life::Imported(id) if id == self.id => return Ok(ImportState::Imported),
                Life::Importing(id) if id == self.id => {
                    let covers = [
                        part.departures_covered,
                        part.departures_by_operators_covered,
                    ];
                    domain_keys::import_covers(self.tables, &domain, covers).await?;
                    return Ok(ImportState::Importing);
                }
                _ if self.replace => {
                    deletion::delete(self.tables, &domain).await?;
                    self.record(Kind::DomainDeleted, &domain);
                }
                Life::Importing(_) => {
                    return Err(in_the_way("another import of the domain has begun"));
                }
                _ => return Err(in_the_way("there is such a domain")),
            }
        }
        Err(Error::Unavailable(
            "the domain is inserted again and again".into(),
        ))
    }

    async fn keys(&self, domain: &Domain, part: &KeysPart) -> Result<(), Error> {
        let keys: Vec<MovedKey> = part
            .keys
            .iter()
            .map(|key| self.key(domain, key))
            .collect::<Result<_, _>>()?;
        domain_keys::import(self.tables, domain, self.issuer, &keys).await
    }

    fn key(&self, domain: &Domain, key: &SealedKey) -> Result<MovedKey, Error> {
        let (name, version) = (&domain.info.domain, key.key_version);
        let refuse = |why: &str| invalid(format!("version {version} of {name}'s key: {why}"));
        let sealed = base64url::decode(&key.sealed)
            .map_err(|_| refuse("the sealed private key is not base64url"))?;
        let mut x5c = key
            .x5c
            .iter()
            .map(|text| base64url::decode_standard(text))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| refuse("x5c is not standard base64"))?
            .into_iter();
        let der = x5c
            .next()
            .ok_or_else(|| refuse("there is no certificate"))?;
        let opened = self.issuer.open(name, version, &sealed).map_err(|_| {
            refuse("the private key does not open under the configured key_encryption_key")
        })?;
        let validity = stored_key::check(&opened, &der).map_err(refuse)?;
        Ok(MovedKey {
            version,
            sealed,
            certificate: NewCertificate {
                der,
                chain: x5c.collect(),
                not_before_s: validity.not_before_s,
                not_after_s: validity.not_after_s,
            },
            created_at_s: seconds(&key.created_at)?,
            by_operator: key.by_operator,
        })
    }

    async fn machines(&self, domain: &Domain, part: &MachinesPart) -> Result<(), Error> {
        let mut entries = entries(self.tables, part)?;
        entries.sort_unstable_by_key(|(guid, _)| *guid);
        if entries.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(invalid("a machine is there twice"));
        }
        let blocked: Vec<_> = part
            .blocked
            .iter()
            .map(|machine| {
                let at_s = match &machine.blocked_at {
                    Some(at) => seconds(at)?,
                    None => self.tables.env.now_s(),
                };
                Ok((machine.machine_guid, at_s))
            })
            .collect::<Result<_, Error>>()?;
        // Listed before they are blocked, as by an operator. Once the count has begun only lines
        // that came before can come again, and theirs are listed.
        if !blocked.is_empty() && domain.info.epoch < EPOCH {
            let list = self.list_of_blocked(domain).await?;
            for (guid, at_s) in blocked {
                blocked_machines::put_on_as_of(self.tables, list, guid, at_s).await?;
            }
        }
        let is_put_in = roster(self.tables, domain)
            .fill(&entries, |leaf| leaf.epoch < EPOCH, is_same)
            .await?;
        match is_put_in {
            true => Ok(()),
            false => Err(invalid(
                "the domain's last line came before: delete the domain, and import it again",
            )),
        }
    }

    /// The list of the domain's blocked machines, which is made if there is none.
    async fn list_of_blocked(&self, domain: &Domain) -> Result<RowId, Error> {
        if let Some(list) = domain.info.blocked {
            return Ok(list);
        }
        let mine = blocked_machines::create(self.tables).await?;
        self.change(domain, |info| match info.blocked {
            Some(theirs) => Change::Keep(theirs),
            None => {
                info.blocked = Some(mine);
                Change::Write(mine)
            }
        })
        .await
    }

    async fn end(&self, mut domain: Domain, part: &EndPart) -> Result<ImportState, Error> {
        let keys = domain_keys::read(self.tables, &domain).await?;
        if keys.newest_version() != part.keys {
            let there = keys.newest_version();
            return Err(missing(
                "key versions",
                u64::from(part.keys),
                u64::from(there),
            ));
        }
        for _ in 0..STEPS {
            let Count::Known(members) = domain.info.count else {
                self.count(&domain).await?;
                let now = domain_server_info::read(self.tables, domain.id).await?;
                if now.generation() != domain.generation() {
                    return Err(not_begun());
                }
                domain = now;
                continue;
            };
            if members != part.members {
                return Err(missing("members", part.members, members));
            }
            let state = self
                .change(&domain, |info| {
                    info.departures = part.departures;
                    info.departures_by_operators = part.departures_by_operators;
                    if info.max_membership.is_none() {
                        info.count = Count::None;
                    }
                    info.life = Life::Imported(self.id);
                    Change::Write(ImportState::Imported)
                })
                .await?;
            self.record(Kind::DomainCreated, &domain);
            return Ok(state);
        }
        Ok(ImportState::Importing)
    }

    /// Begins to count the members, or counts those of some leaves.
    async fn count(&self, domain: &Domain) -> Result<(), Error> {
        let Count::Running { from, sum, .. } = domain.info.count else {
            return self
                .change(domain, |info| {
                    if info.epoch == EPOCH {
                        return Change::Keep(());
                    }
                    info.epoch = EPOCH;
                    info.count = Count::Running {
                        from: None,
                        sum: 0,
                        departed: 0,
                    };
                    Change::Write(())
                })
                .await;
        };
        let roster = roster(self.tables, domain);
        let (mut counted, mut next) = (0, from);
        for _ in 0..self.tables.limits.leaves_a_step {
            let (members, upper) = roster.update_leaf(next.as_ref(), count_leaf).await?;
            counted += members;
            next = upper;
            if next.is_none() {
                break;
            }
        }
        self.change(domain, |info| {
            // Another request has come further.
            if info.count != domain.info.count {
                return Change::Keep(());
            }
            info.count = match next {
                Some(_) => Count::Running {
                    from: next,
                    sum: sum + counted,
                    departed: 0,
                },
                None => Count::Known(sum + counted),
            };
            Change::Write(())
        })
        .await
    }

    /// Changes the row of a domain that is being imported.
    ///
    /// # Errors
    /// `PRECONDITION_FAILED` when it is not any more.
    async fn change<R>(
        &self,
        domain: &Domain,
        mut decide: impl FnMut(&mut DomainServerInfo) -> Change<R>,
    ) -> Result<R, Error> {
        let mut answer = None;
        self.change_row(domain, &mut |info| {
            let change = decide(info);
            let writes = matches!(change, Change::Write(_));
            let (Change::Keep(decided) | Change::Write(decided)) = change;
            answer = Some(decided);
            writes
        })
        .await?;
        answer.ok_or_else(|| Error::fault("a domain was decided about by nobody"))
    }

    /// [`change`](Self::change) whatever it gives. `decide` says whether the row is to be written.
    async fn change_row(
        &self,
        domain: &Domain,
        decide: &mut dyn FnMut(&mut DomainServerInfo) -> bool,
    ) -> Result<(), Error> {
        let decide = |info: &mut DomainServerInfo| {
            let is_same = info.generation() == domain.generation();
            if !is_same || info.life != Life::Importing(self.id) {
                return Err(not_begun());
            }
            Ok(match decide(info) {
                false => Change::Keep(()),
                true => Change::Write(()),
            })
        };
        self.tables
            .update(domain_server_info::TABLE, domain.id, decide)
            .await
    }
}

/// Makes a leaf part of the count, after which nothing more is imported into it.
fn count_leaf(leaf: &mut RosterLeaf<'_>) -> Change<u64> {
    if leaf.header.epoch >= EPOCH {
        return Change::Keep(leaf.header.counted);
    }
    leaf.join_count(EPOCH);
    Change::Write(leaf.header.counted)
}

fn missing(what: &str, wanted: u64, there: u64) -> Error {
    invalid(format!(
        "lines are missing: there are {there} {what} instead of {wanted}"
    ))
}

fn in_the_way(why: &'static str) -> Error {
    Error::refused(ErrorName::PreconditionFailed, why)
}

fn not_begun() -> Error {
    in_the_way("no import of the domain has begun that this line is of")
}
