//! Decides which guests compute: as many at a time as there are cores, first come, first served.
//!
//! A guest computes only while it holds a [`CorePermit`]. It keeps the core until it waits for the
//! host (the store, a clock), and then releases it to the next guest. When it can go on, it queues
//! again. So a request that was begun is finished before a later one begins; they do not share the
//! cores in small slices.
//!
//! A guest that computes for long, as when it makes an RSA key, moves to a second queue. On a core
//! from that queue it computes until the end of an epoch ([`crate::engine`]). While guests wait in
//! both queues, the second gets a quarter of the time: guests that compute for long neither block
//! the others nor starve. In the second queue the client whose requests computed least lately comes
//! first, and of its requests the one that came first.

mod cores;
mod queues;
mod scheduled;
mod usage;

pub use cores::{CorePermit, Scheduler};
pub use scheduled::Scheduled;

#[cfg(test)]
mod tests;
