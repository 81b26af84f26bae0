//! Guarantees 3, 4 and 7: key versions, rollovers, and that no key is made without a cause.

use std::collections::BTreeMap;

use anonymous_domains_protocol::problem::ErrorName;
use anonymous_domains_testkit::Guarantee;

use super::{DomainHistory, Verdict, Violation, removals};
use crate::{
    clock::Moment,
    history::{KeyPrint, Operation, Outcome, Request},
};

pub(super) fn check(domain: &DomainHistory<'_>, verdict: &mut Verdict) {
    without_gaps(domain, verdict);
    one_key_for_each_version(domain, verdict);
    let newest = Newest::new(domain);
    verdict.versions += newest.ever();
    never_older(domain, &newest, verdict);
    new_after_departures(domain, &newest, verdict);
    made_for_a_cause(domain, &newest, verdict);
}

/// The newest version that any answer had given, over time.
struct Newest<'a> {
    /// Sorted by end: each answer that gave a newer version than all before it.
    records: Vec<(Moment, u64, &'a Operation)>,
}

impl<'a> Newest<'a> {
    fn new(domain: &DomainHistory<'a>) -> Self {
        let mut answers: Vec<_> = domain
            .operations
            .iter()
            .filter_map(|operation| Some((operation.end, operation.newest()?, *operation)))
            .collect();
        answers.sort_by_key(|(end, newest, _)| (*end, *newest));
        let mut most = 0;
        answers.retain(|(_, newest, _)| {
            let is_record = *newest > most;
            most = most.max(*newest);
            is_record
        });
        Self { records: answers }
    }

    /// What had been answered before `moment`.
    fn before(&self, moment: Moment) -> Option<(u64, &'a Operation)> {
        let count = self.records.partition_point(|(end, _, _)| *end < moment);
        let (_, newest, operation) = self.records.get(count.checked_sub(1)?)?;
        Some((*newest, operation))
    }

    fn ever(&self) -> u64 {
        self.records.last().map_or(0, |(_, newest, _)| *newest)
    }
}

/// An answer has every version from the one above `knownKeyVersion` to the newest.
fn without_gaps(domain: &DomainHistory<'_>, verdict: &mut Verdict) {
    for operation in &domain.operations {
        let known = match operation.request {
            Request::Register { known } => known.unwrap_or(0),
            Request::Keys => 0,
            _ => continue,
        };
        let newest = match operation.outcome {
            Outcome::Registered { newest, .. } => newest,
            Outcome::Keys(ref keys) => keys.len() as u64,
            _ => continue,
        };
        let versions = operation.keys().iter().map(|key| key.version);
        let is_registration = matches!(operation.outcome, Outcome::Registered { .. });
        if !versions.eq(known + 1..=newest) || (is_registration && newest == 0) {
            verdict.violations.push(Violation::new(
                Guarantee::KeyVersions,
                format!(
                    "the versions that {} gives are not {} to the newest without gaps: {:?}",
                    domain.name,
                    known + 1,
                    operation
                        .keys()
                        .iter()
                        .map(|key| key.version)
                        .collect::<Vec<_>>()
                ),
                [*operation],
            ));
        }
    }
}

fn one_key_for_each_version(domain: &DomainHistory<'_>, verdict: &mut Verdict) {
    let mut keys: BTreeMap<u64, (KeyPrint, &Operation)> = BTreeMap::new();
    let mut versions: BTreeMap<KeyPrint, (u64, &Operation)> = BTreeMap::new();
    for operation in &domain.operations {
        for seen in operation.keys() {
            let (key, first) = *keys.entry(seen.version).or_insert((seen.key, operation));
            let (version, before) = *versions
                .entry(seen.key)
                .or_insert((seen.version, operation));
            if key != seen.key {
                verdict.violations.push(Violation::new(
                    Guarantee::KeyVersions,
                    format!("version {} of {} names two keys", seen.version, domain.name),
                    [first, operation],
                ));
                return;
            }
            if version != seen.version {
                verdict.violations.push(Violation::new(
                    Guarantee::KeyVersions,
                    format!(
                        "versions {version} and {} of {} are the same key",
                        seen.version, domain.name
                    ),
                    [before, operation],
                ));
                return;
            }
        }
    }
}

