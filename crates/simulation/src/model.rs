//! The model: what the callers were told, and what must therefore hold of the tables.
//!
//! The numbers in the texts of violations are those of README.md, "What it guarantees".

mod domain;

use std::collections::BTreeMap;

use anonymous_domains_protocol::{
    ids::MachineGuid, problem::ErrorName, response::RegisterResponse,
};

use crate::{
    host::{Host, TaskId},
    issuer,
    operation::{Op, Outcome, machine_guid},
    random::Digest,
    view::Views,
};
use domain::DomainModel;

/// What must hold and does not.
pub type Violation = String;

/// What is not asked of a schedule.
#[derive(Debug, Clone, Copy, Default)]
pub struct Leniency {
    /// A row may forget a write before its writer has looked (`REVISIONS_KEPT` is small), so a
    /// caller may be told of its second decision.
    pub forgetful_rows: bool,
    /// Makers may have died or been taken over, so a key pair may have been made in vain.
    pub wasted_keys: bool,
}

/// A request as the model knows it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub op: Op,
    pub started: u64,
    started_ms: i64,
    /// When it was answered or crashed.
    pub ended: Option<u64>,
    /// Whether it was answered that it is done.
    pub done: bool,
    /// Whether a write of it may take effect yet.
    pub lingers: bool,
    /// What a join was promised when it started.
    promised: Promise,
    /// Whether its writes changed members or keys.
    changed: Option<&'static str>,
    added_member: bool,
    /// Whether the machine that it is about was a member when it started.
    was_member: bool,
}

/// What holds of a join from its start on.
#[derive(Debug, Clone, Copy, Default)]
struct Promise {
    /// Its answer is of this generation of the domain or of a later one.
    generation: usize,
    /// If it is of this one, its newest key is not among so many that were made first.
    made_after: usize,
    blocked: bool,
}

/// The model of one schedule.
#[derive(Debug, Clone)]
pub struct Model {
    pub leniency: Leniency,
    step: u64,
    domains: Vec<DomainModel>,
    requests: BTreeMap<TaskId, Request>,
}

impl Model {
    pub fn new(domains: u8, leniency: Leniency) -> Self {
        Self {
            leniency,
            step: 0,
            domains: (0..domains).map(|_| DomainModel::default()).collect(),
            requests: BTreeMap::new(),
        }
    }

    fn request(&mut self, task: TaskId) -> &mut Request {
        self.requests.get_mut(&task).expect("the request has begun")
    }

    /// How many domain names there are.
    pub fn domains(&self) -> u8 {
        self.domains.len() as u8
    }

    /// A request arrives at the server.
    pub fn started(&mut self, task: TaskId, op: &Op, now_ms: i64) {
        self.step += 1;
        let domain = &mut self.domains[usize::from(op.domain())];
        let mut promised = Promise::default();
        match *op {
            Op::Join { machine, .. } => {
                promised = Promise {
                    generation: domain.oldest_generation(),
                    made_after: domain.made_after,
                    blocked: domain.blocked.contains(&machine),
                };
            }
            Op::Unblock { machine, .. } => {
                domain.blocked.remove(&machine);
            }
            Op::Delete { .. } => {
                domain.blocked.clear();
            }
            _ => {}
        }
        domain
            .must_be_members
            .retain(|machine, _| !op.may_remove(*machine, op.domain()));
        let was_member = op
            .machine()
            .is_some_and(|machine| domain.has_member(machine));
        let request = Request {
            op: op.clone(),
            started: self.step,
            started_ms: now_ms,
            ended: None,
            done: false,
            lingers: false,
            promised,
            changed: None,
            added_member: false,
            was_member,
        };
        self.requests.insert(task, request);
    }

