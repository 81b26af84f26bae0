//! What the model knows of one domain name.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use anonymous_domains_protocol::{ids::MachineGuid, problem::ErrorName};
use anonymous_domains_testkit::Guarantee;

use super::request::Request;
use crate::{
    host::{Host, TaskId},
    operation::{Op, machine_guid},
    random::Digest,
    snapshot::DomainSnapshot,
    violation::Violation,
};

/// The longest time that a host lets a request run (the gateway's `request_timeout`), in
/// milliseconds. A request that runs longer may get an answer that another request got as well,
/// because that one took over.
const MAX_REQUEST_MS: i64 = 30_000;

/// A domain name, with all domains that had it one after the other: its generations.
#[derive(Debug, Clone, Default)]
pub struct DomainModel {
    snapshot: Option<Rc<DomainSnapshot>>,
    /// How many generations there have been.
    generations: usize,
    /// The step at which the current generation started.
    generation_started: u64,
    /// The machines that were told that they are members, and at which step. No request that may
    /// remove them has started since.
    pub must_be_members: BTreeMap<u8, u64>,
    /// The machines that an operator was told are blocked. No request to unblock them has started
    /// since.
    pub blocked: BTreeSet<u8>,
    /// The newest key for a join that starts now is not one of the first so many that were made.
    pub made_after: usize,
    /// Every key that was ever in the table, with its generation and version.
    keys: BTreeMap<String, (usize, usize)>,
    /// How many keys had been made when a request caused its last departure or rollover.
    caused: BTreeMap<TaskId, usize>,
    /// The departures of each machine: the step, and how many keys had been made.
    departures: BTreeMap<MachineGuid, Vec<(u64, usize)>>,
    /// How many departures of each machine were answered as done.
    answered_departures: BTreeMap<u8, usize>,
    /// The step of the last deletion.
    deleted: Option<u64>,
}

/// The changes of one write.
#[derive(Debug, Default)]
pub struct Changes {
    pub added: Vec<MachineGuid>,
    pub removed: Vec<MachineGuid>,
    pub keys: bool,
}

impl DomainModel {
    pub fn has_member(&self, machine: u8) -> bool {
        self.members().contains(&machine_guid(machine))
    }

    fn members(&self) -> &[MachineGuid] {
        self.snapshot
            .as_ref()
            .map_or(&[], |snapshot| &snapshot.members)
    }

    pub fn member_count(&self) -> u64 {
        self.members().len() as u64
    }

    pub fn keys_ever(&self) -> usize {
        self.keys.len()
    }

    pub fn was_deleted(&self) -> bool {
        self.deleted.is_some()
    }

    /// Whether the domain was deleted after `step`.
    pub fn was_deleted_since(&self, step: u64) -> bool {
        self.deleted.is_some_and(|deleted| deleted > step)
    }

    pub fn generation_started(&self) -> u64 {
        self.generation_started
    }

    /// The oldest generation that may answer a request which starts now.
    pub fn oldest_generation(&self) -> usize {
        self.generations + usize::from(self.snapshot.is_none())
    }

    /// Moves on to a new snapshot, and gives what changed.
    pub fn changes_to(
        &mut self,
        now: Option<Rc<DomainSnapshot>>,
        step: u64,
        task: TaskId,
        host: &Host,
    ) -> Result<Changes, Violation> {
        let made = host.made_keys.len();
        let mut changes = Changes::default();
        let before = self.snapshot.take();
        let Some(now) = now else {
            if before.is_some() {
                self.deleted = Some(step);
            }
            return Ok(changes);
        };
        let same = before.filter(|before| before.generation == now.generation);
        let (old_members, old_keys, old_departures, required) = match &same {
            Some(before) => (
                before.members.as_slice(),
                before.keys.as_slice(),
                before.departures,
                before.rollover_required || before.keys.is_empty(),
            ),
            None => {
                self.generations += 1;
                self.generation_started = step;
                self.made_after = 0;
                (&[][..], &[][..], 0, true)
            }
        };
        if !now.members.is_sorted() || now.members.windows(2).any(|pair| pair[0] == pair[1]) {
            return violated(Guarantee::Recovery, "the roster is not in order");
        }
        if now.count.is_some_and(|it| it != now.members.len() as u64) {
            // Without a change that is under way the domain's row itself is wrong.
            let guarantee = match now.intents {
                0 => Guarantee::Maximum,
                _ => Guarantee::Recovery,
            };
            return violated(guarantee, "the number of members is not that of the list");
        }
        for guid in &now.members {
            if !old_members.contains(guid) {
                changes.added.push(*guid);
            }
        }
        for guid in old_members {
            if !now.members.contains(guid) {
                changes.removed.push(*guid);
                self.departures.entry(*guid).or_default().push((step, made));
            }
        }
        if now.departures < old_departures {
            return violated(Guarantee::Rollover, "departures were forgotten");
        }
        if now.departures > old_departures {
            self.caused.insert(task, made);
        }
        if !now.keys.starts_with(old_keys) {
            let text = "a version names another key than before";
            return violated(Guarantee::KeyVersions, text);
        }
        let new_keys = &now.keys[old_keys.len()..];
        if new_keys.len() > 1 || (!new_keys.is_empty() && !required) {
            let text = "a key was saved that no request needed";
            return violated(Guarantee::SingleFlight, text);
        }
        for key in new_keys {
            changes.keys = true;
            let version = now.keys.len();
            let known = host.made_keys.iter().find(|made| *made.name == **key);
            if known.is_none_or(|made| made.version as usize != version) {
                let text = "a key was saved under a version it was not made for";
                return violated(Guarantee::KeyVersions, text);
            }
            let at = (self.generations, version);
            if self.keys.insert(key.clone(), at).is_some() {
                return violated(Guarantee::KeyVersions, "a key was saved twice");
            }
        }
        self.snapshot = Some(now);
        Ok(changes)
    }

