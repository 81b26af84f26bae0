//! The random scheduler: chooses which request runs next, and injects faults.

use anonymous_domains_testkit::Guarantee;

use crate::{
    call::Kind,
    counts::Counts,
    execution::{Execution, Next},
    host::{Fault, TaskId},
    operation::{Op, Outcome},
    random::Random,
    scenario::{Policy, Scenario},
    store_model::StoreModel,
    violation::Violation,
};

/// No schedule takes more steps than this.
const MAX_STEPS: u64 = 200_000;

/// A machine or an operator. It has one request in flight at a time.
struct Caller {
    /// The last is the next.
    ops: Vec<Op>,
    request: Option<(TaskId, Op)>,
}

impl Caller {
    fn new(ops: &[Op]) -> Self {
        Self {
            ops: ops.iter().rev().cloned().collect(),
            request: None,
        }
    }

    fn is_done(&self) -> bool {
        self.request.is_none() && self.ops.is_empty()
    }
}

/// The scheduler of one execution.
pub struct Scheduler {
    execution: Execution,
    scenario: Scenario,
    callers: Vec<Caller>,
    random: Random,
    /// Requests that are delayed, and until which step.
    delayed: Vec<(TaskId, u64)>,
    /// By caller. The highest runs first.
    priorities: Vec<u64>,
    /// The caller whose request ran last.
    last: Option<usize>,
    counts: Counts,
}

impl Scheduler {
    pub fn new(execution: Execution, scenario: Scenario, random: Random) -> Self {
        Self {
            execution,
            callers: scenario
                .callers
                .iter()
                .map(|ops| Caller::new(ops))
                .collect(),
            scenario,
            random,
            delayed: Vec::new(),
            priorities: Vec::new(),
            last: None,
            counts: Counts::default(),
        }
    }

    /// Runs all requests, then the checks of a quiescent system.
    pub fn run(&mut self) -> Result<(), Violation> {
        self.priorities = self
            .callers
            .iter()
            .map(|_| self.random.next_u64())
            .collect();
        while !self.callers.iter().all(Caller::is_done) {
            if self.execution.steps > MAX_STEPS {
                let text = "the schedule does not end";
                return Err(Violation::of(Guarantee::Recovery, text));
            }
            self.inject_faults();
            self.settle_some()?;
            match self.choose() {
                Some(caller) => self.step(caller)?,
                None => self.let_time_pass(),
            }
        }
        while !self.execution.runtime.host.borrow().delayed.is_empty() {
            let applies = self.random.chance(500);
            self.execution.settle(0, applies)?;
        }
        // Half of the schedules check recovery right after the faults too, when requests may still
        // have to wait for a timeout.
        let (machines, domains) = (self.scenario.machines, self.scenario.domains);
        if self.random.chance(500) {
            let undisturbed = self.scenario.fault_rates.is_fault_free();
            self.execution
                .register_all(machines, domains, undisturbed)?;
        }
        self.execution.finish_rotation()?;
        self.execution.wait_long();
        self.execution.register_all(machines, domains, true)?;
        self.execution.check_block_lists(machines, domains)?;
        self.execution.check_end(machines, domains)
    }

    /// Lets time pass, crashes requests and delays them.
    fn inject_faults(&mut self) {
        let rates = self.scenario.fault_rates;
        if self.random.chance(rates.time) {
            let ms = self.random.pick(&[1, 20, 60, 250, 3000, 130_000]);
            let now_ms = self.execution.runtime.now_ms();
            self.execution.runtime.advance_to(now_ms + ms);
        }
        if self.random.chance(rates.crash) {
            let count = if self.random.chance(200) { 4 } else { 1 };
            for _ in 0..count {
                self.crash_one();
            }
        }
        if self.random.chance(rates.delay)
            && let Some(task) = self.any_request()
        {
            let steps = self.random.pick(&[10, 50, 200, 1000]);
            self.execution
                .runtime
                .trace(|| format!("#{task:<3} is delayed for {steps} steps"));
            self.delayed.push((task, self.execution.steps + steps));
        }
    }

    fn any_request(&mut self) -> Option<TaskId> {
        let caller = self.random.below(self.callers.len());
        self.callers[caller].request.as_ref().map(|(task, _)| *task)
    }

    fn crash_one(&mut self) {
        let nth = self.random.below(self.callers.len());
        if let Some((task, op)) = self.callers[nth].request.take() {
            self.execution.crash(task);
            self.counts.crashed += 1;
            self.maybe_retry(nth, op);
        }
    }

