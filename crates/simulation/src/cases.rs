//! What is model-checked: every pair of requests of certain kinds on small domains, the first use of
//! a store, and rows that are split.

use std::{fmt, slice::from_ref};

use crate::{
    exhaustive::{self, Exploration, Explored, Failure},
    operation::Op,
    store_model::StoreModel,
};

/// A few requests on a small domain.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The case is explored once with each of these.
    pub bounds: Vec<Bounds>,
    before: Vec<Op>,
    callers: Vec<Vec<Op>>,
    /// A leaf with this many entries is split.
    leaf_entries: usize,
}

/// The bounds of an exploration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The faults.
    pub faults: Faults,
    /// The most preemptions: switches away from a request that can run. `None` is no bound.
    pub preemptions: Option<u8>,
}

impl Bounds {
    const fn unbounded(faults: Faults) -> Self {
        Self {
            faults,
            preemptions: None,
        }
    }

    const fn preemptions(most: u8, faults: Faults) -> Self {
        Self {
            faults,
            preemptions: Some(most),
        }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, ", self.faults)?;
        match self.preemptions {
            Some(most) => write!(f, "at most {most} preemptions"),
            None => f.write_str("every interleaving"),
        }
    }
}

/// The faults of an exploration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Faults {
    /// None.
    None,
    /// Up to two requests crash, each at any moment.
    Crashes,
    /// Up to two requests crash. Also, up to six times a sleeping request wakes early, as if the
    /// others were slow. That is enough to time out on a request that is still making a key.
    CrashesAndTimeouts,
    /// One call fails, its answer is lost, or it takes effect late or never.
    OneCall,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no faults",
            Self::Crashes => "crashes",
            Self::CrashesAndTimeouts => "crashes and timeouts",
            Self::OneCall => "one failed call",
        })
    }
}

/// One failed call, in schedules with at most one preemption.
const ONE_FAILED_CALL: Bounds = Bounds::preemptions(1, Faults::OneCall);

/// Crashes in every interleaving.
const CRASHES: Bounds = Bounds::unbounded(Faults::Crashes);

const fn join(machine: u8) -> Op {
    Op::Join { machine, domain: 0 }
}

const fn leave(machine: u8) -> Op {
    Op::Leave { machine, domain: 0 }
}

const fn set_maximum(maximum: Option<u64>) -> Op {
    Op::SetMaximum { domain: 0, maximum }
}

