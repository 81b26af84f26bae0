//! Scenarios drawn from a seed: who asks for what, and what goes wrong.

use anonymous_domains::store::rows::Limits;

use crate::{behaviour::Behaviour, host::Defect, operation::Op, random::Random};

/// What a schedule is to be.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The store.
    pub behaviour: Behaviour,
    /// A defect that no supported store has.
    pub defect: Option<Defect>,
    /// Whether to keep a trace.
    pub traced: bool,
}

/// What goes wrong, each in thousandths of the steps at which it could.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// A call fails or its answer is lost.
    pub fault: u32,
    /// A request crashes; sometimes several at once, as when a host's instance traps.
    pub crash: u32,
    /// A request is held up while the others go on.
    pub starve: u32,
    /// Time passes although somebody could go on.
    pub time: u32,
    /// A read is stale, where the store has such.
    pub stale: u32,
}

impl Weather {
    /// Whether nothing goes wrong.
    pub fn is_calm(&self) -> bool {
        self.fault + self.crash + self.starve + self.time + self.stale == 0
    }
}

/// How the next request to go on is chosen.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    /// Any.
    Uniform,
    /// The same as before, with this probability in thousandths.
    Sticky(u32),
    /// The one of the highest priority; at random moments it becomes the lowest
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
    pub weather: Weather,
    pub order: Order,
    pub limits: Limits,
    pub short_lived_certificates: bool,
    /// Whether makers of keys fail now and then.
    pub makers_fail: bool,
    /// How often a request goes to an instance with another key-encryption key, in thousandths.
    pub wrong_owner: u32,
}

impl Scenario {
    /// Draws a scenario.
    pub fn draw(random: &mut Random) -> Self {
        // Small trees split all the time.
        let limits = Limits {
            leaf_entries: random.pick(&[2, 3, 4, 4, 256]),
            branch_children: random.pick(&[3, 4]),
            revisions_kept: random.pick(&[32, 32, 32, 32, 2]),
        };
        let domains = random.pick(&[1, 1, 1, 2, 3]);
        let (machines, operators, requests) = match random.below(8) {
            // Many on a domain that may be new.
            0 => (6 + random.below(7), 0, 2),
            // Few, with much to do.
            1 | 2 => (2, random.below(2), 6),
            // Operators above all.
            3 => (3, 2, 4),
            _ => (2 + random.below(5), random.below(2), 4),
        };
        let machines = machines as u8;
        let limits_only = random.chance(150);
        let (machines, operators, domains) = match limits_only {
            // Rosters that are taken apart and put together again.
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
                    .map(|nth| match limits_only {
                        true => limit_op(random, machines, nth),
                        false => operator_op(random, machines, domains),
                    })
                    .collect(),
            );
        }
        Self {
            machines,
            domains,
            callers,
            weather: weather(random),
            order: match random.below(4) {
                0 | 1 => Order::Uniform,
                2 => Order::Sticky(random.pick(&[600, 900])),
                _ => Order::Priorities,
            },
            limits,
            short_lived_certificates: random.chance(200),
            makers_fail: random.chance(150),
            wrong_owner: random.pick(&[0, 0, 0, 0, 0, 150]),
        }
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

/// A maximum that comes and goes, and somebody who looks.
fn limit_op(random: &mut Random, machines: u8, nth: usize) -> Op {
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
        6 | 7 => Op::Expel { machine, domain },
        8..=10 => Op::Block { machine, domain },
        11 => Op::Unblock { machine, domain },
        12 => Op::RequireRollover { domain },
        _ => Op::List {
            domain,
            page: random.pick(&[1, 2, 3, 100]),
        },
    }
}

fn weather(random: &mut Random) -> Weather {
    let calm = Weather::default();
    match random.below(8) {
        0 | 1 => calm,
        2 => Weather {
            crash: random.pick(&[5, 20, 60]),
            ..calm
        },
        3 => Weather {
            starve: random.pick(&[5, 20, 50]),
            time: random.pick(&[0, 20, 100]),
            stale: 500,
            ..calm
        },
        4 | 5 => Weather {
            fault: random.pick(&[5, 30, 100]),
            ..calm
        },
        _ => Weather {
            fault: random.pick(&[5, 30, 100]),
            crash: random.pick(&[3, 10, 40]),
            starve: random.pick(&[0, 5, 20]),
            time: random.pick(&[0, 5, 50]),
            stale: 200,
        },
    }
}