    /// The store changed, by a call of `task`, and shows the domains like this.
    pub fn wrote(&mut self, task: TaskId, host: &Host, now: &Views) -> Result<(), Violation> {
        self.step += 1;
        for (number, now) in now.iter().enumerate() {
            let now = now.clone();
            let step = self.step;
            let domain = &mut self.domains[number];
            let change = domain.changes_to(now, step, task, host)?;
            // A departure that another request has begun may be finished by anyone.
            let removes = |guid: &MachineGuid| {
                let may_remove = |request: &Request| {
                    let machine = (0..u8::MAX).find(|machine| machine_guid(*machine) == *guid);
                    machine.is_some_and(|machine| request.op.may_remove(machine, number as u8))
                };
                let mut others = self.requests.iter();
                may_remove(&self.requests[&task])
                    && !others.any(|(other, it)| *other != task && !it.done && may_remove(it))
            };
            let removes = change.removed.iter().any(removes);
            let request = self.requests.get_mut(&task).expect("the request has begun");
            if change.keys || !change.added.is_empty() || removes {
                request.changed = Some(if change.keys { "keys" } else { "members" });
            }
            for guid in &change.added {
                let machine = (0..u8::MAX).find(|machine| machine_guid(*machine) == *guid);
                let op = request.op.clone();
                let joins = matches!(op, Op::Join { machine: joining, domain }
                    if Some(joining) == machine && usize::from(domain) == number);
                if !joins {
                    return Err(format!("5: {op:?} made {guid} a member"));
                }
                request.added_member = true;
            }
            if !change.added.is_empty() {
                self.check_maximum(number, step)?;
            }
            let domain = &self.domains[number];
            for machine in domain.must_be_members.keys() {
                if !domain.has_member(*machine) {
                    return Err(format!(
                        "2: machine {machine} was told that it is a member, and is not"
                    ));
                }
            }
        }
        Ok(())
    }

    /// A request crashed, or its answer was lost.
    pub fn crashed(&mut self, task: TaskId) {
        self.step += 1;
        let step = self.step;
        self.request(task).ended = Some(step);
    }

    /// A request that has ended has writes whose effect is still to come, or has none any more.
    pub fn lingers(&mut self, task: TaskId, lingers: bool) {
        self.step += 1;
        let step = self.step;
        let request = self.request(task);
        request.lingers = lingers;
        request.ended = request.ended.and(Some(step));
    }

    /// A request was answered.
    pub fn answered(
        &mut self,
        task: TaskId,
        outcome: &Outcome,
        host: &Host,
    ) -> Result<(), Violation> {
        self.crashed(task);
        let request = self.request(task).clone();
        match outcome {
            Outcome::Fault(why) => Err(format!("6: {:?} met a fault: {why}", request.op)),
            Outcome::Unavailable(_) => Ok(()),
            Outcome::Refused(name) => {
                self.domains[usize::from(request.op.domain())].refused(&request, *name);
                self.check_refusal(&request, *name)
            }
            Outcome::Joined(answer) => self.check_join(task, &request, answer, host),
            Outcome::Listed(listed) => {
                self.domains[usize::from(request.op.domain())].check_list(&request, listed)
            }
            Outcome::Done => {
                self.request(task).done = true;
                let overlapped = self.others_since(task, request.started);
                let domain = &mut self.domains[usize::from(request.op.domain())];
                let took_ms = host.now_ms - request.started_ms;
                domain.acknowledged(task, &request, took_ms, &overlapped)
            }
        }
    }

    /// The operations of other requests that were under way at any time since `step`.
    fn others_since(&self, task: TaskId, step: u64) -> Vec<Op> {
        self.requests
            .iter()
            .filter(|(other, request)| {
                let over = !request.lingers && request.ended.is_some_and(|ended| ended <= step);
                **other != task && !over
            })
            .map(|(_, request)| request.op.clone())
            .collect()
    }

    /// 5: a refused request changes nothing.
    fn check_refusal(&self, request: &Request, name: ErrorName) -> Result<(), Violation> {
        match request.changed {
            Some(what) if !self.leniency.forgetful_rows => Err(format!(
                "5: {:?} was refused with {name:?} although it changed {what}",
                request.op
            )),
            _ => Ok(()),
        }
    }

