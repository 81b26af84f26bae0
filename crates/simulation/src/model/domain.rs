//! What the model knows of one domain name.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use anonymous_domains_protocol::{ids::MachineGuid, problem::ErrorName};

use super::{Request, Violation};
use crate::{
    host::{Host, TaskId},
    operation::{Op, machine_guid},
    random::Digest,
    view::DomainView,
};

/// No host lets a request run longer (`request_timeout` of the gateway). What one that does is told
/// may be what others, who took it for dead, were told.
const LONGEST_REQUEST_MS: i64 = 30_000;

/// A domain name through its generations.
#[derive(Debug, Clone, Default)]
pub struct DomainModel {
    view: Option<Rc<DomainView>>,
    /// How many domains have had the name.
    generations: usize,
    /// When the newest of them began.
    began: u64,
    /// Who was told that it is a member, and when, and has not been touched since.
    pub must_be_members: BTreeMap<u8, u64>,
    /// Whom an operator was told to be blocked, and nobody has let in since.
    pub blocked: BTreeSet<u8>,
    /// A join that starts now is given a newest key that is not among so many made first.
    pub made_after: usize,
    /// Every key that was ever in the table: its generation and version.
    keys: BTreeMap<String, (usize, usize)>,
    /// For each request, the last departure or rollover it caused: how many keys were made by then.
    caused: BTreeMap<TaskId, usize>,
    /// When each machine was seen to go: the steps, and how many keys were made by then.
    gone: BTreeMap<MachineGuid, Vec<(u64, usize)>>,
    /// How many departures of each machine were answered as done.
    departures: BTreeMap<u8, usize>,
    /// When the domain was last seen to be deleted.
    deleted: Option<u64>,
}