/// A kind of request: the request as the first of a pair and as the second. Machine 0 is a member.
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
        alike("remove", Op::Remove { machine, domain }),
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
            bounds: vec![
                Bounds::unbounded(Faults::CrashesAndTimeouts),
                ONE_FAILED_CALL,
            ],
            before: before.to_vec(),
            callers: callers.iter().map(|ops| ops.to_vec()).collect(),
            leaf_entries: 8,
        }
    }

    /// The same case with other bounds.
    fn with(self, bounds: &[Bounds]) -> Self {
        Self {
            bounds: bounds.to_vec(),
            ..self
        }
    }

    /// The same case without timeouts, because there would be too many schedules.
    fn large(self) -> Self {
        self.with(&[CRASHES, ONE_FAILED_CALL])
    }

    /// The same case with leaves that split at two entries. It has many more schedules.
    fn with_small_leaves(self) -> Self {
        Self {
            leaf_entries: 2,
            ..self.large()
        }
    }

    /// All cases.
    pub fn all() -> Vec<Self> {
        let others = vec![Self::overtaken_count()];
        [
            Self::pairs(),
            Self::first_uses(),
            Self::splits(),
            Self::reseals(),
            others,
        ]
        .concat()
    }

    /// The cases whose names contain this. They include a case that only the mutants need.
    pub fn named(name: &str) -> Vec<Self> {
        let mut cases = Self::all();
        cases.push(Self::finished_by_two());
        cases.retain(|case| case.name.contains(name));
        cases
    }

    /// Every pair of kinds on a domain with two members. Every pair of the first seven kinds also on
    /// a domain that is full, and on one that a machine has left.
    fn pairs() -> Vec<Self> {
        let all = kinds();
        let first = &all[..7];
        let full = [join(0), join(1), set_maximum(Some(2))];
        let left = [join(0), join(1), join(2), leave(2)];
        [
            Self::pairs_of(&all, "two members", &[join(0), join(1)]),
            Self::pairs_of(first, "full", &full),
            Self::pairs_of(first, "one left", &left),
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
                cases.push(match (a.name, b.name) {
                    // Each undoes what the other has done, again and again.
                    ("maximum", "delete") => {
                        case.with(&[Bounds::preemptions(4, Faults::Crashes), ONE_FAILED_CALL])
                    }
                    ("insert" | "block", "insert" | "block") => case.large(),
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

    /// Rows that are split while other requests use them.
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
            .with(&[Bounds::preemptions(4, Faults::Crashes), ONE_FAILED_CALL]),
            Self::new(
                "count: maximum, leave",
                &three,
                &[from_ref(&maximum), &[leave(0)]],
            )
            .with_small_leaves()
            .with(&[Bounds::preemptions(4, Faults::Crashes), ONE_FAILED_CALL]),
            Self::new("split: delete, join", &three, &[&[delete], &[join(3)]])
                .with_small_leaves()
                .with(&[Bounds::preemptions(2, Faults::Crashes), ONE_FAILED_CALL]),
        ]
    }

    /// The key-encryption key is replaced while other requests make keys, insert domains and delete
    /// them.
    fn reseals() -> Vec<Self> {
        let reseal = Op::Reseal {
            page: 1,
            to_end: true,
        };
        let elsewhere = |machine, domain| Op::Join { machine, domain };
        let left = [join(0), join(1), leave(1), elsewhere(2, 1)];
        let case = |name: &str, before: &[Op], other: Op| {
            let callers: &[&[Op]] = &[from_ref(&reseal), &[other]];
            Self::new(format!("reseal: {name}"), before, callers).large()
        };
        vec![
            case("join that needs a key", &left, join(0)),
            case("join", &[join(0)], join(1)),
            case("reseal", &left, reseal.clone()),
            case("insert", &[join(0)], elsewhere(4, 1)),
            case("delete", &left, Op::Delete { domain: 0 }),
            case("first use", &[], join(0)),
        ]
    }

    /// A count that is overtaken by the next one. A request that is still in the first count must not
    /// mistake the second for it.
    pub fn overtaken_count() -> Self {
        let before = [join(0), join(1), join(2)];
        let next = [set_maximum(None), join(3), set_maximum(Some(4))];
        Self::new(
            "count: overtaken",
            &before,
            &[&[set_maximum(Some(9))], &next],
        )
        .with_small_leaves()
        .with(&[Bounds::preemptions(2, Faults::None)])
    }

    /// Two requests that finish one departure while one count starts after another.
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
        .with(&[3, 4].map(|most| Bounds::preemptions(most, Faults::None)))
    }

    /// Explores every schedule within bounds.
    ///
    /// # Errors
    /// The first violation.
    pub fn explore(&self, store: StoreModel, bounds: Bounds) -> Result<Explored, Box<Failure>> {
        let Bounds {
            faults,
            preemptions,
        } = bounds;
        exhaustive::explore(&Exploration {
            store,
            before: self.before.clone(),
            callers: self.callers.clone(),
            leaf_entries: self.leaf_entries,
            crashes: match faults {
                Faults::Crashes | Faults::CrashesAndTimeouts => 2,
                Faults::None | Faults::OneCall => 0,
            },
            faults: u8::from(faults == Faults::OneCall),
            early_wakes: match faults {
                Faults::CrashesAndTimeouts => 6,
                _ => 0,
            },
            preemptions,
        })
    }
}
