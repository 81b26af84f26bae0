//! One random schedule, fixed by its seed.

use std::fmt;

use crate::{
    behaviour::Behaviour,
    call::Kind,
    host::{Fault, Host, TaskId},
    model::{Leniency, Model, Violation},
    operation::{Op, Outcome},
    random::Random,
    run::{Instances, Next, Run},
    scenario::{Options, Order, Scenario},
    world::World,
};

/// A schedule in which something did not hold.
#[derive(Debug, Clone)]
pub struct Failure {
    /// With it, `cargo xtask simulate --replay` shows the schedule again.
    pub seed: u64,
    /// The store.
    pub behaviour: Behaviour,
    /// What did not hold: the number of the invariant, and what was seen.
    pub violation: String,
    /// The steps, where a trace was asked for.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "VIOLATED {}", self.violation)?;
        write!(
            f,
            "cargo xtask simulate --replay {} --behaviour {}",
            self.seed, self.behaviour
        )
    }
}

/// What happened in schedules, to see that something did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Schedules.
    pub schedules: u64,
    /// Steps: calls, wakes, beginnings, answers, crashes.
    pub steps: u64,
    /// Requests.
    pub requests: u64,
    /// Requests that were done.
    pub done: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Requests that were answered `STORE_UNAVAILABLE`.
    pub unavailable: u64,
    /// Requests that crashed.
    pub crashed: u64,
    /// Calls that failed or whose answer was lost or late.
    pub faults: u64,
    /// Key versions.
    pub keys: u64,
    /// Rows of trees besides their roots.
    pub splits: u64,
}

impl Counts {
    /// Adds up.
    pub fn add(&mut self, other: &Self) {
        self.schedules += other.schedules;
        self.steps += other.steps;
        self.requests += other.requests;
        self.done += other.done;
        self.refused += other.refused;
        self.unavailable += other.unavailable;
        self.crashed += other.crashed;
        self.faults += other.faults;
        self.keys += other.keys;
        self.splits += other.splits;
    }
}

/// No schedule takes more steps than this.
const MOST_STEPS: u64 = 200_000;

/// Runs the schedule of a seed.
///
/// # Errors
/// What did not hold.
pub fn run(seed: u64, options: Options) -> Result<Counts, Box<Failure>> {
    let mut random = Random::new(seed);
    let scenario = Scenario::draw(&mut random);
    let host = Host::new(options.behaviour, scenario.limits, options.defect);
    let world = World::new(host, 0, seed, options.traced);
    world.trace(|| format!("{scenario:#?}"));
    let leniency = Leniency {
        forgetful_rows: scenario.limits.revisions_kept < 32,
        wasted_keys: !scenario.weather.is_calm(),
    };
    let model = Model::new(scenario.domains, leniency);
    // Chance of their own, so that what else happens does not depend on them.
    let mut random_instances = Random::new(!seed);
    let instances = Instances {
        serving: vec![None; random_instances.pick(&[0, 0, 1, 1, 2, 3])],
        random: random_instances,
        short_lived_certificates: scenario.short_lived_certificates,
        wrong_owner: scenario.wrong_owner,
    };
    world.makers_fail.set(scenario.makers_fail);
    let mut scheduler = Scheduler {
        run: Run::new(world, model, instances),
        callers: scenario
            .callers
            .iter()
            .map(|ops| Caller::new(ops))
            .collect(),
        scenario,
        random,
        starved: Vec::new(),
        priorities: Vec::new(),
        last: None,
        counts: Counts::default(),
    };
    let result = scheduler.run();
    match result {
        Ok(()) => Ok(scheduler.counts()),
        Err(violation) => Err(Box::new(Failure {
            seed,
            behaviour: options.behaviour,
            violation,
            trace: scheduler.run.world.take_trace(),
        })),
    }
}

/// A machine or an operator: one request at a time.
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
}

struct Scheduler {
    run: Run,
    scenario: Scenario,
    callers: Vec<Caller>,
    random: Random,
    /// Requests that are held up, and until which step.
    starved: Vec<(TaskId, u64)>,
    /// By caller; the highest goes first.
    priorities: Vec<u64>,
    last: Option<usize>,
    counts: Counts,
}

impl Scheduler {
    fn run(&mut self) -> Result<(), Violation> {
        self.priorities = self
            .callers
            .iter()
            .map(|_| self.random.next_u64())
            .collect();
        while self
            .callers
            .iter()
            .any(|caller| caller.request.is_some() || !caller.ops.is_empty())
        {
            if self.run.steps > MOST_STEPS {
                return Err("6: the schedule does not end".to_owned());
            }
            self.weather();
            self.settle_some()?;
            match self.choose() {
                Some(caller) => self.step(caller)?,
                None => self.let_time_pass(),
            }
        }
        while !self.run.world.host.borrow().delayed.is_empty() {
            let applies = self.random.chance(500);
            self.run.settle(0, applies)?;
        }
        // Either what a crash has left is mended at once, or nobody has to wait for it later.
        let (machines, domains) = (self.scenario.machines, self.scenario.domains);
        if self.random.chance(500) {
            let is_calm = self.scenario.weather.is_calm();
            self.run.finish(machines, domains, is_calm)?;
        }
        self.run.pause();
        self.run.finish(machines, domains, true)?;
        self.run.check_lists(machines, domains)?;
        self.run.check_quiet(machines, domains)
    }

