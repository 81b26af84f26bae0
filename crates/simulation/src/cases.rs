//! What is explored exhaustively.

use anonymous_domains::knobs::Mutation;

use crate::{
    behaviour::Behaviour,
    exhaustive::{Exploration, Explored, Failure},
    operation::Op,
};

/// A few requests on a small domain.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it is called.
    pub name: &'static str,
    before: Vec<Op>,
    callers: Vec<Vec<Op>>,
}

/// What may go wrong besides the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing, and nobody's patience runs out: then no key pair is made in vain.
    None,
    /// One request crashes, at any moment.
    Crash,
    /// One call fails, its answer is lost, or its effect comes late or never.
    Fault,
}

const fn join(machine: u8) -> Op {
    Op::Join { machine, domain: 0 }
}

const fn leave(machine: u8) -> Op {
    Op::Leave { machine, domain: 0 }
}

const fn set_maximum(maximum: Option<u64>) -> Op {
    Op::SetMaximum { domain: 0, maximum }
}

impl Case {
    fn new(name: &'static str, before: &[Op], callers: &[&[Op]]) -> Self {
        Self {
            name,
            before: before.to_vec(),
            callers: callers.iter().map(|ops| ops.to_vec()).collect(),
        }
    }

    /// All cases of two requests. Leaves are split at two entries here.
    pub fn pairs() -> Vec<Self> {
        let elsewhere = Op::Join {
            machine: 1,
            domain: 1,
        };
        let (expel, block, unblock) = (
            Op::Expel {
                machine: 0,
                domain: 0,
            },
            Op::Block {
                machine: 0,
                domain: 0,
            },
            Op::Unblock {
                machine: 0,
                domain: 0,
            },
        );
        let rollover = Op::RequireRollover { domain: 0 };
        let delete = Op::Delete { domain: 0 };
        let list = Op::List { domain: 0, page: 2 };
        let two = [join(0), join(1)];
        vec![
            Self::new(
                "first use of a store by two",
                &[],
                &[&[join(0)], &[join(1)]],
            ),
            Self::new(
                "first use by one machine twice",
                &[],
                &[&[join(0)], &[join(0)]],
            ),
            Self::new(
                "first use for two domains",
                &[],
                &[&[join(0)], &[elsewhere]],
            ),
            Self::new("join and join", &[join(2)], &[&[join(0)], &[join(1)]]),
            Self::new(
                "join and join, and a leaf is full",
                &two,
                &[&[join(2)], &[join(3)]],
            ),
            Self::new(
                "one machine joins twice",
                &[join(2)],
                &[&[join(0)], &[join(0)]],
            ),
            Self::new("join and leave", &two, &[&[join(2)], &[leave(0)]]),
            Self::new("a member asks and leaves", &two, &[&[join(0)], &[leave(0)]]),
            Self::new(
                "a member asks, another leaves",
                &two,
                &[&[join(1)], &[leave(0)]],
            ),
            Self::new("leave and leave", &two, &[&[leave(0)], &[leave(1)]]),
            Self::new(
                "one machine leaves twice",
                &two,
                &[&[leave(0)], &[leave(0)]],
            ),
            Self::new(
                "two come back to a rollover",
                &[join(0), join(1), leave(1)],
                &[&[join(0)], &[join(1)]],
            ),
            Self::new(
                "join and maximum",
                &two,
                &[&[join(2)], &[set_maximum(Some(2))]],
            ),
            Self::new(
                "the last place",
                &[join(0), set_maximum(Some(2))],
                &[&[join(1)], &[join(2)]],
            ),
            Self::new(
                "two maxima",
                &two,
                &[&[set_maximum(Some(1))], &[set_maximum(None)]],
            ),
            Self::new(
                "join and expel",
                &two,
                &[&[join(0)], std::slice::from_ref(&expel)],
            ),
            Self::new("leave and expel", &two, &[&[leave(0)], &[expel]]),
            Self::new(
                "join and block",
                &two,
                &[&[join(0)], std::slice::from_ref(&block)],
            ),
            Self::new("block and unblock", &two, &[&[block], &[unblock]]),
            Self::new("join and rollover", &two, &[&[join(0)], &[rollover]]),
            Self::new(
                "join and delete",
                &two,
                &[&[join(2)], std::slice::from_ref(&delete)],
            ),
            Self::new("leave and delete", &two, &[&[leave(0)], &[delete]]),
            Self::new(
                "list and join",
                &[join(0), join(1), join(2)],
                &[&[list], &[join(3)]],
            ),
        ]
    }

    /// Cases in which one request is overtaken by several.
    pub fn overtakings() -> Vec<Self> {
        let four = [join(0), join(1), join(2), join(3)];
        let list = Op::List {
            domain: 0,
            page: 100,
        };
        vec![
            Self::new(
                "a split that is overtaken by the next",
                &[join(0), join(1)],
                &[&[join(2)], &[join(3), join(4), join(5), join(6)]],
            ),
            Self::new(
                "a gathering that is overtaken by the next",
                &four,
                &[
                    &[set_maximum(Some(9))],
                    &[set_maximum(None), join(4), set_maximum(Some(8))],
                ],
            ),
            Self::new(
                "a list while the rows are gathered",
                &four,
                &[&[list], &[set_maximum(Some(9)), set_maximum(None), join(4)]],
            ),
            Self::new(
                "a maker that is overtaken",
                &[join(0), join(1)],
                &[&[leave(0), join(0)], &[leave(1), join(1)]],
            ),
            Self::new(
                "two leave, one comes",
                &[join(0), join(1)],
                &[&[leave(0)], &[leave(1)], &[join(2)]],
            ),
        ]
    }

    /// Takes the requests through every schedule.
    ///
    /// # Errors
    /// What did not hold.
    pub fn explore(
        &self,
        behaviour: Behaviour,
        trouble: Trouble,
        mutation: Option<Mutation>,
    ) -> Result<Explored, Box<Failure>> {
        Exploration {
            behaviour,
            before: self.before.clone(),
            callers: self.callers.clone(),
            crashes: u8::from(trouble == Trouble::Crash),
            faults: u8::from(trouble == Trouble::Fault),
            patient: trouble == Trouble::None,
            mutation,
        }
        .explore()
    }
}
