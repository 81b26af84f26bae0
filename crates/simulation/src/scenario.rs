//! Scenarios drawn from a seed: what each caller asks for, and which faults are injected.

use anonymous_domains::store::rows::Limits;

use crate::{host::Defect, operation::Op, random::Random, store_model::StoreModel};

/// The options of a schedule.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The store.
    pub store: StoreModel,
    /// A defect that no supported store has.
    pub defect: Option<Defect>,
    /// Whether to keep a trace.
    pub traced: bool,
}

/// How often each fault happens, in thousandths of the steps at which it may.
#[derive(Debug, Clone, Copy, Default)]
pub struct FaultRates {
    /// A call fails, or its answer is lost or late.
    pub call: u32,
    /// A request crashes. Sometimes several crash at once, as when an instance traps.
    pub crash: u32,
    /// A request is delayed while the others continue.
    pub delay: u32,
    /// Time passes although a request could continue.
    pub time: u32,
    /// A read is stale, on a store that has stale reads.
    pub stale: u32,
}

impl FaultRates {
    /// Draws which faults there are, and how often.
    fn draw(random: &mut Random) -> Self {
        let none = Self::default();
        match random.below(8) {
            0 | 1 => none,
            2 => Self {
                crash: random.pick(&[5, 20, 60]),
                ..none
            },
            3 => Self {
                delay: random.pick(&[5, 20, 50]),
                time: random.pick(&[0, 20, 100]),
                stale: 500,
                ..none
            },
            4 | 5 => Self {
                call: random.pick(&[5, 30, 100]),
                ..none
            },
            _ => Self {
                call: random.pick(&[5, 30, 100]),
                crash: random.pick(&[3, 10, 40]),
                delay: random.pick(&[0, 5, 20]),
                time: random.pick(&[0, 5, 50]),
                stale: 200,
            },
        }
    }

    /// Whether there are no faults.
    pub fn is_fault_free(&self) -> bool {
        self.call + self.crash + self.delay + self.time + self.stale == 0
    }
}

/// How the next request to run is chosen.
#[derive(Debug, Clone, Copy)]
pub enum Policy {
    /// Uniformly.
    Uniform,
    /// The last one again, with this probability in thousandths.
    Sticky(u32),
    /// The one with the highest priority. At random moments its priority becomes the lowest
    /// (Burckhardt and others, "A randomized scheduler with probabilistic guarantees", 2010).
    Priorities,
}

/// A scenario.
#[derive(Debug)]
pub struct Scenario {
    pub machines: u8,
    pub domains: u8,
    /// What each caller asks for, one after the other.
    pub callers: Vec<Vec<Op>>,
    pub fault_rates: FaultRates,
    pub policy: Policy,
    pub limits: Limits,
    pub short_lived_certificates: bool,
    /// Whether making a key fails now and then.
    pub key_making_fails: bool,
    /// How often a request goes to an instance with the wrong key-encryption key, in thousandths.
    pub wrong_owner: u32,
    /// How often a request goes to an instance without the new key-encryption key, in thousandths.
    pub stragglers: u32,
}

impl Scenario {
    /// Draws a scenario.
    pub fn draw(random: &mut Random) -> Self {
        // Small nodes split often.
        let limits = Limits {
            leaf_entries: random.pick(&[2, 3, 4, 4, 256]),
            branch_children: random.pick(&[3, 4]),
            revisions_kept: random.pick(&[32, 32, 32, 32, 2]),
            ..Limits::default()
        };
        let domains = random.pick(&[1, 1, 1, 2, 3]);
        let (machines, operators, requests) = match random.below(8) {
            // Many machines, on a domain that may be new.
            0 => (6 + random.below(7), 0, 2),
            // Few machines with many requests.
            1 | 2 => (2, random.below(2), 6),
            // Mostly operators.
            3 => (3, 2, 4),
            _ => (2 + random.below(5), random.below(2), 4),
        };
        let machines = machines as u8;
        let maximum_only = random.chance(150);
        let (machines, operators, domains) = match maximum_only {
            // Rosters that are counted again and again.
            true => (5 + random.below(4) as u8, 3, 1),
            false => (machines, operators, domains),
        };
        let mut callers: Vec<Vec<Op>> = (0..machines)
            .map(|machine| {
                let count = 1 + random.below(requests);
                (0..count)
                    .map(|nth| machine_op(random, machine, domains, nth))
                    .collect()
            })
            .collect();
        for _ in 0..operators {
            let count = 1 + random.below(requests);
            callers.push(
                (0..count)
                    .map(|nth| match maximum_only {
                        true => maximum_op(random, machines, nth),
                        false => operator_op(random, machines, domains),
                    })
                    .collect(),
            );
        }
        // Not drawn, so that the seeds that are kept stay what they were.
        let requests: usize = callers.iter().map(Vec::len).sum();
        let limits = Limits {
            leaves_a_step: [1, 2, 1, 64][requests % 4],
            ..limits
        };
        Self {
            machines,
            domains,
            callers,
            fault_rates: FaultRates::draw(random),
            policy: match random.below(4) {
                0 | 1 => Policy::Uniform,
                2 => Policy::Sticky(random.pick(&[600, 900])),
                _ => Policy::Priorities,
            },
            limits,
            short_lived_certificates: random.chance(200),
            key_making_fails: random.chance(150),
            wrong_owner: random.pick(&[0, 0, 0, 0, 0, 150]),
            stragglers: 0,
        }
    }

    /// Adds to some scenarios an operator who replaces the key-encryption key.
    pub fn add_rotation(&mut self, random: &mut Random) {
        if !random.chance(150) {
            return;
        }
        let reseal = |random: &mut Random| Op::Reseal {
            page: random.pick(&[1, 1, 2, 100]),
            to_end: random.chance(300),
        };
        for _ in 0..random.pick(&[1, 1, 2]) {
            let count = 1 + random.below(5);
            self.callers
                .push((0..count).map(|_| reseal(random)).collect());
        }
        self.stragglers = random.pick(&[0, 100, 300]);
    }
}

fn machine_op(random: &mut Random, machine: u8, domains: u8, nth: usize) -> Op {
    let domain = random.below(usize::from(domains)) as u8;
    match random.below(10) {
        _ if nth == 0 => Op::Join { machine, domain },
        0..=4 => Op::Join { machine, domain },
        5..=8 => Op::Leave { machine, domain },
        _ => Op::Preview { machine, domain },
    }
}

/// Sets the maximum or lifts it, or lists the members.
fn maximum_op(random: &mut Random, machines: u8, nth: usize) -> Op {
    let maximum = nth
        .is_multiple_of(2)
        .then(|| u64::from(machines) - random.below(2) as u64);
    match random.below(4) {
        0 => Op::List {
            domain: 0,
            page: 100,
        },
        _ => Op::SetMaximum { domain: 0, maximum },
    }
}

fn operator_op(random: &mut Random, machines: u8, domains: u8) -> Op {
    let domain = random.below(usize::from(domains)) as u8;
    let machine = random.below(usize::from(machines)) as u8;
    match random.below(16) {
        0..=4 => Op::SetMaximum {
            domain,
            maximum: match random.below(5) {
                0 | 1 => None,
                _ => Some(random.below(usize::from(machines) + 1) as u64),
            },
        },
        5 => Op::Delete { domain },
        6 | 7 => Op::Remove { machine, domain },
        8..=10 => Op::Block { machine, domain },
        11 => Op::Unblock { machine, domain },
        12 => Op::RequireRollover { domain },
        _ => Op::List {
            domain,
            page: random.pick(&[1, 2, 3, 100]),
        },
    }
}
