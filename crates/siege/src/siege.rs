//! One attack after another, each beside honest clients, in turns with these alone.

use std::{
    path::Path,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::process::{getpriority_process, setpriority_process};

use crate::{
    attacks::Attack,
    field::{Field, Size, Tally},
    honest::{Honest, Sample},
    requests::Requests,
    target::{Programs, Settings, Target},
};

/// More memory than all of the gateway's limits allow together: 1 GiB for instances, 256 MiB each
/// for requests and for answers, and for a thousand connections 0.3 MiB each.
const MAX_MEMORY_BYTES: u64 = 2 << 30;

/// By how much hostile clients are nicer than all others: they stand for other machines, whose
/// processors are not this one's.
const NICER: i32 = 10;

/// For how much longer than the honest clients the hostile ones go on.
const LONGER: Duration = Duration::from_millis(300);

/// How many more turns an attack gets that has done nothing yet: the machine may be busy.
const MORE_TURNS: u32 = 10;

/// How long to wait at most until the gateway has nothing to do.
const MAX_REST: Duration = Duration::from_secs(20);

/// How an attack is tried.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How large it is.
    pub size: Size,
    /// How long honest clients ask, alone and then beside it.
    pub duration: Duration,
    /// How often both.
    pub turns: u32,
    /// How many steady joins are sent to find what one costs.
    pub joins: u32,
}

/// What an attack did.
#[derive(Clone)]
pub struct Outcome {
    /// The attack.
    pub attack: Attack,
    /// The gateway.
    pub settings: Settings,
    /// The honest clients alone.
    pub alone: Sample,
    /// The honest clients beside it.
    pub beside: Sample,
    /// What the hostile ones met.
    pub tally: Tally,
    /// How long they were there, in seconds.
    pub seconds: f64,
    /// The processor time for one of its units, in that for an honest steady join.
    pub cost_joins: f64,
    /// The gateway's memory at its end, in bytes.
    pub memory_bytes: u64,
    /// What must not be.
    pub wrong: Vec<String>,
}

/// A gateway that is besieged, with its honest clients.
struct Place {
    target: Target,
    honest: Honest,
    /// The processor time for a steady join, in seconds.
    join_s: f64,
}

impl Place {
    fn prepare(
        programs: &Programs,
        directory: &Path,
        settings: Settings,
        plan: Plan,
    ) -> anyhow::Result<Self> {
        let target = Target::start(programs, directory, settings)?;
        let domain = format!("honest-{}", target.address.port());
        let honest = Honest::settle(target.address, domain, settings.has_slow_keys())?;
        // Instances are warm after some.
        honest.join_many(plan.joins / 5)?;
        let before = target.cpu_s()?;
        honest.join_many(plan.joins)?;
        let join_s = (target.cpu_s()? - before) / f64::from(plan.joins);
        Ok(Self {
            target,
            honest,
            join_s,
        })
    }

    /// Honest clients for a time, and the gateway's processor time for them and whoever else asks.
    fn ask(&self, duration: Duration, prefix: &str) -> anyhow::Result<(Sample, f64)> {
        let before = self.target.cpu_s()?;
        let sample = self.honest.run(duration, prefix)?;
        Ok((sample, self.target.cpu_s()? - before))
    }

    /// Waits until the gateway has nothing left to do.
    fn rest(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        while start.elapsed() < MAX_REST {
            let before = self.target.cpu_s()?;
            thread::sleep(Duration::from_millis(200));
            if self.target.cpu_s()? - before < 0.02 {
                break;
            }
        }
        Ok(())
    }

