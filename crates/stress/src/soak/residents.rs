//! Domains that live as long as the soak: their members ask again and again, and nothing about them
//! may ever change.

use std::{collections::BTreeSet, sync::Arc};

use anonymous_domains_protocol::ids::DomainName;
use anyhow::{Context as _, ensure};

use super::tally::Tally;
use crate::{
    caller::Caller,
    history::{KeySeen, Outcome, Request},
    machine::{self, Machine},
    random::Random,
};

/// The domains and their members.
pub struct Residents(Vec<Resident>);

struct Resident {
    domain: Arc<DomainName>,
    members: Vec<Machine>,
    keys: Arc<[KeySeen]>,
}

impl Residents {
    /// Has machines join domains of their own.
    ///
    /// # Errors
    ///
    /// When one is not admitted.
    pub async fn join(caller: &Caller, domains: usize, members: usize) -> anyhow::Result<Self> {
        let mut residents = Vec::new();
        for number in 0..domains {
            let domain = Arc::new(DomainName::parse(&format!("resident-{number}"))?);
            let members = machine::make(members);
            let mut keys = None;
            for member in &members {
                let request = Request::Register { known: None };
                let outcome = caller.ask(0, &domain, Some(member), request).await?;
                let Outcome::Registered { keys: given, .. } = outcome else {
                    anyhow::bail!("a machine cannot join {domain}: {outcome:?}");
                };
                let first = keys.get_or_insert_with(|| Arc::clone(&given));
                ensure!(*first == given, "two machines of {domain} got other keys");
            }
            residents.push(Resident {
                domain,
                members,
                keys: keys.context("a domain needs members")?,
            });
        }
        Ok(Self(residents))
    }

    /// A domain that is always there.
    pub fn a_domain(&self) -> (&Arc<DomainName>, &Machine) {
        (&self.0[0].domain, &self.0[0].members[0])
    }

    /// The domains' names.
    pub fn names(&self) -> BTreeSet<String> {
        let names = self.0.iter().map(|resident| resident.domain.to_string());
        names.collect()
    }

    /// Somebody asks for something, whose answer is known.
    ///
    /// # Errors
    ///
    /// When the request cannot be built.
    pub async fn step(
        &self,
        caller: &Caller,
        random: &mut Random,
        tally: &Tally,
    ) -> anyhow::Result<()> {
        let resident = &self.0[random.below(self.0.len())];
        let member = &resident.members[random.below(resident.members.len())];
        let newest = resident.keys.last().map_or(0, |key| key.version);
        let request = match random.below(100) {
            0..45 => Request::Register { known: None },
            45..60 => Request::Register {
                known: Some(newest),
            },
            60..65 => Request::Preview,
            65..90 => Request::Describe,
            90..94 => Request::Members,
            94..97 => Request::Show,
            _ => Request::Keys,
        };
        let machine = match request {
            Request::Register { .. } | Request::Preview => Some(member),
            _ => None,
        };
        let server = random.below(caller.servers());
        let outcome = caller
            .ask(server, &resident.domain, machine, request.clone())
            .await?;
        if !resident.is_right(&request, &outcome) {
            let domain = &resident.domain;
            tally.wrong(format!(
                "{} of {domain}, where nothing changes: {outcome:?}",
                request.name()
            ));
        }
        Ok(())
    }
}

impl Resident {
    fn is_right(&self, request: &Request, outcome: &Outcome) -> bool {
        let version = self.keys.last().map(|key| key.version);
        match outcome {
            Outcome::Registered {
                new_member,
                newest,
                keys,
            } => {
                let expected: &[KeySeen] = match request {
                    Request::Register { known: Some(_) } => &[],
                    _ => &self.keys,
                };
                !new_member && Some(*newest) == version && **keys == *expected
            }
            Outcome::Done => *request == Request::Preview,
            Outcome::Described(key) => *key == self.keys.last().copied(),
            Outcome::Members(members) => {
                **members == self.members.iter().map(|member| member.guid).collect()
            }
            Outcome::Shown { members, newest } => {
                *members == self.members.len() as u64 && *newest == version
            }
            Outcome::Keys(keys) => *keys == self.keys,
            // Whether it may be without an answer is decided where outages are known.
            Outcome::NotSent | Outcome::Unknown { .. } => true,
            Outcome::Refused(_) | Outcome::Wrong(_) => false,
        }
    }
}