    /// A caller that got no answer or `STORE_UNAVAILABLE` may repeat its request.
    fn maybe_retry(&mut self, caller: usize, op: Op) {
        if self.random.chance(600) {
            self.callers[caller].ops.push(op);
        }
    }

    fn settle_some(&mut self) -> Result<(), Violation> {
        let waiting = self.execution.runtime.host.borrow().delayed.len();
        if waiting > 0 && self.random.chance(60) {
            let nth = self.random.below(waiting);
            let applies = self.random.chance(700);
            self.execution.settle(nth, applies)?;
        }
        Ok(())
    }

    fn is_delayed(&self, task: TaskId) -> bool {
        self.delayed
            .iter()
            .any(|(delayed, until)| *delayed == task && *until > self.execution.steps)
    }

    fn can_run(&self, caller: &Caller) -> bool {
        match &caller.request {
            None => !caller.ops.is_empty(),
            Some((task, _)) => {
                let awake = match self.execution.next(*task) {
                    Next::Wake(until) => until <= self.execution.runtime.now_ms(),
                    _ => true,
                };
                awake && !self.is_delayed(*task)
            }
        }
    }

    /// Chooses the caller whose request runs next.
    fn choose(&mut self) -> Option<usize> {
        let ready: Vec<usize> = (0..self.callers.len())
            .filter(|caller| self.can_run(&self.callers[*caller]))
            .collect();
        if ready.is_empty() {
            return None;
        }
        let chosen = match self.scenario.policy {
            Policy::Sticky(per_mille) if self.random.chance(per_mille) => {
                self.last.filter(|last| ready.contains(last))
            }
            Policy::Priorities => {
                let first = ready.iter().copied().max_by_key(|it| self.priorities[*it]);
                if let Some(first) = first
                    && self.random.chance(50)
                {
                    self.priorities[first] = self.random.next_u64() >> 8;
                }
                first
            }
            Policy::Uniform | Policy::Sticky(_) => None,
        };
        let chosen = chosen.unwrap_or_else(|| self.random.pick(&ready));
        self.last = Some(chosen);
        Some(chosen)
    }

    /// Takes the next step of a caller: starts its next request, or runs the one in flight.
    fn step(&mut self, nth: usize) -> Result<(), Violation> {
        let caller = &mut self.callers[nth];
        let Some((task, _)) = caller.request else {
            if let Some(op) = caller.ops.pop() {
                let task = self.execution.add(op.clone());
                caller.request = Some((task, op));
            }
            return Ok(());
        };
        let fault = self.draw_fault(task);
        let Some(outcome) = self.execution.step(task, fault)? else {
            return Ok(());
        };
        let request = self.callers[nth].request.take();
        match *outcome {
            Outcome::Unavailable(_) => {
                self.counts.unavailable += 1;
                if let Some((_, op)) = request {
                    self.maybe_retry(nth, op);
                }
            }
            Outcome::Refused(_) => self.counts.refused += 1,
            _ => self.counts.done += 1,
        }
        Ok(())
    }

    /// Draws the fault for the next call of a request.
    fn draw_fault(&mut self, task: TaskId) -> Fault {
        let Next::Call(kind) = self.execution.next(task) else {
            return Fault::None;
        };
        let store = self.execution.runtime.store_model();
        let rates = self.scenario.fault_rates;
        if store == StoreModel::DynamoDbStale
            && self.execution.is_at_get(task)
            && self.random.chance(rates.stale)
        {
            return Fault::Stale;
        }
        if !self.random.chance(rates.call) {
            return Fault::None;
        }
        self.counts.faults += 1;
        match kind {
            Kind::Read => Fault::Refuse,
            _ => self.random.pick(Fault::possible(kind, store)),
        }
    }

    /// No request can run: time passes until the first one wakes, or the delays end.
    fn let_time_pass(&mut self) {
        let asleep = self.callers.iter().filter_map(|caller| {
            let (task, _) = caller.request.as_ref()?;
            match self.execution.next(*task) {
                Next::Wake(until) if !self.is_delayed(*task) => Some(until),
                _ => None,
            }
        });
        match asleep.min() {
            Some(until) => self.execution.runtime.advance_to(until),
            None => self.delayed.clear(),
        }
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        Counts {
            schedules: 1,
            steps: self.execution.steps,
            requests: self.execution.len() as u64,
            keys: self.execution.runtime.host.borrow().made_keys.len() as u64,
            splits: self.execution.runtime.host.borrow().store.len() as u64,
            ..self.counts
        }
    }

    pub fn take_trace(&self) -> Vec<String> {
        self.execution.runtime.take_trace()
    }
}