    /// Crashes, hold-ups and the passing of time.
    fn weather(&mut self) {
        let weather = self.scenario.weather;
        if self.random.chance(weather.time) {
            let ms = self.random.pick(&[1, 20, 60, 250, 3000, 130_000]);
            let now_ms = self.run.world.now_ms();
            self.run.world.advance_to(now_ms + ms);
        }
        if self.random.chance(weather.crash) {
            let most = if self.random.chance(200) { 4 } else { 1 };
            for _ in 0..most {
                self.crash_one();
            }
        }
        if self.random.chance(weather.starve)
            && let Some(task) = self.any_request()
        {
            let steps = self.random.pick(&[10, 50, 200, 1000]);
            self.run
                .world
                .trace(|| format!("#{task:<3} is held up for {steps} steps"));
            self.starved.push((task, self.run.steps + steps));
        }
    }

    fn any_request(&mut self) -> Option<TaskId> {
        let caller = self.random.below(self.callers.len());
        self.callers[caller].request.as_ref().map(|(task, _)| *task)
    }

    fn crash_one(&mut self) {
        let nth = self.random.below(self.callers.len());
        if let Some((task, op)) = self.callers[nth].request.take() {
            self.run.crash(task);
            self.counts.crashed += 1;
            self.ask_again(nth, op);
        }
    }

    /// A caller that heard nothing, or that the server cannot serve now, may ask again.
    fn ask_again(&mut self, caller: usize, op: Op) {
        if self.random.chance(600) {
            self.callers[caller].ops.push(op);
        }
    }

    fn settle_some(&mut self) -> Result<(), Violation> {
        let waiting = self.run.world.host.borrow().delayed.len();
        if waiting > 0 && self.random.chance(60) {
            let nth = self.random.below(waiting);
            let applies = self.random.chance(700);
            self.run.settle(nth, applies)?;
        }
        Ok(())
    }

    fn is_starved(&self, task: TaskId) -> bool {
        self.starved
            .iter()
            .any(|(starved, until)| *starved == task && *until > self.run.steps)
    }

    fn can_go(&self, caller: &Caller) -> bool {
        match &caller.request {
            None => !caller.ops.is_empty(),
            Some((task, _)) => {
                let awake = match self.run.next(*task) {
                    Next::Wake(until) => until <= self.run.world.now_ms(),
                    _ => true,
                };
                awake && !self.is_starved(*task)
            }
        }
    }

    /// Who goes on.
    fn choose(&mut self) -> Option<usize> {
        let ready: Vec<usize> = (0..self.callers.len())
            .filter(|caller| self.can_go(&self.callers[*caller]))
            .collect();
        if ready.is_empty() {
            return None;
        }
        let chosen = match self.scenario.order {
            Order::Sticky(per_mille) if self.random.chance(per_mille) => {
                self.last.filter(|last| ready.contains(last))
            }
            Order::Priorities => {
                let first = ready.iter().copied().max_by_key(|it| self.priorities[*it]);
                if let Some(first) = first
                    && self.random.chance(50)
                {
                    self.priorities[first] = self.random.next_u64() >> 8;
                }
                first
            }
            Order::Uniform | Order::Sticky(_) => None,
        };
        let chosen = chosen.unwrap_or_else(|| self.random.pick(&ready));
        self.last = Some(chosen);
        Some(chosen)
    }

    fn step(&mut self, nth: usize) -> Result<(), Violation> {
        let caller = &mut self.callers[nth];
        let Some((task, _)) = caller.request else {
            if let Some(op) = caller.ops.pop() {
                let task = self.run.add(op.clone());
                caller.request = Some((task, op));
            }
            return Ok(());
        };
        let fault = self.fault(task);
        let Some(outcome) = self.run.step(task, fault)? else {
            return Ok(());
        };
        let request = self.callers[nth].request.take();
        match *outcome {
            Outcome::Unavailable(_) => {
                self.counts.unavailable += 1;
                if let Some((_, op)) = request {
                    self.ask_again(nth, op);
                }
            }
            Outcome::Refused(_) => self.counts.refused += 1,
            _ => self.counts.done += 1,
        }
        Ok(())
    }

    /// What the call that comes next meets.
    fn fault(&mut self, task: TaskId) -> Fault {
        let Next::Call(kind) = self.run.next(task) else {
            return Fault::None;
        };
        let behaviour = self.run.world.behaviour();
        if behaviour == Behaviour::DynamoDbStale
            && self.run.is_at_get(task)
            && self.random.chance(self.scenario.weather.stale)
        {
            return Fault::Stale;
        }
        if !self.random.chance(self.scenario.weather.fault) {
            return Fault::None;
        }
        self.counts.faults += 1;
        match kind {
            Kind::Read => Fault::Refuse,
            Kind::Write => self.random.pick(&[Fault::Refuse, Fault::Lose]),
            Kind::Swap if behaviour.reports_errors_as_failed() => self.random.pick(&[
                Fault::Refuse,
                Fault::Lose,
                Fault::Delay,
                Fault::RefuseAsFailed,
                Fault::LoseAsFailed,
            ]),
            Kind::Swap => self
                .random
                .pick(&[Fault::Refuse, Fault::Lose, Fault::Delay]),
        }
    }

    /// Nobody can go on: the first sleeper wakes, or whoever is held up longest goes on.
    fn let_time_pass(&mut self) {
        let asleep = self.callers.iter().filter_map(|caller| {
            let (task, _) = caller.request.as_ref()?;
            match self.run.next(*task) {
                Next::Wake(until) if !self.is_starved(*task) => Some(until),
                _ => None,
            }
        });
        match asleep.min() {
            Some(until) => self.run.world.advance_to(until),
            None => self.starved.clear(),
        }
    }

    fn counts(&self) -> Counts {
        Counts {
            schedules: 1,
            steps: self.run.steps,
            requests: self.run.len() as u64,
            keys: self.run.world.host.borrow().made.len() as u64,
            splits: self.run.world.host.borrow().cells.len() as u64,
            ..self.counts
        }
    }
}
