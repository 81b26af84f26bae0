//! What an episode of a soak has seen.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anonymous_domains_testkit::Latencies;

use crate::{
    clock::Clock,
    history::{Lost, Operation, Outcome, Request},
};
use anonymous_domains_protocol::problem::ErrorName;

/// How many things that are wrong are told in full.
const MAX_TOLD: usize = 20;

/// Counts requests by kind, and notes what is wrong. Shared by all that send requests.
#[derive(Debug, Default)]
pub struct Tally {
    counts: Mutex<Counts>,
    outages: Mutex<Vec<Outage>>,
}

/// What was counted.
#[derive(Debug, Default)]
pub struct Counts {
    /// Response times by kind of request.
    pub latencies: BTreeMap<&'static str, Latencies>,
    /// How often each kind of request had which outcome.
    pub outcomes: BTreeMap<(&'static str, String), u64>,
    /// What is wrong.
    pub wrong: Vec<String>,
}

/// A time in which a server was made to end, and started again.
#[derive(Debug, Clone, Copy)]
struct Outage {
    server: usize,
    begin: Instant,
    end: Option<Instant>,
}

impl Tally {
    /// Counts an answer.
    pub fn record(&self, kind: &'static str, outcome: impl Into<String>, time: Duration) {
        let mut counts = self.counts();
        counts.latencies.entry(kind).or_default().record(time);
        *counts.outcomes.entry((kind, outcome.into())).or_default() += 1;
    }

    /// Counts a request without an answer.
    pub fn record_unanswered(&self, kind: &'static str, why: impl Into<String>) {
        *self
            .counts()
            .outcomes
            .entry((kind, why.into()))
            .or_default() += 1;
    }

    /// Notes something that is wrong.
    pub fn wrong(&self, what: impl Into<String>) {
        let mut counts = self.counts();
        if counts.wrong.len() < MAX_TOLD {
            counts.wrong.push(what.into());
        }
    }

    /// Counts what a [`Caller`](crate::caller::Caller) has asked, and notes what cannot be excused.
    pub fn add(&self, history: &[Operation], clock: &Clock) {
        for operation in history {
            let kind = kind(operation);
            match &operation.outcome {
                Outcome::NotSent | Outcome::Unknown { .. } => {
                    self.record_unanswered(kind, operation.outcome.name());
                    let from = clock.instant(operation.start);
                    let to = clock.instant(operation.end);
                    if !self.may_be_unanswered(operation, from, to) {
                        self.wrong(format!("an unexpected outcome: {operation}"));
                    }
                }
                outcome => self.record(kind, outcome.name(), operation.duration()),
            }
        }
    }

    fn may_be_unanswered(&self, operation: &Operation, from: Instant, to: Instant) -> bool {
        match operation.outcome {
            Outcome::Unknown {
                why: Lost::Failed(ErrorName::StoreUnavailable),
                ..
            } => {
                // While the members are counted for the first maximum, new ones are told to wait.
                let is_join = matches!(operation.request, Request::Register { .. });
                is_join || self.is_any_down(from, to)
            }
            Outcome::NotSent
            | Outcome::Unknown {
                why: Lost::Connection,
                ..
            } => self.is_down(operation.server, from, to),
            _ => false,
        }
    }

    /// Notes that a server is about to be made to end.
    pub fn begin_outage(&self, server: usize) {
        self.outages().push(Outage {
            server,
            begin: Instant::now(),
            end: None,
        });
    }

    /// Notes that it serves again.
    pub fn end_outage(&self, server: usize) {
        let mut outages = self.outages();
        let outage = outages.iter_mut().rev().find(|it| it.server == server);
        if let Some(outage) = outage {
            outage.end = Some(Instant::now());
        }
    }

    /// Whether a server was made to end at some time from `from` to `to`.
    pub fn is_down(&self, server: usize, from: Instant, to: Instant) -> bool {
        let mut outages = self.outages().clone().into_iter();
        outages.any(|it| it.server == server && it.overlaps(from, to))
    }

    /// Whether any server was.
    pub fn is_any_down(&self, from: Instant, to: Instant) -> bool {
        self.outages().iter().any(|it| it.overlaps(from, to))
    }

    /// What was counted since the last call.
    pub fn take(&self) -> Counts {
        std::mem::take(&mut self.counts())
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outages(&self) -> MutexGuard<'_, Vec<Outage>> {
        self.outages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outage {
    fn overlaps(&self, from: Instant, to: Instant) -> bool {
        self.begin <= to && self.end.is_none_or(|end| end >= from)
    }
}

/// What a report calls such a request.
fn kind(operation: &Operation) -> &'static str {
    match (&operation.request, &operation.outcome) {
        (_, Outcome::Refused(_)) => "refused",
        (
            Request::Register { .. },
            Outcome::Registered {
                new_member: true, ..
            },
        ) => "join",
        (Request::Register { .. }, _) => "ask again",
        (Request::Leave | Request::Preview, _) => "leave, preview",
        (Request::Describe, _) => "describe",
        (Request::Members | Request::Show | Request::Keys, _) => "admin: read",
        (Request::Remove | Request::SetMaximum(_) | Request::Rollover, _) => "admin: change",
        (Request::RegisterExpired | Request::RegisterElsewhere | Request::LeaveExpired, _) => {
            "refused"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_meets_an_outage_is_excused() {
        let tally = Tally::default();
        let before = Instant::now();
        assert!(!tally.is_down(1, before, before));
        tally.begin_outage(1);
        let during = Instant::now();
        assert!(tally.is_down(1, before, during));
        assert!(!tally.is_down(0, before, during));
        assert!(tally.is_any_down(before, during));
        tally.end_outage(1);
        std::thread::sleep(Duration::from_millis(2));
        let after = Instant::now();
        assert!(!tally.is_down(1, after, after));
        assert!(tally.is_down(1, during, after));
    }
}
