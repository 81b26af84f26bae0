//! Model checking: every schedule of a few requests, that is, every interleaving of their calls with
//! every crash and every fault, up to given numbers.
//!
//! Two schedules that lead to the same state have the same future, and only one of them is explored
//! further. A state is the store, the local state of each request, and the model. There is no time:
//! a sleeping request wakes when no other can run, and a given number of times earlier.
//!
//! Some steps are taken together, because their order makes no difference (partial order
//! reduction). A request starts with its first call and is answered with its last one; with these
//! moments the model demands the most. A request crashes right after a write; a crash at any other
//! moment has the same effect as one of these.

mod counterexample;
mod exploration;
mod graph;
mod search;
mod state;

pub(crate) use exploration::Exploration;
pub use exploration::Failure;
pub use graph::Explored;
pub(crate) use search::explore;
