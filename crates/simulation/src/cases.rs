//! What is explored exhaustively: every pair of requests of certain kinds on small domains, the
//! first use of a store, and rows that are split.

use std::{fmt, slice::from_ref};

use crate::{
    behaviour::Behaviour,
    exhaustive::{Exploration, Explored, Failure},
    operation::Op,
};

/// A few requests on a small domain.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it is called.
    pub name: String,
    /// What it is explored with, and how often at most a request is then interrupted by the other
    /// one although it could go on; `None` where that is not bounded.
    pub troubles: Vec<(Trouble, Option<u8>)>,
    before: Vec<Op>,
    callers: Vec<Vec<Op>>,
    /// A leaf with this many entries is split.
    leaf_entries: usize,
}

/// What may go wrong besides the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// Either or both requests crash, each at any moment.
    Crashes,
    /// The same, and up to six times somebody who waits finds time to have passed while others
    /// stood still: enough to lose patience with a maker who is alive.
    CrashesAndImpatience,
    /// One call fails, its answer is lost, or its effect comes late or never.
    Fault,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no trouble",
            Self::Crashes => "crashes",
            Self::CrashesAndImpatience => "crashes and impatience",
            Self::Fault => "one fault",
        })
    }
}

/// One fault, in schedules in which a request is interrupted once at most.
const ONE_FAULT: (Trouble, Option<u8>) = (Trouble::Fault, Some(1));

const fn join(machine: u8) -> Op {
    Op::Join { machine, domain: 0 }
}

const fn leave(machine: u8) -> Op {
    Op::Leave { machine, domain: 0 }
}

const fn set_maximum(maximum: Option<u64>) -> Op {
    Op::SetMaximum { domain: 0, maximum }
}

/// A kind of request, as the first of a pair and as the second. Machine 0 is a member.
#[derive(Debug, Clone)]
struct Kind {
    name: &'static str,
    first: Op,
    second: Op,
}

fn kinds() -> Vec<Kind> {
    let (machine, domain) = (0, 0);
    let kind = |name, first, second| Kind {
        name,
        first,
        second,
    };
    let alike = |name, op: Op| kind(name, op.clone(), op);
    let elsewhere = |machine| Op::Join { machine, domain: 1 };
    vec![
        kind("join", join(2), join(3)),
        alike("ask", join(0)),
        alike("leave", leave(0)),
        kind("another leaves", leave(1), leave(1)),
        alike("remove", Op::Expel { machine, domain }),
        alike("rollover", Op::RequireRollover { domain }),
        kind("maximum", set_maximum(Some(1)), set_maximum(None)),
        alike("delete", Op::Delete { domain }),
        alike("block", Op::Block { machine, domain }),
        alike("unblock", Op::Unblock { machine, domain }),
        kind("insert", elsewhere(4), elsewhere(5)),
        alike("list", Op::List { domain, page: 2 }),
    ]
}

impl Case {
    fn new(name: impl Into<String>, before: &[Op], callers: &[&[Op]]) -> Self {
        Self {
            name: name.into(),
            troubles: vec![(Trouble::CrashesAndImpatience, None), ONE_FAULT],
            before: before.to_vec(),
            callers: callers.iter().map(|ops| ops.to_vec()).collect(),
            leaf_entries: 8,
        }
    }

    /// The same, explored with these.
    fn with(self, troubles: &[(Trouble, Option<u8>)]) -> Self {
        Self {
            troubles: troubles.to_vec(),
            ..self
        }
    }

    /// It has too many schedules for impatience.
    fn large(self) -> Self {
        self.with(&[(Trouble::Crashes, None), ONE_FAULT])
    }

    /// The same where leaves are split at two entries: many more schedules.
    fn with_small_leaves(self) -> Self {
        Self {
            leaf_entries: 2,
            ..self.large()
        }
    }

    /// All cases.
    pub fn all() -> Vec<Self> {
        let others = vec![Self::overtaken_count()];
        [Self::pairs(), Self::first_uses(), Self::splits(), others].concat()
    }

    /// The cases whose names contain this; among them also those that only a mutant needs.
    pub fn named(name: &str) -> Vec<Self> {
        let mut cases = Self::all();
        cases.push(Self::finished_by_two());
        cases.retain(|case| case.name.contains(name));
        cases
    }

    /// Every pair of kinds on a domain with two members, and of the first seven on one that is full
    /// and on one that a machine has left.
    fn pairs() -> Vec<Self> {
        let all = kinds();
        let those = &all[..7];
        let full = [join(0), join(1), set_maximum(Some(2))];
        let left = [join(0), join(1), join(2), leave(2)];
        [
            Self::pairs_of(&all, "two members", &[join(0), join(1)]),
            Self::pairs_of(those, "full", &full),
            Self::pairs_of(those, "one left", &left),
        ]
        .concat()
    }

