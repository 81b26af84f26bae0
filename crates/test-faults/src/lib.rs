//! Faults on request, for those who test a client of a domain server: any error of the protocol, a
//! delay, a lost answer, an old key set.
//!
//! A [`Fault`] is a text such as `error=STORE_UNAVAILABLE, retry-after=3`. A request asks for one in
//! its header [`TEST_FAULT`], or [`Rules`] do so for all requests to a path. [`answer`] makes the
//! answers, and [`OldAnswers`] remembers what devices got before.
//!
//! Nothing here does I/O: the gateway waits, answers and disconnects.

#![forbid(unsafe_code)]

pub mod answer;
mod fault;
mod old_answers;
mod rules;

pub use fault::{Disconnect, Fault, InvalidFault, Outcome, TEST_FAULT};
pub use old_answers::OldAnswers;
pub use rules::{InvalidRules, Rules};
