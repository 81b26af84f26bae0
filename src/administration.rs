//! What an operator does to the tables (`/admin/v1`).

use anonymous_domains_protocol::{
    admin::{
        BlockedMachine, BlockedPage, Domain as DomainDocument, DomainKeyDescription, DomainKeyList,
        DomainPage, DomainSettings, Member, MemberPage,
    },
    base64url,
    ids::{DomainName, MachineGuid},
    problem::ErrorName,
    time::rfc3339,
};

use crate::{
    credential::delivery,
    domain::{deletion, insertion},
    environment::Environment,
    error::Error,
    journal::{Event, Journal, Kind},
    membership::{blocking, count, departure, join},
    store::{Store, rows::Change},
    tables::{
        Tables, directory, domain_keys, domain_membership,
        domain_server_info::{self, Domain, DomainServerInfo},
    },
};

/// What must hold of a domain for its settings to be replaced (RFC 9110 section 13.1).
pub trait Precondition {
    /// Whether it holds of a domain with this entity tag, or of none.
    fn holds(&self, entity_tag: Option<&str>) -> bool;
}

/// A domain as an operator sees it, and the entity tag of its settings.
#[derive(Debug)]
pub struct Described {
    /// The domain.
    pub document: DomainDocument,
    /// Changes whenever an operator changes the settings, and when the domain is another one.
    pub entity_tag: String,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// Only what comes after this.
    pub after: Option<T>,
    /// At most this many.
    pub limit: usize,
}

/// The operator's view of the tables, for one request.
#[derive(Debug)]
pub struct Administration<'a, S, E> {
    /// The three tables.
    pub tables: &'a Tables<S, E>,
    /// Where the request's events go.
    pub journal: Journal<'a, E>,
}

