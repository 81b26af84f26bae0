//! The model: what the callers were told, and what must therefore hold of the tables.

mod checks;
mod domain;
mod request;

use std::collections::BTreeMap;

use anonymous_domains_protocol::ids::MachineGuid;
use anonymous_domains_testkit::Guarantee;
use domain::DomainModel;
use request::{Expected, Request};

use crate::{
    host::{Host, TaskId},
    operation::{Op, Outcome, machine_guid},
    random::Digest,
    snapshot::Snapshots,
    violation::Violation,
};

/// What a schedule is allowed to do although a guarantee would forbid it otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allowances {
    /// A row may forget a write before its writer has read it back (`REVISIONS_KEPT` is small).
    /// Then a caller may be told a second decision.
    pub forgotten_revisions: bool,
    /// Requests may have crashed or timed out while they made a key, or may lack the key-encryption
    /// key that it is to be sealed under by then. Then a key pair may be unused.
    pub unused_keys: bool,
}

/// The model of one schedule.
#[derive(Debug, Clone)]
pub struct Model {
    pub allowances: Allowances,
    step: u64,
    domains: Vec<DomainModel>,
    requests: BTreeMap<TaskId, Request>,
}

impl Model {
    pub fn new(domains: u8, allowances: Allowances) -> Self {
        Self {
            allowances,
            step: 0,
            domains: (0..domains).map(|_| DomainModel::default()).collect(),
            requests: BTreeMap::new(),
        }
    }

    fn request(&mut self, task: TaskId) -> &mut Request {
        self.requests
            .get_mut(&task)
            .expect("the request has started")
    }

    /// How many domain names there are.
    pub fn domains(&self) -> u8 {
        self.domains.len() as u8
    }

    /// A request arrives at the server.
    pub fn started(&mut self, task: TaskId, op: &Op, now_ms: i64) {
        self.step += 1;
        let domain = &mut self.domains[usize::from(op.domain())];
        let mut expected = Expected::default();
        match *op {
            Op::Join { machine, .. } => {
                expected = Expected {
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
            has_delayed_writes: false,
            expected,
            changed: None,
            added_member: false,
            was_member,
            saw_full: domain.is_full(),
        };
        self.requests.insert(task, request);
    }

    /// A call of `task` changed the store, which now shows the domains like this.
    pub fn wrote(&mut self, task: TaskId, host: &Host, now: &Snapshots) -> Result<(), Violation> {
        self.step += 1;
        for (number, now) in now.iter().enumerate() {
            let now = now.clone();
            let step = self.step;
            let domain = &mut self.domains[number];
            let change = domain.changes_to(now, step, task, host)?;
            // Any request may finish a departure that another one has begun.
            let removes = |guid: &MachineGuid| {
                let may_remove = |request: &Request| {
                    let machine = machine_of(guid);
                    machine.is_some_and(|machine| request.op.may_remove(machine, number as u8))
                };
                let mut others = self.requests.iter();
                may_remove(&self.requests[&task])
                    && !others.any(|(other, it)| *other != task && !it.done && may_remove(it))
            };
            let removes = change.removed.iter().any(removes);
            let request = self
                .requests
                .get_mut(&task)
                .expect("the request has started");
            if change.keys || !change.added.is_empty() || removes {
                request.changed = Some(if change.keys { "keys" } else { "members" });
            }
            for guid in &change.added {
                let machine = machine_of(guid);
                let op = request.op.clone();
                let joins = matches!(op, Op::Join { machine: joining, domain }
                    if Some(joining) == machine && usize::from(domain) == number);
                if !joins {
                    let text = format!("{op:?} made {guid} a member");
                    return Err(Violation::of(Guarantee::Refusals, text));
                }
                request.added_member = true;
            }
            if !change.added.is_empty() {
                self.check_maximum(number, step)?;
            }
            let domain = &self.domains[number];
            domain.check_members()?;
            let is_full = domain.is_full();
            let requests = self.requests.values_mut();
            for request in requests.filter(|it| usize::from(it.op.domain()) == number) {
                request.saw_full |= is_full && request.ended.is_none();
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

    /// A request that has ended has delayed writes, or has no more.
    pub fn set_delayed_writes(&mut self, task: TaskId, has_delayed_writes: bool) {
        self.step += 1;
        let step = self.step;
        let request = self.request(task);
        request.has_delayed_writes = has_delayed_writes;
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
            Outcome::Fault(why) => {
                let text = format!("{:?} met a fault: {why}", request.op);
                Err(Violation::of(Guarantee::Recovery, text))
            }
            Outcome::Unavailable(_) => Ok(()),
            Outcome::Refused(name) => {
                self.domains[usize::from(request.op.domain())].refused(&request, *name);
                self.check_refusal(task, &request, *name)
            }
            Outcome::Joined(answer) => self.check_join(task, &request, answer, host),
            Outcome::Listed(listed) => {
                self.domains[usize::from(request.op.domain())].check_list(&request, listed)
            }
            Outcome::Done => {
                self.request(task).done = true;
                let concurrent = self.concurrent_since(task, request.started);
                let domain = &mut self.domains[usize::from(request.op.domain())];
                let took_ms = host.now_ms - request.started_ms;
                domain.acknowledged(task, &request, took_ms, &concurrent)
            }
        }
    }

    /// The operations of other requests that were in flight at any time since `step`.
    fn concurrent_since(&self, task: TaskId, step: u64) -> Vec<Op> {
        self.requests
            .iter()
            .filter(|(other, request)| **other != task && !request.is_over_by(step))
            .map(|(_, request)| request.op.clone())
            .collect()
    }

    /// How many keys a domain has had, and how many members it has. A repeated join must not change
    /// this.
    pub fn quiescent_state(&self, domain: u8) -> (usize, u64) {
        let domain = &self.domains[usize::from(domain)];
        (domain.keys_ever(), domain.member_count())
    }

    /// Whether a domain has as many members as its maximum.
    pub fn is_full(&self, domain: u8) -> bool {
        self.domains[usize::from(domain)].is_full()
    }

    /// Whether a machine is a member now.
    pub fn is_member(&self, machine: u8, domain: u8) -> bool {
        self.domains[usize::from(domain)].has_member(machine)
    }

    /// A hash of all that later checks depend on. Of the steps, only their order counts.
    pub fn digest(&self, digest: &mut Digest) {
        let mut steps = Vec::with_capacity(32);
        for domain in &self.domains {
            domain.digest(digest);
            steps.extend(domain.steps());
        }
        for request in self.requests.values() {
            request.digest(digest);
            steps.extend(request.steps());
        }
        let mut order: Vec<usize> = (0..steps.len()).collect();
        order.sort_by_key(|at| steps[*at]);
        let mut rank = 0;
        for (nth, at) in order.iter().enumerate() {
            rank += u64::from(nth > 0 && steps[*at] != steps[order[nth - 1]]);
            digest.number(rank << 32 | *at as u64);
        }
    }
}

/// The number of a machine.
fn machine_of(guid: &MachineGuid) -> Option<u8> {
    (0..u8::MAX).find(|machine| machine_guid(*machine) == *guid)
}
