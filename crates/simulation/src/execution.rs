//! One execution: the requests of a schedule while they run, and the steps that a scheduler can
//! take with them.

mod quiescence;

use std::rc::Rc;

use anonymous_domains_testkit::Guarantee;

use crate::{
    call::{Answer, Call, Kind, short},
    host::{CallId, Fault, Host, TaskId},
    instances::Instances,
    model::Model,
    operation::{Op, Outcome},
    running_task::{RunningTask, WaitingFor},
    runtime::Runtime,
    snapshot,
    violation::Violation,
};

/// No request may make more calls than this, whatever faults it meets.
const MAX_CALLS: u32 = 5000;

/// A request.
struct Task {
    op: Op,
    running: Option<RunningTask>,
    waiting_for: WaitingFor,
}

/// The next step of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// None: it has ended.
    Ended,
    /// It starts, or delivers its answer.
    Run,
    /// It calls the store.
    Call(Kind),
    /// It wakes, at that time.
    Wake(i64),
}

/// An execution.
pub struct Execution {
    pub runtime: Rc<Runtime>,
    pub model: Model,
    tasks: Vec<Task>,
    instances: Instances,
    /// Steps so far.
    pub steps: u64,
}

impl Execution {
    pub fn new(runtime: Rc<Runtime>, model: Model, instances: Instances) -> Self {
        Self {
            runtime,
            model,
            tasks: Vec::new(),
            instances,
            steps: 0,
        }
    }

    /// Continues after the requests `before`, from a moment at which no request is in flight.
    pub fn resume(host: Host, model: Model, before: Vec<Op>, seed: u64, traced: bool) -> Self {
        let runtime = Runtime::new(host, before.len(), seed, traced);
        let ended = |op| Task {
            op,
            running: None,
            waiting_for: WaitingFor::Start,
        };
        Self {
            tasks: before.into_iter().map(ended).collect(),
            ..Self::new(runtime, model, Instances::one_each())
        }
    }

    /// Adds a request, which has not started.
    pub fn add(&mut self, op: Op) -> TaskId {
        let instance = self.instances.next(&self.runtime, &op);
        let running = RunningTask::new(op.clone(), &self.runtime, instance);
        let id = running.id();
        self.tasks.push(Task {
            op,
            running: Some(running),
            waiting_for: WaitingFor::Start,
        });
        id
    }

    /// How many requests there were.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    pub fn next(&self, id: TaskId) -> Next {
        let task = &self.tasks[id];
        match &task.waiting_for {
            _ if task.running.is_none() => Next::Ended,
            WaitingFor::Start | WaitingFor::End(_) => Next::Run,
            WaitingFor::Call(call) => Next::Call(call.kind()),
            WaitingFor::Wake(until) => Next::Wake(*until),
        }
    }

    /// Whether a request was about a machine.
    pub fn knows(&self, machine: u8) -> bool {
        self.tasks
            .iter()
            .any(|task| task.op.machine() == Some(machine))
    }

    /// Whether a request waits for a plain read.
    pub fn is_at_get(&self, id: TaskId) -> bool {
        matches!(&self.tasks[id].waiting_for, WaitingFor::Call(call) if matches!(**call, Call::Get(_)))
    }

    /// Takes the next step of a request. Gives its outcome if it ended with this step.
    pub fn step(&mut self, id: TaskId, fault: Fault) -> Result<Option<Rc<Outcome>>, Violation> {
        self.steps += 1;
        let task = &mut self.tasks[id];
        let Some(running) = &mut task.running else {
            return Ok(None);
        };
        let mut changed = false;
        let answer = match &task.waiting_for {
            WaitingFor::End(outcome) => {
                let outcome = outcome.clone();
                task.running = None;
                self.runtime
                    .trace(|| format!("#{id:<3} is answered: {}", outcome.show()));
                let host = self.runtime.host.borrow();
                self.model.answered(id, &outcome, &host)?;
                drop(host);
                self.note_delayed_writes(id);
                return Ok(Some(outcome));
            }
            WaitingFor::Start => {
                let op = &task.op;
                self.runtime.trace(|| format!("#{id:<3} starts: {op:?}"));
                let now_ms = self.runtime.now_ms();
                self.model.started(id, op, now_ms);
                Answer::Start
            }
            WaitingFor::Wake(_) => Answer::Awake,
            WaitingFor::Call(call) => {
                let calls = self.runtime.calls(id);
                if calls > MAX_CALLS {
                    let text = format!("{:?} does not end", task.op);
                    return Err(Violation::of(Guarantee::Recovery, text));
                }
                let mut host = self.runtime.host.borrow_mut();
                let before = host.store.digest();
                let answer = host.perform(CallId { task: id, calls }, call, fault);
                // A row that is set or deleted is not part of the tables at that moment. Only a
                // swap changes them.
                let wrote = host.store.digest() != before;
                changed = wrote && call.kind() == Kind::Swap;
                drop(host);
                self.runtime.trace(|| {
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
        task.waiting_for = running.resume(answer);
        if changed {
            self.check_tables(id)?;
        }
        Ok(None)
    }

    /// Checks the tables against the model after a write of a request.
    fn check_tables(&mut self, id: TaskId) -> Result<(), Violation> {
        let host = self.runtime.host.borrow();
        let snapshots = snapshot::take(&host, self.model.domains())?;
        self.model.wrote(id, &host, &snapshots)
    }

    /// Crashes a request, or loses its answer.
    pub fn crash(&mut self, id: TaskId) {
        self.steps += 1;
        let task = &mut self.tasks[id];
        if task.running.take().is_none() {
            return;
        }
        self.runtime.trace(|| format!("#{id:<3} CRASHES"));
        if matches!(task.waiting_for, WaitingFor::Start) {
            // It never arrived, but the model has an entry for every request.
            let now_ms = self.runtime.now_ms();
            self.model.started(id, &task.op, now_ms);
        }
        self.model.crashed(id);
        self.note_delayed_writes(id);
    }

    fn note_delayed_writes(&mut self, id: TaskId) {
        if self.runtime.host.borrow().has_delayed(id) {
            self.model.set_delayed_writes(id, true);
        }
    }

    /// Settles a delayed write: it takes effect now, or never will.
    pub fn settle(&mut self, nth: usize, applies: bool) -> Result<(), Violation> {
        self.steps += 1;
        let (write, written) = self.runtime.host.borrow_mut().settle(nth, applies);
        let task = write.task;
        self.runtime.trace(|| {
            let what = match (applies, written) {
                (false, _) => "never takes effect",
                (true, false) => "takes effect late, and finds the row changed",
                (true, true) => "takes effect late",
            };
            format!("#{task:<3} write to {} {what}", short(&write.key))
        });
        if written {
            self.check_tables(task)?;
        }
        let has_ended = self.next(task) == Next::Ended;
        if has_ended && !self.runtime.host.borrow().has_delayed(task) {
            self.model.set_delayed_writes(task, false);
        }
        Ok(())
    }
}
