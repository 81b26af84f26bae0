//! One schedule while it runs: the requests, and what a scheduler can do to them.

use std::rc::Rc;

use crate::{
    call::{Answer, Call, Kind},
    host::{By, Fault, Host, TaskId},
    issuer::{self, Owner},
    live::{Live, Wants},
    model::{Model, Violation},
    operation::{Instance, Op, Outcome},
    random::Random,
    store::short,
    view,
    world::World,
};

/// No request may make more calls than this, whatever happens to it.
const MOST_CALLS: u32 = 5000;

/// The most calls of a request that nothing happens to.
const MOST_CALLS_ALONE: u32 = 600;

/// A join that nobody else is in the way of does not take as long as a maker is waited for, in
/// milliseconds. (Where leaves have two entries, to split all the rows above one takes a while.)
const UNDISTURBED_MS: i64 = issuer::TAKEOVER_MS.cast_signed();

/// So long after a request has died anybody finishes what it has begun, in milliseconds.
const LONG_AFTER_MS: i64 = 200_000;

/// The longest that a request which nothing happens to may take, in milliseconds.
const LONGEST_ALONE_MS: i64 = 20_000;

/// A request.
struct Task {
    op: Op,
    live: Option<Live>,
    wants: Wants,
}

/// What a request can do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it has ended.
    Ended,
    /// Begin, or hand over its answer.
    Go,
    /// Call the store.
    Call(Kind),
    /// Wake, at that time.
    Wake(i64),
}

/// A schedule.
pub struct Run {
    pub world: Rc<World>,
    pub model: Model,
    tasks: Vec<Task>,
    instances: Instances,
    /// Steps so far.
    pub steps: u64,
}

/// The instances of the server that requests go to.
pub struct Instances {
    /// The places of those that serve; where there is none, each request gets one of its own.
    pub serving: Vec<Option<Rc<Instance>>>,
    /// Chance.
    pub random: Random,
    /// Whether certificates run out within a schedule.
    pub short_lived_certificates: bool,
    /// How often a request goes to an instance with another key-encryption key, in thousandths.
    pub wrong_owner: u32,
}

impl Instances {
    /// Each request gets an instance of its own.
    pub fn one_each() -> Self {
        Self {
            serving: Vec::new(),
            random: Random::new(0),
            short_lived_certificates: false,
            wrong_owner: 0,
        }
    }

    /// The instance for the next request: now and then a new one takes an old one's place.
    fn next(&mut self, world: &Rc<World>) -> Rc<Instance> {
        let new = |owner| Instance::new(world, owner, self.short_lived_certificates);
        if world.host.borrow().has_root() && self.random.chance(self.wrong_owner) {
            return new(Owner::Wrong);
        }
        let new = || new(Owner::Right);
        if self.serving.is_empty() {
            return new();
        }
        let nth = self.random.below(self.serving.len());
        let place = &mut self.serving[nth];
        if self.random.chance(100) {
            *place = None;
        }
        place.get_or_insert_with(new).clone()
    }
}

impl Run {
    pub fn new(world: Rc<World>, model: Model, instances: Instances) -> Self {
        Self {
            world,
            model,
            tasks: Vec::new(),
            instances,
            steps: 0,
        }
    }

    /// A schedule that goes on from a moment after `before` at which no request is under way.
    pub fn resume(host: Host, model: Model, before: Vec<Op>, seed: u64, traced: bool) -> Self {
        let world = World::new(host, before.len(), seed, traced);
        let ended = |op| Task {
            op,
            live: None,
            wants: Wants::Start,
        };
        Self {
            tasks: before.into_iter().map(ended).collect(),
            ..Self::new(world, model, Instances::one_each())
        }
    }

    /// A new request, which has not begun.
    pub fn add(&mut self, op: Op) -> TaskId {
        let instance = self.instances.next(&self.world);
        let live = Live::new(op.clone(), &self.world, instance);
        let id = live.id();
        self.tasks.push(Task {
            op,
            live: Some(live),
            wants: Wants::Start,
        });
        id
    }

