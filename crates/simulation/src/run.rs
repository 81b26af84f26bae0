//! One schedule while it runs: the requests, and what a scheduler can do to them.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use crate::{
    model::{Model, Violation},
    operation::{self, Op, Outcome},
    random::Digest,
    store::short,
    view::Views,
    world::{At, Fault, Kind, TaskId, World},
};

/// No request may make more calls than this, whatever happens to it.
const MOST_CALLS: u32 = 5000;

/// The most calls of a request that nothing happens to.
const MOST_CALLS_ALONE: u32 = 600;

/// The longest that a request which nothing happens to may take, in milliseconds.
const LONGEST_ALONE_MS: i64 = 20_000;

/// A request.
struct Task {
    op: Op,
    future: Option<Pin<Box<dyn Future<Output = Outcome>>>>,
    /// Its answer, while that is on its way to the caller.
    answer: Option<Outcome>,
    began: bool,
}

fn is_probe(key: &str) -> bool {
    key.contains(":probe:")
}

fn is_root(key: &str) -> bool {
    key.ends_with(":root")
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
    short_lived_certificates: bool,
    /// Steps so far.
    pub steps: u64,
}

impl Run {
    pub fn new(world: Rc<World>, model: Model, short_lived_certificates: bool) -> Self {
        Self {
            world,
            model,
            tasks: Vec::new(),
            short_lived_certificates,
            steps: 0,
        }
    }

    /// A new request, which has not begun.
    pub fn add(&mut self, op: Op) -> TaskId {
        let id = self.world.add_task();
        let future = operation::run(
            op.clone(),
            self.world.clone(),
            self.short_lived_certificates,
        );
        self.tasks.push(Task {
            op,
            future: Some(Box::pin(future)),
            answer: None,
            began: false,
        });
        id
    }

    /// Another schedule from here, while no request is under way.
    pub fn fork(&self, traced: bool, views: &Rc<Views>) -> Self {
        let tasks = self.tasks.iter().map(|task| Task {
            op: task.op.clone(),
            future: None,
            answer: None,
            began: true,
        });
        Self {
            world: self.world.fork(traced, views),
            model: self.model.clone(),
            tasks: tasks.collect(),
            short_lived_certificates: self.short_lived_certificates,
            steps: 0,
        }
    }