    fn try_attack(&mut self, number: usize, attack: Attack, plan: Plan) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome {
            attack,
            settings: self.target.settings,
            alone: Sample::default(),
            beside: Sample::default(),
            tally: Tally::default(),
            seconds: 0.0,
            cost_joins: 0.0,
            memory_bytes: 0,
            wrong: Vec::new(),
        };
        let (mut alone_s, mut beside_s) = (0.0, 0.0);
        for turn in 0..plan.turns + MORE_TURNS {
            if turn >= plan.turns && outcome.tally.units > 0 {
                break;
            }
            self.rest()?;
            let prefix = |who| format!("{who}-{}-{number}-{turn}", self.target.address.port());
            let (sample, cpu_s) = self.ask(plan.duration, &prefix("alone"))?;
            outcome.alone.add(sample);
            alone_s += cpu_s;

            let requests = Requests {
                server: self.target.address,
                // Each attack is another client, with all that a client may use.
                client: format!("203.0.113.{}", 1 + number % 190),
            };
            let (ready, is_ready) = mpsc::channel();
            let hostile = {
                let (domain, prefix) = (self.honest.domain.clone(), prefix("hostile"));
                let duration = plan.duration + LONGER;
                thread::spawn(move || {
                    let field = Field::new(requests, domain, prefix, plan.size);
                    run(attack, field, duration, &ready)
                })
            };
            is_ready.recv().context("the attack does not begin")?;
            let (sample, cpu_s) = self.ask(plan.duration, &prefix("beside"))?;
            let memory_bytes = self.target.memory_bytes()?;
            outcome.memory_bytes = outcome.memory_bytes.max(memory_bytes);
            outcome.beside.add(sample);
            beside_s += cpu_s;
            let tally = hostile.join();
            let tally = tally.ok().context("the attack failed")??;
            outcome.tally.add(&tally);
            outcome.seconds += (plan.duration + LONGER).as_secs_f64();
        }
        // What honest clients cost is the same in both.
        let per_unit = (beside_s - alone_s).max(0.0) / outcome.tally.units.max(1) as f64;
        outcome.cost_joins = per_unit / self.join_s;
        outcome.wrong = self.what_is_wrong(&outcome)?;
        Ok(outcome)
    }

    fn what_is_wrong(&mut self, outcome: &Outcome) -> anyhow::Result<Vec<String>> {
        let mut wrong = outcome.tally.wrong.clone();
        wrong.extend(outcome.beside.errors.iter().cloned());
        wrong.extend(outcome.alone.errors.iter().cloned());
        if outcome.memory_bytes > MAX_MEMORY_BYTES {
            wrong.push(format!("{} MiB of memory", outcome.memory_bytes >> 20));
        }
        if outcome.tally.units == 0 {
            wrong.push("the attack did nothing".to_owned());
        }
        if self.target.has_ended()? {
            wrong.push(format!("the gateway has ended: {}", self.target.log()));
        } else if let Err(error) = self.honest.check_health() {
            wrong.push(format!("{error:#}"));
        }
        Ok(wrong)
    }
}

/// Runs an attack on this thread.
fn run(
    attack: Attack,
    field: Field,
    duration: Duration,
    ready: &mpsc::Sender<()>,
) -> anyhow::Result<Tally> {
    // If this is not allowed, the honest clients' times are worse than they should be.
    let _ = getpriority_process(None).and_then(|nice| setpriority_process(None, nice + NICER));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let clients = (attack.run)(field.clone());
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        field.begin(duration);
        let _ = ready.send(());
        clients.await;
    });
    Ok(field.tally())
}

/// Tries attacks, and tells of each when it is over. Gateways keep their state in `directory`.
///
/// # Errors
///
/// If there is no gateway to be attacked.
pub fn siege(
    programs: &Programs,
    directory: &Path,
    attacks: &[Attack],
    plan: Plan,
    mut tell: impl FnMut(&Outcome),
) -> anyhow::Result<Vec<Outcome>> {
    // A small attack is tried on one gateway only: it is there to see that all still works.
    let most = match plan.size {
        Size::Full => usize::MAX,
        Size::Small => 1,
    };
    let tries = attacks.iter().flat_map(|attack| {
        let settings = attack.settings.iter().take(most);
        settings.map(move |&settings| (settings, *attack))
    });
    let mut tries: Vec<_> = tries.collect();
    // One gateway after another.
    tries.sort_by_key(|(settings, _)| *settings);
    let mut place: Option<Place> = None;
    let mut outcomes = Vec::new();
    for (number, (settings, attack)) in tries.into_iter().enumerate() {
        if place
            .as_ref()
            .is_none_or(|place| place.target.settings != settings)
        {
            drop(place.take());
        }
        let place = match &mut place {
            Some(place) => place,
            None => place.insert(Place::prepare(programs, directory, settings, plan)?),
        };
        let outcome = place
            .try_attack(number, attack, plan)
            .with_context(|| format!("{} could not be tried", attack.name))?;
        tell(&outcome);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}