    fn pairs_of(kinds: &[Kind], situation: &str, before: &[Op]) -> Vec<Self> {
        let mut cases = Vec::new();
        for (nth, a) in kinds.iter().enumerate() {
            for b in &kinds[nth..] {
                let name = format!("{situation}: {}, {}", a.name, b.name);
                let callers: &[&[Op]] = &[from_ref(&a.first), from_ref(&b.second)];
                let case = Self::new(name, before, callers);
                let crashes = Trouble::Crashes;
                cases.push(match (a.name, b.name) {
                    // They undo each other's work again and again.
                    ("maximum", "delete") => case.with(&[(crashes, Some(4)), ONE_FAULT]),
                    ("insert" | "block", "insert" | "block") => {
                        case.with(&[(crashes, None), ONE_FAULT])
                    }
                    _ => case,
                });
            }
        }
        cases
    }

    /// The first use of a store.
    fn first_uses() -> Vec<Self> {
        let elsewhere = Op::Join {
            machine: 1,
            domain: 1,
        };
        vec![
            Self::new("first use by two", &[], &[&[join(0)], &[join(1)]]).large(),
            Self::new("first use by one twice", &[], &[&[join(0)], &[join(0)]]).large(),
            Self::new(
                "first use for two domains",
                &[],
                &[&[join(0)], &[elsewhere]],
            )
            .large(),
        ]
    }

    /// Rows that are split while others look at them.
    fn splits() -> Vec<Self> {
        let two = [join(0), join(1)];
        let three = [join(0), join(1), join(2)];
        let list = Op::List { domain: 0, page: 2 };
        let maximum = set_maximum(Some(9));
        let delete = Op::Delete { domain: 0 };
        vec![
            Self::new("split: join, join", &two, &[&[join(2)], &[join(3)]]).with_small_leaves(),
            Self::new("split: join, leave", &two, &[&[join(2)], &[leave(0)]]).with_small_leaves(),
            Self::new("split: list, join", &three, &[&[list], &[join(3)]]).with_small_leaves(),
            Self::new(
                "count: maximum, join",
                &three,
                &[from_ref(&maximum), &[join(3)]],
            )
            .with_small_leaves()
            .with(&[(Trouble::Crashes, Some(4)), ONE_FAULT]),
            Self::new(
                "count: maximum, leave",
                &three,
                &[from_ref(&maximum), &[leave(0)]],
            )
            .with_small_leaves()
            .with(&[(Trouble::Crashes, Some(4)), ONE_FAULT]),
            Self::new("split: delete, join", &three, &[&[delete], &[join(3)]])
                .with_small_leaves()
                .with(&[(Trouble::Crashes, Some(2)), ONE_FAULT]),
        ]
    }

    /// A count that is overtaken by the next one: whoever is late from the first must not mistake
    /// the second for it.
    pub fn overtaken_count() -> Self {
        let before = [join(0), join(1), join(2)];
        let next = [set_maximum(None), join(3), set_maximum(Some(4))];
        Self::new(
            "count: overtaken",
            &before,
            &[&[set_maximum(Some(9))], &next],
        )
        .with_small_leaves()
        .with(&[(Trouble::None, Some(2))])
    }

    /// Two requests that finish one departure, while counts begin one after the other.
    pub fn finished_by_two() -> Self {
        let maximum = set_maximum(Some(9));
        Self::new(
            "count: finished by two",
            &[join(0), join(1)],
            &[
                &[leave(0)],
                &[maximum.clone(), join(0)],
                &[set_maximum(None), maximum],
            ],
        )
        .with(&[(Trouble::None, Some(3)), (Trouble::None, Some(4))])
    }

    /// Takes the requests through every schedule.
    ///
    /// # Errors
    /// What did not hold.
    pub fn explore(
        &self,
        behaviour: Behaviour,
        (trouble, preemptions): (Trouble, Option<u8>),
    ) -> Result<Explored, Box<Failure>> {
        Exploration {
            behaviour,
            before: self.before.clone(),
            callers: self.callers.clone(),
            leaf_entries: self.leaf_entries,
            crashes: match trouble {
                Trouble::Crashes | Trouble::CrashesAndImpatience => 2,
                Trouble::None | Trouble::Fault => 0,
            },
            faults: u8::from(trouble == Trouble::Fault),
            early_wakes: match trouble {
                Trouble::CrashesAndImpatience => 6,
                _ => 0,
            },
            preemptions,
        }
        .explore()
    }
}
