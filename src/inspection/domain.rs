//! Checking one domain.

use anonymous_domains_protocol::{
    check::FindingKind,
    ids::{DomainName, MachineGuid},
};

use super::{Counted, Inspection, Report, Walk};
use crate::{
    credential::stored_key,
    domain::deletion,
    environment::Environment,
    error::Error,
    issuer::Issuer,
    membership::{count, intents},
    store::{Store, rows::RowId},
    tables::{
        blocked_machines,
        domain_keys::{self, DomainKey, DomainKeys},
        domain_membership::{self, Entry, count_members, roster},
        domain_server_info::{self, Count, Domain, DomainServerInfo, Life},
    },
};

impl<S: Store, E: Environment> Inspection<'_, S, E> {
    /// Checks a domain; gives where to go on in it if there is more to read than may be.
    pub(super) async fn domain(
        &self,
        name: &str,
        id: RowId,
        walk: Option<Walk>,
        report: &mut Report,
    ) -> Result<Option<Walk>, Error> {
        let domain = match domain_server_info::read(self.tables, id).await {
            Ok(domain) => domain,
            Err(error) => {
                self.is_the_rows().await?;
                let detail = format!("its row in DomainServerInfo: {error}");
                report.add(Some(name), FindingKind::UnreadableRow, detail, false);
                report.has_read(1);
                return Ok(None);
            }
        };
        if domain.info.domain.as_str() != name {
            let detail = format!("its row is that of {}", domain.info.domain);
            report.add(Some(name), FindingKind::Contradiction, detail, false);
            return Ok(None);
        }
        match domain.info.life {
            Life::Exists | Life::Imported(_) => {}
            Life::Deleted => {
                report.has_read(1);
                return Ok(None);
            }
            Life::DeletionBegun => {
                self.deletion(&domain, report).await?;
                return Ok(None);
            }
            Life::Importing(_) => {
                let detail = "nobody can use the domain: import it again, or delete it".to_owned();
                report.add(Some(name), FindingKind::ImportUnfinished, detail, false);
                return Ok(None);
            }
        }
        match self.existing(domain.clone(), walk, report).await {
            Err(_) if domain_server_info::is_gone(self.tables, &domain).await => Ok(None),
            checked => checked,
        }
    }

    /// Checks a domain that exists.
    async fn existing(
        &self,
        mut domain: Domain,
        walk: Option<Walk>,
        report: &mut Report,
    ) -> Result<Option<Walk>, Error> {
        let generation = domain.generation().to_string();
        let walk = match walk.filter(|walk| walk.generation == generation) {
            Some(walk) => walk,
            None => {
                self.changes(&mut domain, report).await?;
                self.keys(&domain, report).await?;
                Walk {
                    generation,
                    from: None,
                    members: 0,
                    start: counted(&domain.info),
                }
            }
        };
        self.machines(domain, walk, report).await
    }

    async fn deletion(&self, domain: &Domain, report: &mut Report) -> Result<(), Error> {
        let mending = match self.mend {
            true => Some(deletion::finish(self.tables, domain).await),
            false => None,
        };
        let detail = "it was deleted, and some of its rows are still there".to_owned();
        let kind = FindingKind::DeletionUnfinished;
        self.mended(domain, mending, kind, detail, report).await
    }

    /// Reports what can be mended, and what came of that: a row that is needed for it may be damaged.
    async fn mended(
        &self,
        domain: &Domain,
        mending: Option<Result<(), Error>>,
        finding: FindingKind,
        mut detail: String,
        report: &mut Report,
    ) -> Result<(), Error> {
        let mended = matches!(mending, Some(Ok(())));
        if let Some(Err(error)) = mending {
            self.is_the_rows().await?;
            if domain.exists() {
                domain_server_info::read_again(self.tables, domain).await?;
            }
            detail = format!("{detail}; it cannot be mended: {error}");
        }
        let name = domain.info.domain.as_str();
        report.add(Some(name), finding, detail, mended);
        Ok(())
    }

    /// What requests that died have left.
    async fn changes(&self, domain: &mut Domain, report: &mut Report) -> Result<(), Error> {
        let now_ms = self.tables.env.now_ms();
        let is_overdue = |intent: &&domain_server_info::Intent| intent.is_overdue(now_ms);
        for intent in domain.info.intents.iter().filter(is_overdue) {
            let what = match intent.is_departure() {
                true => "departure",
                false => "join",
            };
            let mending = match self.mend {
                true => Some(intents::settle(self.tables, domain, intent).await),
                false => None,
            };
            let detail = format!("a {what} of machine {} was not finished", intent.guid);
            let kind = FindingKind::ChangeOverdue;
            self.mended(domain, mending, kind, detail, report).await?;
        }
        if self.mend {
            *domain = domain_server_info::read_again(self.tables, domain).await?;
        }
        if let Count::Running { .. } = domain.info.count {
            let mending = match self.mend {
                true => Some(
                    count::finish(self.tables, domain)
                        .await
                        .map(|now| *domain = now),
                ),
                false => None,
            };
            let detail = "its members are not all counted, and nobody new may join".to_owned();
            let kind = FindingKind::CountUnfinished;
            self.mended(domain, mending, kind, detail, report).await?;
        }
        Ok(())
    }

    async fn keys(&self, domain: &Domain, report: &mut Report) -> Result<(), Error> {
        report.has_read(1);
        let name = &domain.info.domain;
        let keys = match domain_keys::read(self.tables, domain).await {
            Ok(keys) => keys,
            Err(error) => {
                // It may have been deleted since.
                domain_server_info::read_again(self.tables, domain).await?;
                let detail = format!("its row in DomainKeys: {error}");
                report.add(
                    Some(name.as_str()),
                    FindingKind::UnreadableRow,
                    detail,
                    false,
                );
                return Ok(());
            }
        };
        let now = domain_server_info::read_again(self.tables, domain)
            .await?
            .info;
        let covers = keys.covers();
        if covers[0] > now.departures || covers[1] > now.departures_by_operators {
            let detail = "its newest key covers more departures than there were".to_owned();
            report.add(
                Some(name.as_str()),
                FindingKind::Contradiction,
                detail,
                false,
            );
        }
        for (version, key) in keys.above(0) {
            if let Some((finding, why)) = self.key(name, &keys, version, key) {
                let detail = format!("version {version} of its key: {why}");
                report.add(Some(name.as_str()), finding, detail, false);
            }
        }
        Ok(())
    }

    /// What is wrong with a key.
    fn key(
        &self,
        name: &DomainName,
        keys: &DomainKeys,
        version: u32,
        key: &DomainKey,
    ) -> Option<(FindingKind, &'static str)> {
        let Ok(opened) = self.ca.open(name, version, &key.sealed) else {
            let why = "the private key does not open under the configured key_encryption_key";
            return Some((FindingKind::KeyDoesNotOpen, why));
        };
        if let Err(why) = stored_key::check(&opened, &key.certificate) {
            return Some((FindingKind::KeyDoesNotFit, why));
        }
        let x5c: Vec<&[u8]> = keys.certificates(key).collect();
        // A certificate that has run out is renewed when it is needed.
        let is_trusted =
            stored_key::chains_to(self.ca.authority.published(), &x5c, key.not_before_s);
        (!is_trusted).then_some((
            FindingKind::CertificateUntrusted,
            "the certificate does not chain to a CA of ca_certificate",
        ))
    }

    /// Goes on with the walk through the roster.
    async fn machines(
        &self,
        domain: Domain,
        mut walk: Walk,
        report: &mut Report,
    ) -> Result<Option<Walk>, Error> {
        let name = domain.info.domain.clone();
        let roster = roster(self.tables, &domain);
        loop {
            if report.rows_left == 0 {
                return Ok(Some(walk));
            }
            report.has_read(1);
            let leaf = roster.inspect(walk.from.as_ref()).await?;
            match leaf.entries {
                Ok(entries) => {
                    let bounds = (walk.from, leaf.upper);
                    if !is_in_order(&entries, bounds) {
                        let detail = "machines are not where they belong".to_owned();
                        report.add(
                            Some(name.as_str()),
                            FindingKind::Contradiction,
                            detail,
                            false,
                        );
                    }
                    let members = count_members(&entries);
                    walk.members += members;
                    report.page.members += members;
                    self.blocked(&domain, &entries, report).await?;
                }
                Err(error) => {
                    // It may have been deleted since.
                    domain_server_info::read_again(self.tables, &domain).await?;
                    walk.start = None;
                    let from = match walk.from {
                        Some(from) => format!(" from {from} on"),
                        None => String::new(),
                    };
                    let detail = format!("its machines{from}: {error}");
                    report.add(
                        Some(name.as_str()),
                        FindingKind::UnreadableRow,
                        detail,
                        false,
                    );
                }
            }
            match leaf.upper {
                Some(upper) => walk.from = Some(upper),
                None => break,
            }
        }
        self.members(&domain, &walk, report).await?;
        Ok(None)
    }

    async fn blocked(
        &self,
        domain: &Domain,
        entries: &[(MachineGuid, Entry)],
        report: &mut Report,
    ) -> Result<(), Error> {
        let is_blocked = |entry: &Entry| matches!(entry, Entry::Blocked(_));
        for (guid, _) in entries.iter().filter(|(_, entry)| is_blocked(entry)) {
            let listed = match domain.info.blocked {
                Some(list) => blocked_machines::get(self.tables, list, *guid).await,
                None => Ok(None),
            };
            report.has_read(1);
            match listed {
                Ok(Some(_)) => continue,
                Ok(None) if !self.is_unlisted(domain, *guid).await? => continue,
                Ok(None) => {}
                Err(error) => {
                    self.is_the_rows().await?;
                    let detail = format!("its list of blocked machines: {error}");
                    let name = domain.info.domain.as_str();
                    report.add(Some(name), FindingKind::UnreadableRow, detail, false);
                    return Ok(());
                }
            }
            let mending = match self.mend {
                true => Some(self.list_blocked(domain, *guid).await),
                false => None,
            };
            let detail = format!("machine {guid} is blocked, and not on the list");
            let kind = FindingKind::BlockedUnlisted;
            self.mended(domain, mending, kind, detail, report).await?;
        }
        Ok(())
    }

    /// Whether a machine is blocked and not on the list, as it is now: it may have been blocked, or let
    /// in, since its leaf was read. It is on the list before it is blocked and as long as it is.
    async fn is_unlisted(&self, domain: &Domain, guid: MachineGuid) -> Result<bool, Error> {
        if !domain_membership::is_blocked(self.tables, domain, guid).await? {
            return Ok(false);
        }
        let now = domain_server_info::read_again(self.tables, domain).await?;
        match now.info.blocked {
            Some(list) => Ok(blocked_machines::get(self.tables, list, guid)
                .await?
                .is_none()),
            None => Ok(true),
        }
    }

    async fn list_blocked(&self, domain: &Domain, guid: MachineGuid) -> Result<(), Error> {
        let list = blocked_machines::find_or_insert(self.tables, domain).await?;
        blocked_machines::put_on(self.tables, list, guid).await
    }

    /// Compares the members that there are with those that were counted, if the domain was at rest.
    async fn members(
        &self,
        domain: &Domain,
        walk: &Walk,
        report: &mut Report,
    ) -> Result<(), Error> {
        let now = domain_server_info::read_again(self.tables, domain).await?;
        let Some(start) = walk
            .start
            .filter(|start| counted(&now.info) == Some(*start))
        else {
            return Ok(());
        };
        if start.members == walk.members {
            return Ok(());
        }
        let mending = match self.mend {
            true => Some(count::again(self.tables, &now).await.map(drop)),
            false => None,
        };
        let (counted, there) = (start.members, walk.members);
        let detail = format!("it has {there} members, and {counted} were counted");
        let kind = FindingKind::CountWrong;
        self.mended(domain, mending, kind, detail, report).await
    }
}

/// What a domain's row says of its members, where they are counted and nothing is under way.
fn counted(info: &DomainServerInfo) -> Option<Counted> {
    match info.count {
        Count::Known(members) if info.intents.is_empty() => Some(Counted {
            members,
            departures: info.departures,
        }),
        _ => None,
    }
}

/// Whether a leaf's machines ascend, and are within its bounds.
fn is_in_order(
    entries: &[(MachineGuid, Entry)],
    (from, upper): (Option<MachineGuid>, Option<MachineGuid>),
) -> bool {
    let (first, last) = (entries.first(), entries.last());
    entries.windows(2).all(|pair| pair[0].0 < pair[1].0)
        && first.is_none_or(|(guid, _)| from.is_none_or(|from| from <= *guid))
        && last.is_none_or(|(guid, _)| upper.is_none_or(|upper| *guid < upper))
}