    /// Issued keys are in the table, each under its version. Gives their generation.
    pub fn check_issued(&self, names: &[String]) -> Result<usize, Violation> {
        let mut generation = None;
        for (version, name) in (1..).zip(names) {
            let &(of, saved) = self.keys.get(name).ok_or_else(|| {
                let text = format!("{name} was issued and is not in DomainKeys");
                Violation::of(Guarantee::KeyVersions, text)
            })?;
            if saved != version || generation.is_some_and(|other| other != of) {
                let text = format!("{name} was issued as version {version}");
                return violated(Guarantee::KeyVersions, text);
            }
            generation = Some(of);
        }
        generation.ok_or_else(|| Violation::of(Guarantee::KeyVersions, "there is no key"))
    }

    /// A request of an operator or a leaving machine was answered as done, after so long.
    pub fn acknowledged(
        &mut self,
        task: TaskId,
        request: &Request,
        took_ms: i64,
        concurrent: &[Op],
    ) -> Result<(), Violation> {
        let deleted = self.was_deleted_since(request.started);
        match request.op {
            Op::Leave { machine, .. } | Op::Remove { machine, .. } | Op::Block { machine, .. } => {
                let left = self.last_departure(machine) > Some(request.started);
                if request.was_member && !left && !deleted && self.has_member(machine) {
                    let text = format!(
                        "{:?} is done, and the machine was a member all the time",
                        request.op
                    );
                    return violated(Guarantee::Membership, text);
                }
                self.told_not_a_member(machine, request.started);
                if !matches!(request.op, Op::Block { .. }) && took_ms <= MAX_REQUEST_MS {
                    self.check_departed_once(machine)?;
                }
                if let Op::Block { machine, domain } = request.op {
                    let unblocks = |op: &Op| match op {
                        Op::Unblock { machine: m, .. } => *m == machine,
                        Op::Delete { domain: d } => *d == domain,
                        _ => false,
                    };
                    if !deleted && !concurrent.iter().any(unblocks) {
                        self.blocked.insert(machine);
                    }
                }
            }
            Op::RequireRollover { .. } if !deleted => match self.caused.get(&task) {
                Some(made) => self.made_after = self.made_after.max(*made),
                None => {
                    let text = "a rollover that was asked for is not required";
                    return violated(Guarantee::Rollover, text);
                }
            },
            _ => {}
        }
        Ok(())
    }

    /// When several requests end one membership at the same time, only one of them is answered as
    /// done.
    fn check_departed_once(&mut self, machine: u8) -> Result<(), Violation> {
        let answered = self.answered_departures.entry(machine).or_default();
        *answered += 1;
        let departures = self.departures.get(&machine_guid(machine));
        let departures = departures.map_or(0, Vec::len);
        if *answered > departures && self.deleted.is_none() {
            let text = format!(
                "machine {machine} left {departures} times, and {answered} requests were told so"
            );
            return violated(Guarantee::Membership, text);
        }
        Ok(())
    }

    /// The step of a machine's last departure.
    fn last_departure(&self, machine: u8) -> Option<u64> {
        let departures = self.departures.get(&machine_guid(machine))?;
        departures.last().map(|(step, _)| *step)
    }