    /// How many requests there were.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    pub fn next(&self, id: TaskId) -> Next {
        let task = &self.tasks[id];
        if task.answer.is_some() {
            return Next::Go;
        }
        if task.future.is_none() {
            return Next::Ended;
        }
        match self.world.at(id) {
            At::Call { kind, .. } => Next::Call(kind),
            At::Sleep(until) => Next::Wake(until),
            At::Start | At::Away => Next::Go,
        }
    }

    /// Whether the next call is about a key that only this request knows.
    pub fn is_private(&self, id: TaskId) -> bool {
        match self.world.at(id) {
            At::Call { kind, key, .. } => kind == Kind::Write && !is_root(&key) || is_probe(&key),
            _ => false,
        }
    }

    /// Whether its answer is on its way.
    pub fn has_answer(&self, id: TaskId) -> bool {
        self.tasks[id].answer.is_some()
    }

    /// Whether a request was about a machine.
    pub fn knows(&self, machine: u8) -> bool {
        self.tasks
            .iter()
            .any(|task| task.op.machine() == Some(machine))
    }

    /// Whether it waits for a plain read.
    pub fn is_at_get(&self, id: TaskId) -> bool {
        matches!(self.world.at(id), At::Call { what: "get", .. })
    }

    /// Lets a request take its next step. `Some` when it ended with that.
    pub fn step(&mut self, id: TaskId, fault: Fault) -> Result<Option<Outcome>, Violation> {
        self.steps += 1;
        if let Some(answer) = self.tasks[id].answer.take() {
            self.world
                .trace(|| format!("#{id:<3} is answered: {}", answer.show()));
            let checked = self.model.answered(id, &answer, &self.world);
            self.note_lingering(id);
            return checked.map(|()| Some(answer));
        }
        // Nothing leads to a row when it is set or removed: only a swap changes what is seen.
        let swaps = self.next(id) == Next::Call(Kind::Swap);
        let task = &mut self.tasks[id];
        let Some(future) = &mut task.future else {
            return Ok(None);
        };
        if !task.began {
            task.began = true;
            let op = &task.op;
            self.world.trace(|| format!("#{id:<3} begins: {op:?}"));
            self.model.started(id, op);
        }
        let writes = self.world.cells.borrow().writes();
        self.world.enter(id, fault);
        let polled = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(outcome) = polled {
            task.future = None;
            task.answer = Some(outcome);
        }
        if self.world.calls(id) > MOST_CALLS {
            return Err(format!("6: {:?} does not end", task.op));
        }
        let wrote = self.world.cells.borrow().writes() != writes;
        if wrote && swaps {
            self.model.wrote(id, &self.world)?;
        }
        Ok(None)
    }

    /// Crashes a request, or loses its answer.
    pub fn crash(&mut self, id: TaskId) {
        self.steps += 1;
        let task = &mut self.tasks[id];
        let was_alive = task.future.take().is_some() | task.answer.take().is_some();
        if was_alive && task.began {
            self.world.trace(|| format!("#{id:<3} CRASHES"));
            self.model.crashed(id);
            self.note_lingering(id);
        } else if was_alive {
            // It never arrived; the model wants to know of it all the same.
            task.began = true;
            self.model.started(id, &task.op);
            self.model.crashed(id);
        }
    }

    fn has_delayed(&self, id: TaskId) -> bool {
        let delayed = self.world.delayed.borrow();
        delayed.iter().any(|write| write.task == id)
    }

    fn note_lingering(&mut self, id: TaskId) {
        if self.has_delayed(id) {
            self.model.lingers(id, true);
        }
    }

    /// Lets the effect of a delayed write come, or never come.
    pub fn settle(&mut self, nth: usize, applies: bool) -> Result<(), Violation> {
        self.steps += 1;
        let write = self.world.delayed.borrow_mut().remove(nth);
        let task = write.task;
        let mut written = false;
        if applies {
            let now_ms = self.world.now_ms();
            let mut cells = self.world.cells.borrow_mut();
            written = match &write.seen {
                Some(seen) => cells.swap(&write.key, seen, &write.value, now_ms),
                None => cells.set(&write.key, &write.value, now_ms).map(|()| true),
            }
            .unwrap_or(false);
        }
        self.world.trace(|| {
            let what = match (applies, written) {
                (false, _) => "is never done",
                (true, false) => "is done late, and finds another row",
                (true, true) => "is done late",
            };
            format!("#{task:<3} write to {} {what}", short(&write.key))
        });
        if written && write.seen.is_some() {
            self.model.wrote(task, &self.world)?;
        }
        let is_over = self.next(task) == Next::Ended;
        if is_over && !self.has_delayed(task) {
            self.model.lingers(task, false);
        }
        Ok(())
    }

    /// Runs a request to its end while nothing else happens and time passes as it wishes.
    pub fn run_alone(&mut self, op: Op) -> Result<Outcome, Violation> {
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
    pub fn finish(&mut self, machines: u8, domains: u8) -> Result<(), Violation> {
        use anonymous_domains_protocol::problem::ErrorName;

        self.world.trace(|| "all is quiet".to_owned());
        for domain in 0..domains {
            for machine in 0..machines {
                let asks = machine % domains == domain || self.model.is_member(machine, domain);
                if !asks {
                    continue;
                }
                match self.run_alone(Op::Join { machine, domain })? {
                    Outcome::Joined(_) | Outcome::Refused(ErrorName::DomLimitReached) => {}
                    Outcome::Refused(ErrorName::DomRegDenied) => {}
                    outcome => return Err(format!("6: a quiet join: {}", outcome.show())),
                }
            }
            let quiet = self.model.quiet_state(domain);
            if self.model.is_member(0, domain) {
                self.run_alone(Op::Join { machine: 0, domain })?;
            }
            if self.model.quiet_state(domain) != quiet {
                return Err("7: a repeated join changed something".to_owned());
            }
            if let Outcome::Listed(listed) = self.run_alone(Op::List { domain, page: 3 })?
                && listed.len() as u64 != quiet.1
            {
                return Err("6: the list is not the roster".to_owned());
            }
        }
        self.model.check_quiet(&self.world)
    }

    /// The state of everything, for schedulers that do not go to the same place twice.
    pub fn digest(&self) -> Digest {
        let mut digest = Digest::default();
        self.world.digest(&mut digest, |id| {
            let task = &self.tasks[id];
            task.future.is_some() || task.answer.is_some()
        });
        for task in &self.tasks {
            digest.number(
                u64::from(task.began)
                    + 2 * u64::from(task.future.is_some())
                    + 4 * u64::from(task.answer.is_some()),
            );
        }
        self.model.digest(&mut digest);
        digest
    }
}