/// A request that is sent after an answer gets no older newest version.
fn never_older(domain: &DomainHistory<'_>, told: &Newest<'_>, verdict: &mut Verdict) {
    for operation in &domain.operations {
        let newest = match operation.outcome {
            Outcome::Described(_)
            | Outcome::Shown { .. }
            | Outcome::Refused(ErrorName::UnknownDomain) => operation.newest().unwrap_or(0),
            _ => match operation.newest() {
                Some(newest) => newest,
                None => continue,
            },
        };
        if let Some((before, answer)) = told.before(operation.start)
            && newest < before
        {
            verdict.violations.push(Violation::new(
                Guarantee::KeyVersions,
                format!(
                    "version {before} of {} had been given, and later the newest was {newest}",
                    domain.name
                ),
                [answer, operation],
            ));
            return;
        }
    }
}

/// A registration that was sent after a departure was known to have happened gets a newer version
/// than any that was given before the departure began: those were made before it.
fn new_after_departures(domain: &DomainHistory<'_>, told: &Newest<'_>, verdict: &mut Verdict) {
    let mut departures: Vec<_> = removals::known(domain)
        .into_iter()
        .map(|departure| {
            let old = told.before(departure.not_before);
            (departure, old.map_or(0, |(version, _)| version))
        })
        .collect();
    verdict.departures += departures.len();
    departures.sort_by_key(|(departure, _)| departure.known_at);
    let mut upcoming = departures.into_iter().peekable();
    let mut strictest: Option<(removals::Departure<'_>, u64)> = None;
    for operation in &domain.operations {
        let Outcome::Registered { newest, .. } = operation.outcome else {
            continue;
        };
        while let Some(next) = upcoming.next_if(|(next, _)| next.known_at < operation.start) {
            if strictest.is_none_or(|(_, old)| next.1 >= old) {
                strictest = Some(next);
            }
        }
        if let Some((departure, old)) = strictest
            && newest <= old
        {
            let given = told.before(departure.not_before).map(|(_, given)| given);
            verdict.violations.push(Violation::new(
                Guarantee::Rollover,
                format!(
                    "version {old} of {} was there before a departure, and a later registration \
                     got none above {newest}",
                    domain.name
                ),
                given.into_iter().chain([departure.shown_by, operation]),
            ));
            return;
        }
    }
}

/// A key is made for the first registration and for departures. A departure counts twice, because a
/// key that was made in the middle of it may have been given to the machine that leaves. A departure
/// that is refused because another one was faster may have counted once.
fn made_for_a_cause(domain: &DomainHistory<'_>, told: &Newest<'_>, verdict: &mut Verdict) {
    let causes: u64 = domain
        .operations
        .iter()
        .map(|operation| match operation.request {
            Request::Leave | Request::Remove if operation.may_have_been_done() => 2,
            Request::Leave | Request::Remove if has_concurrent_removal(domain, operation) => 1,
            Request::Rollover if operation.may_have_been_done() => 1,
            _ => 0,
        })
        .sum();
    if told.ever() > 1 + causes {
        verdict.violations.push(Violation::new(
            Guarantee::SingleFlight,
            format!(
                "{} has {} key versions, and there was cause for {} at most",
                domain.name,
                told.ever(),
                1 + causes
            ),
            told.records.iter().rev().take(3).map(|(_, _, told)| *told),
        ));
    }
}

/// Whether another operation may have removed the machine at the same time.
fn has_concurrent_removal(domain: &DomainHistory<'_>, operation: &Operation) -> bool {
    let machine = operation
        .machine
        .and_then(|guid| domain.machines.get(&guid));
    machine.is_some_and(|operations| {
        operations.iter().any(|other| {
            other.number != operation.number
                && removals::may_remove(other)
                && other.start < operation.end
                && operation.start < other.until()
        })
    })
}