    /// A request that started at this step was told that a machine is not a member. Every join that
    /// starts from now on gets a key made after the machine left. Since then it may have joined and
    /// left again.
    fn told_not_a_member(&mut self, machine: u8, started: u64) {
        let departures = self.departures.get(&machine_guid(machine));
        let departures = departures.map(Vec::as_slice).unwrap_or_default();
        let first = departures.iter().find(|(step, _)| *step > started);
        if let Some((_, made)) = first.or(departures.last()) {
            self.made_after = self.made_after.max(*made);
        }
    }

    /// A request was refused. A caller is told that a machine is not a member only when its departure
    /// counts.
    pub fn refused(&mut self, request: &Request, name: ErrorName) {
        match (&request.op, name) {
            (Op::Leave { machine, .. } | Op::Preview { machine, .. }, ErrorName::DeregDenied)
            | (Op::Remove { machine, .. }, ErrorName::NotFound)
            | (
                Op::Join { machine, .. },
                ErrorName::DomLimitReached | ErrorName::DomRegDenied | ErrorName::RequestReplayed,
            ) => {
                self.told_not_a_member(*machine, request.started);
            }
            _ => {}
        }
    }

    /// Whether the domain has as many members as its maximum.
    pub fn is_full(&self) -> bool {
        let maximum = self.snapshot.as_ref().and_then(|it| it.maximum);
        maximum.is_some_and(|maximum| self.member_count() >= maximum)
    }

    /// A list has every machine that was a member all the time, once, in order.
    pub fn check_list(&self, request: &Request, listed: &[MachineGuid]) -> Result<(), Violation> {
        if !listed.is_sorted() || listed.windows(2).any(|pair| pair[0] == pair[1]) {
            let text = "a list of members is not in order, or has one twice";
            return Err(Violation::other(text));
        }
        if self.was_deleted_since(request.started) {
            return Ok(());
        }
        let missing = self.must_be_members.iter().any(|(machine, told)| {
            *told < request.started
                && self.last_departure(*machine) < Some(request.started)
                && !listed.contains(&machine_guid(*machine))
        });
        if missing {
            let text = "a list of members misses one that was a member all the time";
            return Err(Violation::other(text));
        }
        Ok(())
    }

    /// Every machine that was told that it is a member is one.
    pub fn check_members(&self) -> Result<(), Violation> {
        for machine in self.must_be_members.keys() {
            if !self.has_member(*machine) {
                let text = format!("machine {machine} was told that it is a member, and is not");
                return violated(Guarantee::Membership, text);
            }
        }
        Ok(())
    }

    /// The checks when the system is quiescent and every machine has registered again.
    pub fn check_quiescent(&self) -> Result<(), Violation> {
        match &self.snapshot {
            Some(now) if now.rollover_required && !now.members.is_empty() => {
                violated(Guarantee::Recovery, "a rollover is still required")
            }
            Some(now) if now.intents > 0 && !now.members.is_empty() => {
                let text = "a change of the roster was never finished";
                violated(Guarantee::Recovery, text)
            }
            _ => Ok(()),
        }
    }

    /// The steps whose order later checks depend on.
    pub fn steps(&self) -> impl Iterator<Item = u64> {
        let told = self.must_be_members.values().copied();
        let departed = self.departures.values().flatten();
        let departed = departed.map(|(step, _)| *step);
        let generation = [self.generation_started, self.deleted.unwrap_or(0)];
        told.chain(departed).chain(generation)
    }

    /// A hash of all that later checks depend on, except the tables and the steps.
    pub fn digest(&self, digest: &mut Digest) {
        digest.number(self.generations as u64);
        digest.number(self.made_after as u64);
        digest.number(self.keys.len() as u64);
        digest.number(self.must_be_members.len() as u64);
        for machine in self.must_be_members.keys().chain(&self.blocked) {
            digest.number(u64::from(*machine));
        }
        for (machine, answered) in &self.answered_departures {
            digest.number((usize::from(*machine) * 1000 + answered) as u64);
        }
        for (task, made) in &self.caused {
            digest.number((*task * 1000 + made) as u64);
        }
        for (guid, departures) in &self.departures {
            digest.bytes(guid.as_bytes());
            for (_, made) in departures {
                digest.number(*made as u64);
            }
        }
    }
}

fn violated<T>(guarantee: Guarantee, text: impl Into<String>) -> Result<T, Violation> {
    Err(Violation::of(guarantee, text))
}
