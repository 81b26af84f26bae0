//! The server's real logic over a simulated store.
//!
//! Requests run as tasks of one thread. Every call to the store is a point at which the scheduler
//! may let another request go on, delay this one for seconds, or crash it; the store behaves as a
//! real host's does ([`Behaviour`]), faults included. A `model` of what the callers were told
//! checks the tables after every write and once more when all is quiet.
//!
//! Two schedulers drive it: [`schedule`] draws whole scenarios from a seed, [`exhaustive`] takes a
//! few requests through every interleaving and every crash. docs/internals/simulation.md says what they
//! cover.

#![forbid(unsafe_code)]

mod behaviour;
mod call;
pub mod campaign;
pub mod cases;
mod cells;
mod environment;
pub mod exhaustive;
mod host;
mod issuer;
mod live;
mod model;
mod operation;
mod process;
mod random;
mod run;
mod scenario;
pub mod schedule;
mod store;
mod view;
mod world;

pub use behaviour::Behaviour;
pub use random::Random;
pub use scenario::Options;