    /// 2, 3, 4: what a machine is told when it joins.
    fn check_join(
        &mut self,
        task: TaskId,
        request: &Request,
        answer: &RegisterResponse,
        host: &Host,
    ) -> Result<(), Violation> {
        let &Op::Join { machine, domain } = &request.op else {
            return Err(format!("{:?} was answered as a join", request.op));
        };
        let overlapped = self.others_since(task, request.started);
        let forgetful = self.leniency.forgetful_rows;
        let domain_model = &mut self.domains[usize::from(domain)];
        let names: Vec<String> = answer
            .credentials
            .iter()
            .filter_map(issuer::identity)
            .collect();
        if issuer::delivered(answer).as_ref() != Some(&names) {
            return Err("3: the private keys are not those of the certificates".to_owned());
        }
        let versions = answer.credentials.iter().map(|key| key.key_version);
        if !versions.eq(1..=answer.key_version) || names.len() as u64 != answer.key_version {
            return Err("3: the versions are not 1, 2, 3...".to_owned());
        }
        if domain_model.was_deleted_since(request.started) {
            // The answer may be as old as the domain; its table cannot be seen any more.
            return Ok(());
        }
        let generation = domain_model.check_issued(&names)?;
        if generation < request.promised.generation {
            return Err("3: the keys are those of a domain that was deleted before".to_owned());
        }
        let newest = names.last().ok_or("3: there is no key")?;
        let newest = host.made.iter().position(|key| *key.identity == **newest);
        if generation == request.promised.generation
            && newest.is_none_or(|newest| newest < request.promised.made_after)
        {
            return Err(
                "4: a machine had left before this request began, and the newest key is older"
                    .to_owned(),
            );
        }
        if request.promised.blocked && domain_model.blocked.contains(&machine) {
            return Err("a blocked machine joined".to_owned());
        }
        if answer.new_member && !request.added_member {
            return Err("5: a machine was told that it is new, and is not".to_owned());
        }
        if !answer.new_member && request.added_member && !forgetful {
            return Err("5: a machine that is new was told that it is not".to_owned());
        }
        if !overlapped.iter().any(|op| op.may_remove(machine, domain)) {
            if !domain_model.has_member(machine) {
                return Err("2: a machine was told that it is a member, and is not".to_owned());
            }
            domain_model.must_be_members.insert(machine, self.step);
        }
        Ok(())
    }

    /// 1: the members that there are now, one of them new, are no more than a maximum that may be
    /// in force.
    fn check_maximum(&self, number: usize, step: u64) -> Result<(), Violation> {
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
        let since = self.domains[number].generation_began();
        // A setting is over when another one began after it and is done. A domain begins without.
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
            return Err(format!("1: a machine was admitted as member {members}"));
        }
        Ok(())
    }

    /// What must hold when all is quiet and every machine has asked again.
    pub fn check_quiet(&self, host: &Host) -> Result<(), Violation> {
        for domain in &self.domains {
            domain.check_quiet()?;
        }
        let saved: usize = self.domains.iter().map(DomainModel::keys_ever).sum();
        let made = host.made.len();
        // A domain may be deleted while its key is made.
        let deleted = self.domains.iter().any(DomainModel::was_deleted);
        if made != saved && !self.leniency.wasted_keys && !deleted {
            return Err(format!(
                "7: {made} key pairs were made for {saved} versions"
            ));
        }
        Ok(())
    }

    /// The version and the members of a domain, for what a quiet domain must not change.
    pub fn quiet_state(&self, domain: u8) -> (usize, u64) {
        let domain = &self.domains[usize::from(domain)];
        (domain.keys_ever(), domain.member_count())
    }

    /// Whether a domain has as many members as it may.
    pub fn is_full(&self, domain: u8) -> bool {
        self.domains[usize::from(domain)].is_full()
    }

    /// Whether a machine is a member now.
    pub fn is_member(&self, machine: u8, domain: u8) -> bool {
        self.domains[usize::from(domain)].has_member(machine)
    }

    /// A hash of all that later verdicts depend on. Of moments, only their order counts.
    pub fn digest(&self, digest: &mut Digest) {
        let mut moments = Vec::with_capacity(32);
        for domain in &self.domains {
            domain.digest(digest);
            moments.extend(domain.moments());
        }
        for request in self.requests.values() {
            digest.number(request.promised.generation as u64);
            digest.number(request.promised.made_after as u64);
            digest.number(request.started_ms as u64);
            let flags = [
                request.done,
                request.lingers,
                request.added_member,
                request.promised.blocked,
                request.changed.is_some(),
                request.was_member,
            ];
            let flags = flags.iter().fold(0, |all, flag| 2 * all + u64::from(*flag));
            digest.number(flags);
            moments.push(request.started);
            moments.push(request.ended.unwrap_or(u64::MAX));
        }
        let mut order: Vec<usize> = (0..moments.len()).collect();
        order.sort_by_key(|at| moments[*at]);
        let mut rank = 0;
        for (nth, at) in order.iter().enumerate() {
            rank += u64::from(nth > 0 && moments[*at] != moments[order[nth - 1]]);
            digest.number(rank << 32 | *at as u64);
        }
    }
}
