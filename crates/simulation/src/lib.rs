//! Deterministic simulation testing of the server: its real code on a simulated store.
//!
//! Requests run as tasks on one thread. Every call to the store is a scheduling point. There the
//! scheduler may run another request instead, delay this one, or crash it, and it may inject a
//! fault into the call. The store behaves as a real host's store does ([`StoreModel`]). A model of
//! what the callers were told checks the tables after every write, and once more when the system is
//! quiescent.
//!
//! There are two schedulers. [`schedule`] draws a whole scenario from a seed, and [`seed_sweep`]
//! does this for many seeds. [`exhaustive`] is a model checker: it explores every interleaving of a
//! few requests, with every crash. docs/internals/simulation.md says what they cover.
//!
//! # Modules
//!
//! Each module uses only modules above it in this list:
//!
//! | module | what it is |
//! | --- | --- |
//! | `random`, `violation`, `counts` | random numbers and hashes; violations; statistics |
//! | `store_model`, `store_state` | the kinds of stores; the rows of one, and the effect of each call |
//! | `call`, `host` | calls and answers; the host that performs calls, with and without faults |
//! | `runtime` | what the requests of one execution share: host, clock, trace |
//! | `environment`, `issuer`, `store` | the server's ports, on the runtime |
//! | `operation` | requests, instances of the server, outcomes |
//! | `running_task`, `instances` | a request that runs; which instance it goes to |
//! | `snapshot` | the tables at one moment |
//! | `model` | what must hold of the tables and of the answers |
//! | `execution` | the requests of one schedule, the steps they take, and the checks at the end |
//! | `scenario`, `scheduler`, [`schedule`], [`seed_sweep`] | random schedules |
//! | `recorded_task`, [`exhaustive`], [`cases`] | model checking |

#![forbid(unsafe_code)]

mod call;
pub mod cases;
mod counts;
mod environment;
mod execution;
pub mod exhaustive;
mod host;
mod instances;
mod issuer;
mod model;
mod operation;
mod random;
mod recorded_task;
mod running_task;
mod runtime;
mod scenario;
pub mod schedule;
mod scheduler;
pub mod seed_sweep;
mod snapshot;
mod store;
mod store_model;
mod store_state;
mod violation;

pub use anonymous_domains_testkit::Guarantee;
pub use counts::Counts;
pub use host::Defect;
pub use random::Random;
pub use scenario::Options;
pub use store_model::StoreModel;
pub use violation::Violation;
