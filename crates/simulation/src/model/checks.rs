//! The checks that concern several requests of a domain.

use anonymous_domains_protocol::{problem::ErrorName, response::RegisterResponse};
use anonymous_domains_testkit::Guarantee;

use super::{Model, domain::DomainModel, request::Request};
use crate::{
    host::{Host, TaskId},
    issuer,
    operation::Op,
    violation::Violation,
};

impl Model {
    /// A refused request changes nothing. A join whose write took effect late may find that the
    /// machine has left or was blocked since, and is refused for that.
    pub(super) fn check_refusal(
        &self,
        task: TaskId,
        request: &Request,
        name: ErrorName,
    ) -> Result<(), Violation> {
        let has_left_since = || {
            let (Op::Join { machine, domain }, true) = (&request.op, request.added_member) else {
                return false;
            };
            let mut others = self.concurrent_since(task, request.started).into_iter();
            others.any(|op| op.may_remove(*machine, *domain))
        };
        let was_deleted = || {
            let domain = &self.domains[usize::from(request.op.domain())];
            domain.was_deleted_since(request.started)
        };
        if name == ErrorName::DomLimitReached && !request.saw_full && !was_deleted() {
            let text = format!("{:?} was refused although there was room", request.op);
            return Err(Violation::of(Guarantee::Recovery, text));
        }
        match request.changed {
            Some(what) if !self.allowances.forgotten_revisions && !has_left_since() => {
                let text = format!(
                    "{:?} was refused with {name:?} although it changed {what}",
                    request.op
                );
                Err(Violation::of(Guarantee::Refusals, text))
            }
            _ => Ok(()),
        }
    }

    /// The answer to a join: its keys, and whether the machine is a member.
    pub(super) fn check_join(
        &mut self,
        task: TaskId,
        request: &Request,
        answer: &RegisterResponse,
        host: &Host,
    ) -> Result<(), Violation> {
        let violated = |guarantee, text: &str| Err(Violation::of(guarantee, text));
        let &Op::Join { machine, domain } = &request.op else {
            let text = format!("{:?} was answered as a join", request.op);
            return Err(Violation::other(text));
        };
        let concurrent = self.concurrent_since(task, request.started);
        let domain_model = &mut self.domains[usize::from(domain)];
        let names: Vec<String> = answer
            .credentials
            .iter()
            .filter_map(issuer::certified)
            .collect();
        if issuer::delivered(answer).as_ref() != Some(&names) {
            let text = "the private keys are not those of the certificates";
            return violated(Guarantee::KeyVersions, text);
        }
        let versions = answer.credentials.iter().map(|key| key.key_version);
        if !versions.eq(1..=answer.key_version) || names.len() as u64 != answer.key_version {
            return violated(Guarantee::KeyVersions, "the versions are not 1, 2, 3...");
        }
        if domain_model.was_deleted_since(request.started) {
            // The answer may be from before the deletion, and that table is gone.
            return Ok(());
        }
        let generation = domain_model.check_issued(&names)?;
        if generation < request.expected.generation {
            let text = "the keys are those of a domain that was deleted before";
            return violated(Guarantee::KeyVersions, text);
        }
        let Some(newest) = names.last() else {
            return violated(Guarantee::KeyVersions, "there is no key");
        };
        let newest = host.made_keys.iter().position(|key| *key.name == **newest);
        if generation == request.expected.generation
            && newest.is_none_or(|newest| newest < request.expected.made_after)
        {
            let text = "a machine had left before this request began, and the newest key is older";
            return violated(Guarantee::Rollover, text);
        }
        if request.expected.blocked && domain_model.blocked.contains(&machine) {
            return Err(Violation::other("a blocked machine joined"));
        }
        if answer.new_member && !request.added_member {
            let text = "a machine was told that it is new, and is not";
            return violated(Guarantee::Refusals, text);
        }
        if !answer.new_member && request.added_member && !self.allowances.forgotten_revisions {
            let text = "a machine that is new was told that it is not";
            return violated(Guarantee::Refusals, text);
        }
        if !concurrent.iter().any(|op| op.may_remove(machine, domain)) {
            if !domain_model.has_member(machine) {
                let text = "a machine was told that it is a member, and is not";
                return violated(Guarantee::Membership, text);
            }
            domain_model.must_be_members.insert(machine, self.step);
        }
        Ok(())
    }

    /// A domain whose last change added a member has no more members than some maximum that may be
    /// in force.
    pub(super) fn check_maximum(&self, number: usize, step: u64) -> Result<(), Violation> {
        let members = self.domains[number].member_count();
        let settings: Vec<(&Request, Option<u64>)> = self
            .requests
            .values()
            .filter_map(|request| match request.op {
                Op::SetMaximum { domain, maximum } if usize::from(domain) == number => {
                    Some((request, maximum))
                }
                _ => None,
            })
            .collect();
        let since = self.domains[number].generation_started();
        // A setting is over if another one started after it and is done. A new domain has no
        // maximum.
        let is_over = |ended: u64| {
            settings.iter().any(|(other, _)| {
                other.started >= ended
                    && other.done
                    && other.ended.is_some_and(|end| end < step && end > since)
            })
        };
        let allowed = settings
            .iter()
            .filter(|(request, _)| !request.ended.is_some_and(is_over))
            .map(|(_, maximum)| *maximum)
            .chain((!is_over(since)).then_some(None));
        let mut allowed = allowed.peekable();
        if allowed.peek().is_some()
            && allowed.all(|maximum| maximum.is_some_and(|maximum| members > maximum))
        {
            let text = format!("a machine was admitted as member {members}");
            return Err(Violation::of(Guarantee::Maximum, text));
        }
        Ok(())
    }

    /// The checks when the system is quiescent and every machine has registered again.
    pub fn check_quiescent(&self, host: &Host) -> Result<(), Violation> {
        for domain in &self.domains {
            domain.check_quiescent()?;
        }
        let saved: usize = self.domains.iter().map(DomainModel::keys_ever).sum();
        let made = host.made_keys.len();
        // A domain may be deleted while its key is made.
        let deleted = self.domains.iter().any(DomainModel::was_deleted);
        if made != saved && !self.allowances.unused_keys && !deleted {
            let text = format!("{made} key pairs were made for {saved} versions");
            return Err(Violation::of(Guarantee::SingleFlight, text));
        }
        Ok(())
    }
}