    /// How many requests there were.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    pub fn next(&self, id: TaskId) -> Next {
        let task = &self.tasks[id];
        match &task.wants {
            _ if task.live.is_none() => Next::Ended,
            Wants::Start | Wants::End(_) => Next::Go,
            Wants::Call(call) => Next::Call(call.kind()),
            Wants::Wake(until) => Next::Wake(*until),
        }
    }

    /// Whether a request was about a machine.
    pub fn knows(&self, machine: u8) -> bool {
        self.tasks
            .iter()
            .any(|task| task.op.machine() == Some(machine))
    }

    /// Whether it waits for a plain read.
    pub fn is_at_get(&self, id: TaskId) -> bool {
        matches!(&self.tasks[id].wants, Wants::Call(call) if matches!(**call, Call::Get(_)))
    }

    /// Lets a request take its next step. `Some` when it ended with that.
    pub fn step(&mut self, id: TaskId, fault: Fault) -> Result<Option<Rc<Outcome>>, Violation> {
        self.steps += 1;
        let task = &mut self.tasks[id];
        let Some(live) = &mut task.live else {
            return Ok(None);
        };
        let mut changed = false;
        let answer = match &task.wants {
            Wants::End(outcome) => {
                let outcome = outcome.clone();
                task.live = None;
                self.world
                    .trace(|| format!("#{id:<3} is answered: {}", outcome.show()));
                let host = self.world.host.borrow();
                self.model.answered(id, &outcome, &host)?;
                drop(host);
                self.note_lingering(id);
                return Ok(Some(outcome));
            }
            Wants::Start => {
                let op = &task.op;
                self.world.trace(|| format!("#{id:<3} begins: {op:?}"));
                let now_ms = self.world.now_ms();
                self.model.started(id, op, now_ms);
                Answer::Start
            }
            Wants::Wake(_) => Answer::Awake,
            Wants::Call(call) => {
                let calls = self.world.calls(id);
                if calls > MOST_CALLS {
                    return Err(format!("6: {:?} does not end", task.op));
                }
                let mut host = self.world.host.borrow_mut();
                let before = host.cells.digest();
                let answer = host.perform(By { task: id, calls }, call, fault);
                // Nothing leads to a row when it is set or removed: only a swap shows.
                let wrote = host.cells.digest() != before;
                changed = wrote && call.kind() == Kind::Swap;
                drop(host);
                self.world.trace(|| {
                    let shown = call.show(&answer);
                    let wrote = if wrote { ", writes" } else { "" };
                    match fault {
                        Fault::None => format!("#{id:<3} {shown}{wrote}"),
                        fault => format!("#{id:<3} {shown}{wrote} ({fault:?})"),
                    }
                });
                answer
            }
        };
        task.wants = live.go(answer);
        if changed {
            self.look(id)?;
        }
        Ok(None)
    }

    /// Holds the tables against the model after a write of a request.
    fn look(&mut self, id: TaskId) -> Result<(), Violation> {
        let host = self.world.host.borrow();
        let views = view::look(&host, self.model.domains())?;
        self.model.wrote(id, &host, &views)
    }

    /// Crashes a request, or loses its answer.
    pub fn crash(&mut self, id: TaskId) {
        self.steps += 1;
        let task = &mut self.tasks[id];
        if task.live.take().is_none() {
            return;
        }
        self.world.trace(|| format!("#{id:<3} CRASHES"));
        if matches!(task.wants, Wants::Start) {
            // It never arrived; the model wants to know of it all the same.
            let now_ms = self.world.now_ms();
            self.model.started(id, &task.op, now_ms);
        }
        self.model.crashed(id);
        self.note_lingering(id);
    }

    fn note_lingering(&mut self, id: TaskId) {
        if self.world.host.borrow().has_delayed(id) {
            self.model.lingers(id, true);
        }
    }

    /// Lets the effect of a delayed write come, or never come.
    pub fn settle(&mut self, nth: usize, applies: bool) -> Result<(), Violation> {
        self.steps += 1;
        let (write, written) = self.world.host.borrow_mut().settle(nth, applies);
        let task = write.task;
        self.world.trace(|| {
            let what = match (applies, written) {
                (false, _) => "is never done",
                (true, false) => "is done late, and finds another row",
                (true, true) => "is done late",
            };
            format!("#{task:<3} write to {} {what}", short(&write.key))
        });
        if written {
            self.look(task)?;
        }
        let is_over = self.next(task) == Next::Ended;
        if is_over && !self.world.host.borrow().has_delayed(task) {
            self.model.lingers(task, false);
        }
        Ok(())
    }

    /// Runs a request to its end while nothing else happens and time passes as it wishes.
    pub fn run_alone(&mut self, op: Op) -> Result<Rc<Outcome>, Violation> {
        let id = self.add(op);
        let began_ms = self.world.now_ms();
        loop {
            if let Next::Wake(until) = self.next(id) {
                self.world.advance_to(until);
            }
            if let Some(outcome) = self.step(id, Fault::None)? {
                return Ok(outcome);
            }
            if self.world.calls(id) > MOST_CALLS_ALONE
                || self.world.now_ms() - began_ms > LONGEST_ALONE_MS
            {
                return Err(format!("6: {:?} is held up by nobody", self.tasks[id].op));
            }
        }
    }

    /// All is quiet: every machine asks for its keys again, in each domain, twice.
    ///
    /// With `undisturbed`, nothing has crashed or failed before, or it was long ago: then nobody has
    /// to wait.
    pub fn finish(
        &mut self,
        machines: u8,
        domains: u8,
        undisturbed: bool,
    ) -> Result<(), Violation> {
        use anonymous_domains_protocol::problem::ErrorName;

        self.world.trace(|| "all is quiet".to_owned());
        self.world.makers_fail.set(false);
        self.instances.wrong_owner = 0;
        for domain in 0..domains {
            for machine in 0..machines {
                let asks = machine % domains == domain || self.model.is_member(machine, domain);
                if !asks {
                    continue;
                }
                let began_ms = self.world.now_ms();
                match &*self.run_alone(Op::Join { machine, domain })? {
                    Outcome::Joined(_) | Outcome::Refused(ErrorName::DomRegDenied) => {}
                    Outcome::Refused(ErrorName::DomLimitReached) => {
                        if !self.model.is_full(domain) {
                            return Err("6: a place is lost".to_owned());
                        }
                    }
                    outcome => return Err(format!("6: a quiet join: {}", outcome.show())),
                }
                if undisturbed && self.world.now_ms() - began_ms >= UNDISTURBED_MS {
                    return Err("6: a join waited for nobody".to_owned());
                }
            }
            // The last one may have finished what concerns the first.
            let mut quiet = self.model.quiet_state(domain);
            for _ in 0..2 {
                if self.model.is_member(0, domain) {
                    quiet = self.model.quiet_state(domain);
                    self.run_alone(Op::Join { machine: 0, domain })?;
                }
            }
            if self.model.quiet_state(domain) != quiet {
                return Err("7: a repeated join changed something".to_owned());
            }
            if let Outcome::Listed(listed) = &*self.run_alone(Op::List { domain, page: 3 })?
                && listed.len() as u64 != quiet.1
            {
                return Err("6: the list is not the roster".to_owned());
            }
        }
        Ok(())
    }

    /// Nothing happens for a long time.
    pub fn pause(&mut self) {
        self.world.advance_to(self.world.now_ms() + LONG_AFTER_MS);
    }

    /// An operator finds every blocked machine. (Where a block and its undoing die both, one may be
    /// missing: docs/internals/store.md.)
    pub fn check_lists(&self, machines: u8, domains: u8) -> Result<(), Violation> {
        let host = self.world.host.borrow();
        for domain in 0..domains {
            for machine in 0..machines {
                if !view::is_listed_if_blocked(&host, domain, machine)? {
                    return Err("6: a blocked machine is not on the list".to_owned());
                }
            }
        }
        Ok(())
    }

    /// What must hold at the end of all. In the end every member can be removed.
    pub fn check_quiet(&mut self, machines: u8, domains: u8) -> Result<(), Violation> {
        self.model.check_quiet(&self.world.host.borrow())?;
        for domain in 0..domains {
            for machine in 0..machines {
                if !self.model.is_member(machine, domain) {
                    continue;
                }
                let outcome = self.run_alone(Op::Expel { machine, domain })?;
                if !matches!(*outcome, Outcome::Done) {
                    return Err(format!("6: a member stays: {}", outcome.show()));
                }
            }
        }
        self.model.check_quiet(&self.world.host.borrow())
    }
}
