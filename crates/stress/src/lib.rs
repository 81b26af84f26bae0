//! A stress test: many machines and operators against running servers, and a check from outside of
//! what the servers guarantee.
//!
//! A [`Caller`](caller::Caller) sends requests and records each one with its times and its outcome.
//! That [`History`](history::History) is all that the [`checker`] sees. It knows only what the
//! server answered, and of the order of events only that one request was answered before another
//! was sent. A request without an answer may have taken effect or not.
//!
//! [`workload`] makes the load, and [`thundering_herd`] the special case of a thousand machines
//! that arrive at once. [`final_checks`] asks about everything once more at the end.
//! [`local_cluster`] runs gateways for the test, and [`nemesis`] kills them under load; [`failover`]
//! fails the PostgreSQL that they use.
//!
//! Imports go downwards only:
//!
//! 1. the commands: `main`, `args`; `bin/soak`
//! 2. `nemesis`, `failover`; `soak`, which is the same load for an hour, with other clients beside it
//! 3. `recovery`
//! 4. `workload`, `thundering_herd`, `final_checks`, `local_cluster`, `report`
//! 5. `checker`, `caller`, `local_view`, `postgres_pair`
//! 6. `credential_verifier`, `outcome`
//! 7. `machine`, `http`, `history`
//! 8. `clock`, `random`

#![forbid(unsafe_code)]

pub mod caller;
pub mod checker;
pub mod clock;
pub mod credential_verifier;
pub mod failover;
pub mod final_checks;
pub mod history;
pub mod http;
pub mod local_cluster;
pub mod local_view;
pub mod machine;
pub mod nemesis;
pub mod outcome;
pub mod postgres_pair;
pub mod random;
pub mod recovery;
pub mod report;
pub mod soak;
pub mod thundering_herd;
pub mod workload;