/// What one write changed.
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
        self.view.as_ref().map_or(&[], |view| &view.members)
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

    /// Whether the domain was another one at `step`, or is none now.
    pub fn was_deleted_since(&self, step: u64) -> bool {
        self.deleted.is_some_and(|deleted| deleted > step)
    }

    pub fn generation_began(&self) -> u64 {
        self.began
    }

    /// The generation that a request which starts now is answered from at least.
    pub fn oldest_generation(&self) -> usize {
        self.generations + usize::from(self.view.is_none())
    }

    /// Takes the domain for what it is now.
    pub fn changes_to(
        &mut self,
        now: Option<Rc<DomainView>>,
        step: u64,
        task: TaskId,
        host: &Host,
    ) -> Result<Changes, Violation> {
        let made = host.made.len();
        let mut changes = Changes::default();
        let before = self.view.take();
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
                self.began = step;
                self.made_after = 0;
                (&[][..], &[][..], 0, true)
            }
        };
        if !now.members.is_sorted() || now.members.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("6: the roster is not in order".to_owned());
        }
        for guid in &now.members {
            if !old_members.contains(guid) {
                changes.added.push(*guid);
            }
        }
        for guid in old_members {
            if !now.members.contains(guid) {
                changes.removed.push(*guid);
                self.gone.entry(*guid).or_default().push((step, made));
            }
        }
        if now.departures < old_departures {
            return Err("4: departures were forgotten".to_owned());
        }
        if now.departures > old_departures {
            self.caused.insert(task, made);
        }
        if !now.keys.starts_with(old_keys) {
            return Err("3: a version names another key than before".to_owned());
        }
        let new_keys = &now.keys[old_keys.len()..];
        if new_keys.len() > 1 || (!new_keys.is_empty() && !required) {
            return Err("7: a key was saved that nobody needed".to_owned());
        }
        for key in new_keys {
            changes.keys = true;
            let version = now.keys.len();
            let known = host.made.iter().find(|made| *made.identity == **key);
            if known.is_none_or(|made| made.version as usize != version) {
                return Err("3: a key was saved under a version it was not made for".to_owned());
            }
            let place = (self.generations, version);
            if self.keys.insert(key.clone(), place).is_some() {
                return Err("3: a key was saved twice".to_owned());
            }
        }
        self.view = Some(now);
        Ok(changes)
    }

    /// 3: keys that were issued are in the table, each under its version. Gives their generation.
    pub fn check_issued(&self, names: &[String]) -> Result<usize, Violation> {
        let mut generation = None;
        for (version, name) in (1..).zip(names) {
            let &(of, saved) = self
                .keys
                .get(name)
                .ok_or_else(|| format!("3: {name} was issued and is not in DomainKeys"))?;
            if saved != version || generation.is_some_and(|other| other != of) {
                return Err(format!("3: {name} was issued as version {version}"));
            }
            generation = Some(of);
        }
        generation.ok_or_else(|| "3: there is no key".to_owned())
    }

    /// An operator or a leaver was told that it is done, so long after it asked.
    pub fn acknowledged(
        &mut self,
        task: TaskId,
        request: &Request,
        took_ms: i64,
        overlapped: &[Op],
    ) -> Result<(), Violation> {
        let deleted = self.was_deleted_since(request.started);
        match request.op {
            Op::Leave { machine, .. } | Op::Expel { machine, .. } | Op::Block { machine, .. } => {
                let went = self.last_went(machine) > Some(request.started);
                if request.was_member && !went && !deleted && self.has_member(machine) {
                    return Err(format!(
                        "2: {:?} is done, and the machine was there all along",
                        request.op
                    ));
                }
                self.told_gone(machine, request.started);
                if !matches!(request.op, Op::Block { .. }) && took_ms <= LONGEST_REQUEST_MS {
                    self.departed_once(machine)?;
                }
                if let Op::Block { machine, domain } = request.op {
                    let let_in = |op: &Op| match op {
                        Op::Unblock { machine: m, .. } => *m == machine,
                        Op::Delete { domain: d } => *d == domain,
                        _ => false,
                    };
                    if !deleted && !overlapped.iter().any(let_in) {
                        self.blocked.insert(machine);
                    }
                }
            }
            Op::RequireRollover { .. } if !deleted => match self.caused.get(&task) {
                Some(made) => self.made_after = self.made_after.max(*made),
                None => return Err("4: a rollover that was asked for is not required".to_owned()),
            },
            _ => {}
        }
        Ok(())
    }

    /// Of several requests that end one membership at the same time, one is told that it has.
    fn departed_once(&mut self, machine: u8) -> Result<(), Violation> {
        let answered = self.departures.entry(machine).or_default();
        *answered += 1;
        let gone = self.gone.get(&machine_guid(machine)).map_or(0, Vec::len);
        if *answered > gone && self.deleted.is_none() {
            return Err(format!(
                "2: machine {machine} went {gone} times, and {answered} were told that it did"
            ));
        }
        Ok(())
    }

    /// When a machine went last.
    fn last_went(&self, machine: u8) -> Option<u64> {
        let gone = self.gone.get(&machine_guid(machine))?;
        gone.last().map(|(step, _)| *step)
    }

    /// Somebody who asked at `started` was told that a machine is no member: whoever joins from now on
    /// gets a key that was made after it went. It may have come again, and gone again, since.
    fn told_gone(&mut self, machine: u8, started: u64) {
        let gone = self.gone.get(&machine_guid(machine));
        let gone = gone.map(Vec::as_slice).unwrap_or_default();
        let first = gone.iter().find(|(step, _)| *step > started);
        if let Some((_, made)) = first.or(gone.last()) {
            self.made_after = self.made_after.max(*made);
        }
    }

    /// A request was refused. That a machine is no member is told only when its departure counts.
    pub fn refused(&mut self, request: &Request, name: ErrorName) {
        match (&request.op, name) {
            (Op::Leave { machine, .. } | Op::Preview { machine, .. }, ErrorName::DeregDenied)
            | (Op::Expel { machine, .. }, ErrorName::NotFound)
            | (
                Op::Join { machine, .. },
                ErrorName::DomLimitReached | ErrorName::DomRegDenied | ErrorName::RequestReplayed,
            ) => {
                self.told_gone(*machine, request.started);
            }
            _ => {}
        }
    }

    /// Whether there are as many members as there may be.
    pub fn is_full(&self) -> bool {
        let maximum = self.view.as_ref().and_then(|view| view.maximum);
        maximum.is_some_and(|maximum| self.member_count() >= maximum)
    }

    /// A list has every member that was there all the while, once, in order.
    pub fn check_list(&self, request: &Request, listed: &[MachineGuid]) -> Result<(), Violation> {
        if !listed.is_sorted() || listed.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("a list of members is not in order, or has one twice".to_owned());
        }
        if self.was_deleted_since(request.started) {
            return Ok(());
        }
        let missing = self.must_be_members.iter().any(|(machine, told)| {
            *told < request.started
                && self.last_went(*machine) < Some(request.started)
                && !listed.contains(&machine_guid(*machine))
        });
        if missing {
            return Err("a list of members misses one that was there all the while".to_owned());
        }
        Ok(())
    }

    /// What must hold of a quiet domain to which every machine has come again.
    pub fn check_quiet(&self) -> Result<(), Violation> {
        match &self.view {
            Some(view) if view.rollover_required && !view.members.is_empty() => {
                Err("6: a rollover is still required".to_owned())
            }
            Some(view) if view.intents > 0 && !view.members.is_empty() => {
                Err("6: a change of the roster was never finished".to_owned())
            }
            Some(view) if view.count.is_some_and(|it| it != self.member_count()) => {
                Err("1: the number of members is not what the domain's row says".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Moments whose order among all moments counts.
    pub fn moments(&self) -> impl Iterator<Item = u64> {
        let told = self.must_be_members.values().copied();
        let gone = self.gone.values().flatten().map(|(step, _)| *step);
        let began = [self.began, self.deleted.unwrap_or(0)];
        told.chain(gone).chain(began)
    }

    /// A hash of what verdicts depend on besides the tables and the moments.
    pub fn digest(&self, digest: &mut Digest) {
        digest.number(self.generations as u64);
        digest.number(self.made_after as u64);
        digest.number(self.keys.len() as u64);
        digest.number(self.must_be_members.len() as u64);
        for machine in self.must_be_members.keys().chain(&self.blocked) {
            digest.number(u64::from(*machine));
        }
        for (machine, answered) in &self.departures {
            digest.number((usize::from(*machine) * 1000 + answered) as u64);
        }
        for (task, made) in &self.caused {
            digest.number((*task * 1000 + made) as u64);
        }
        for (guid, gone) in &self.gone {
            digest.bytes(guid.as_bytes());
            for (_, made) in gone {
                digest.number(*made as u64);
            }
        }
    }
}