impl<S: Store, E: Environment> Administration<'_, S, E> {
    /// Domains by name, without their numbers of members.
    pub async fn domains(&self, page: Page<String>) -> Result<DomainPage, Error> {
        let Page { mut after, limit } = page;
        let mut domains = Vec::new();
        // One more than asked for tells whether there is a next page.
        while domains.len() <= limit {
            let found = directory::scan(self.tables, after.as_deref(), limit + 1).await?;
            let Some((last, _)) = found.last() else {
                break;
            };
            after = Some(last.to_string());
            for (_, id) in found {
                let Some(domain) = domain_server_info::read_existing(self.tables, id).await? else {
                    continue;
                };
                match self.describe(&domain).await {
                    Ok(described) => domains.push(described.document),
                    // It was deleted since.
                    Err(_) if domain_server_info::is_gone(self.tables, &domain).await => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let next = cut(&mut domains, limit, |domain| domain.domain.clone());
        Ok(DomainPage { domains, next })
    }

    /// One domain, with its number of members.
    ///
    /// # Errors
    /// `UNKNOWN_DOMAIN`.
    pub async fn domain(&self, name: &DomainName) -> Result<Described, Error> {
        let domain = self.find(name).await?;
        self.describe_with_count(&domain).await
    }

    /// Creates a domain or replaces its settings; also says whether it was created.
    ///
    /// When this returns, the maximum is in force.
    ///
    /// # Errors
    /// `PRECONDITION_FAILED`, with nothing changed.
    pub async fn put_domain(
        &self,
        name: &DomainName,
        settings: &DomainSettings,
        precondition: &impl Precondition,
    ) -> Result<(Described, bool), Error> {
        let apply = |info: &mut DomainServerInfo| {
            info.authentication_required = settings.authentication_required;
            info.auth_namespace.clone_from(&settings.auth_namespace);
            info.set_maximum(settings.max_membership);
            info.settings_revision += 1;
        };
        let (domain, created) = if precondition.holds(None) {
            insertion::find_or_insert_with(self.tables, name, None, apply).await?
        } else {
            // Not to be created, not even if it is deleted at this moment.
            let found = insertion::find(self.tables, name).await?;
            (found.ok_or_else(precondition_failed)?, false)
        };
        let domain = if created {
            domain
        } else {
            let replace = |info: &mut DomainServerInfo| {
                if !precondition.holds(Some(&entity_tag(info))) {
                    return Err(precondition_failed());
                }
                apply(info);
                Ok(Change::Write(()))
            };
            match domain_server_info::update(self.tables, &domain, replace).await {
                Ok(((), domain)) => domain,
                Err(error) if error.refusal() == Some(ErrorName::UnknownDomain) => {
                    return Err(match precondition.holds(None) {
                        true => domain_server_info::deleted_meanwhile(),
                        false => precondition_failed(),
                    });
                }
                Err(error) => return Err(error),
            }
        };
        let kind = match created {
            true => Kind::DomainCreated,
            false => Kind::DomainChanged,
        };
        self.record(kind, name, None);
        join::settle_places(self.tables, &domain).await?;
        // As this request has set it, whatever another operator may have done since.
        let mut described = self.describe(&domain).await?;
        let counted = count::finish(self.tables, &domain).await?;
        described.document.member_count = Some(count::members(self.tables, &counted).await?);
        Ok((described, created))
    }

    /// Deletes a domain's rows in all three tables.
    ///
    /// # Errors
    /// `UNKNOWN_DOMAIN`.
    pub async fn delete_domain(&self, name: &DomainName) -> Result<(), Error> {
        let domain = insertion::find_undeleted(self.tables, name)
            .await?
            .ok_or_else(unknown_domain)?;
        let deleted = deletion::begin(self.tables, &domain).await?;
        // It no longer exists, whoever erases what is left.
        self.record(Kind::DomainDeleted, name, None);
        deletion::finish(self.tables, &deleted).await
    }

    /// A domain's members by GUID.
    ///
    /// # Errors
    /// `UNKNOWN_DOMAIN`.
    pub async fn members(
        &self,
        name: &DomainName,
        page: Page<MachineGuid>,
    ) -> Result<MemberPage, Error> {
        let domain = self.find(name).await?;
        let Page { after, limit } = page;
        let mut members: Vec<Member> =
            domain_membership::members(self.tables, &domain, after, limit + 1)
                .await?
                .into_iter()
                .map(|(machine_guid, member)| Member {
                    machine_guid,
                    registered_at: rfc3339(member.registered_at_s),
                    key_thumbprint: base64url::encode(&member.key_thumbprint),
                })
                .collect();
        let next = cut(&mut members, limit, |member| {
            member.machine_guid.to_string()
        });
        Ok(MemberPage { members, next })
    }

    /// Removes a machine; sets Key Rollover Required.
    ///
    /// # Errors
    /// `UNKNOWN_DOMAIN`; `NOT_FOUND` when it is no member.
    pub async fn remove_member(&self, name: &DomainName, guid: MachineGuid) -> Result<(), Error> {
        let domain = self.find(name).await?;
        if departure::remove(self.tables, domain, guid).await? {
            self.record(Kind::MemberRemoved, name, Some(guid));
            return Ok(());
        }
        Err(Error::refused(
            ErrorName::NotFound,
            "the machine is not a member of the domain",
        ))
    }

    /// A domain's blocked machines by GUID.
    ///
    /// # Errors
    /// `UNKNOWN_DOMAIN`.
    pub async fn blocked(
        &self,
        name: &DomainName,
        page: Page<MachineGuid>,
    ) -> Result<BlockedPage, Error> {
        let domain = self.find(name).await?;
        let Page { after, limit } = page;
        let mut blocked: Vec<BlockedMachine> =
            blocking::list(self.tables, &domain, after, limit + 1)
                .await?
                .into_iter()
                .map(|(machine_guid, blocked_at_s)| BlockedMachine {
                    machine_guid,
                    blocked_at: rfc3339(blocked_at_s),
                })
                .collect();
        let next = cut(&mut blocked, limit, |machine| {
            machine.machine_guid.to_string()
        });
        Ok(BlockedPage { blocked, next })
    }

    /// Blocks a machine, and removes it if it is a member, with the rollover that a removal means.
    ///
    /// # Errors
    /// `UNKNOWN_DOMAIN`.
    pub async fn block(&self, name: &DomainName, guid: MachineGuid) -> Result<(), Error> {
        blocking::block(self.tables, &self.find(name).await?, guid).await?;
        self.record(Kind::MachineBlocked, name, Some(guid));
        Ok(())
    }

    /// Lets a machine join again.
    ///
    /// # Errors
    /// `UNKNOWN_DOMAIN`.
    pub async fn unblock(&self, name: &DomainName, guid: MachineGuid) -> Result<(), Error> {
        blocking::unblock(self.tables, &self.find(name).await?, guid).await?;
        self.record(Kind::MachineUnblocked, name, Some(guid));
        Ok(())
    }

    /// Sets Key Rollover Required.
    ///
    /// # Errors
    /// `UNKNOWN_DOMAIN`.
    pub async fn require_rollover(&self, name: &DomainName) -> Result<(), Error> {
        domain_server_info::require_rollover(self.tables, &self.find(name).await?).await?;
        self.record(Kind::RolloverRequired, name, None);
        Ok(())
    }

    /// A domain's key versions; never a private key.
    ///
    /// # Errors
    /// `UNKNOWN_DOMAIN`.
    pub async fn keys(&self, name: &DomainName) -> Result<DomainKeyList, Error> {
        let domain = self.find(name).await?;
        let keys = domain_keys::read(self.tables, &domain).await?;
        let describe = |(version, key): (u32, &domain_keys::DomainKey)| DomainKeyDescription {
            key_version: u64::from(version),
            kid: delivery::kid(name, version),
            created_at: rfc3339(key.created_at_s),
            x5c: delivery::x5c(&keys, key),
        };
        Ok(DomainKeyList {
            keys: keys.above(0).map(describe).collect(),
        })
    }

    fn record(&self, kind: Kind, domain: &DomainName, machine_guid: Option<MachineGuid>) {
        self.journal.record(&Event {
            domain: Some(domain),
            machine_guid,
            ..Event::new(kind)
        });
    }

    async fn find(&self, name: &DomainName) -> Result<Domain, Error> {
        insertion::find(self.tables, name)
            .await?
            .ok_or_else(unknown_domain)
    }

    async fn describe(&self, domain: &Domain) -> Result<Described, Error> {
        let keys = domain_keys::read(self.tables, domain).await?;
        let info = &domain.info;
        let version = keys.newest_version();
        Ok(Described {
            document: DomainDocument {
                domain: info.domain.to_string(),
                authentication_required: info.authentication_required,
                auth_namespace: info.auth_namespace.clone(),
                max_membership: info.max_membership,
                key_rollover_required: keys.rollover_required(info),
                member_count: None,
                key_version: (version > 0).then_some(u64::from(version)),
                created_at: rfc3339(info.created_at_s),
            },
            entity_tag: entity_tag(info),
        })
    }

    async fn describe_with_count(&self, domain: &Domain) -> Result<Described, Error> {
        let mut described = self.describe(domain).await?;
        described.document.member_count = Some(count::members(self.tables, domain).await?);
        Ok(described)
    }
}

/// `"{which domain this is}-{how often its settings were set}"`.
fn entity_tag(info: &DomainServerInfo) -> String {
    format!("\"{}-{}\"", info.generation(), info.settings_revision)
}

fn precondition_failed() -> Error {
    Error::refused(
        ErrorName::PreconditionFailed,
        "the domain is not as the precondition says",
    )
}

fn unknown_domain() -> Error {
    Error::refused(ErrorName::UnknownDomain, "there is no such domain")
}

/// Cuts a list to a page, and gives what the next page comes after, if there is one.
fn cut<T>(list: &mut Vec<T>, limit: usize, key: impl Fn(&T) -> String) -> Option<String> {
    if list.len() <= limit {
        return None;
    }
    list.truncate(limit);
    list.last().map(key)
}
