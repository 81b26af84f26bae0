//! The server's own logic, natively: settings, certificates, what requests are held against, and
//! whole requests over a store in memory. Schedules, crashes and the traps of host stores are the
//! simulation's; the real component in a real host is the contract suite's.

mod callers;
mod certificates;
mod console;
mod cross_origin;
mod deletion;
mod events;
mod health;
mod inspection;
mod limits;
mod machine_trust;
mod requests;
mod rotation;
mod settings;
mod stored_bytes;
mod support;
mod transfer;
