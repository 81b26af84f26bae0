//! Guarantee 1: never more members than the maximum in force when the last of them was admitted.
//!
//! Take machines that are certainly members at one moment. Whichever was admitted last, all others
//! were members by then. So there may be no more of them than the highest maximum that can have
//! been in force at any of their admissions. The same holds for any of these machines together with
//! those that were certainly admitted before all of them.

use anonymous_domains_testkit::Guarantee;

use super::{DomainHistory, Verdict, Violation, removals};
use crate::{
    clock::Moment,
    history::{Operation, Outcome, Request},
};

/// A machine's time in a domain, from an admission that was answered.
struct Stay<'a> {
    admission: &'a Operation,
    /// From here on it may have ended.
    certain_until: Moment,
    /// The highest maximum that may have been in force at the admission, if there was one.
    limit: Option<u64>,
}

pub(super) fn check(domain: &DomainHistory<'_>, verdict: &mut Verdict) {
    let settings: Vec<_> = domain
        .operations
        .iter()
        .filter(|operation| {
            matches!(operation.request, Request::SetMaximum(_)) && operation.may_have_been_done()
        })
        .copied()
        .collect();
    if settings.is_empty() {
        return;
    }
    let mut stays: Vec<_> = domain
        .machines
        .values()
        .flat_map(|operations| {
            operations
                .iter()
                .filter(|operation| {
                    matches!(
                        operation.outcome,
                        Outcome::Registered {
                            new_member: true,
                            ..
                        }
                    )
                })
                .map(|admission| Stay {
                    admission,
                    certain_until: certain_until(admission, operations),
                    limit: limit(admission, &settings),
                })
        })
        .collect();
    stays.sort_by_key(|stay| stay.admission.end);
    for (index, last) in stays.iter().enumerate() {
        if last.limit.is_none() || last.certain_until <= last.admission.end {
            continue;
        }
        verdict.admissions_under_maximum += 1;
        let moment = last.admission.end;
        let members: Vec<_> = stays[..=index]
            .iter()
            .filter(|stay| stay.certain_until > moment)
            .collect();
        if let Some((together, limit)) = too_many(&members) {
            let set = settings.iter().rev().filter(|set| set.start < moment);
            verdict.violations.push(Violation::new(
                Guarantee::Maximum,
                format!(
                    "{} had {together} members at {:.6} s, and the last of them was admitted \
                     under a maximum of {limit} at most",
                    domain.name,
                    moment as f64 / 1e9
                ),
                set.take(3).copied().chain([last.admission]),
            ));
            return;
        }
    }
}

/// How long the machine is certainly a member: until the start of any operation that may remove it.
/// An operation that was already running at the admission counts too.
fn certain_until(admission: &Operation, operations: &[&Operation]) -> Moment {
    operations
        .iter()
        .filter(|other| removals::may_remove(other) && other.until() >= admission.start)
        .map(|other| other.start)
        .min()
        .unwrap_or(Moment::MAX)
}

/// The highest maximum that may have been in force at some time during an admission.
fn limit(admission: &Operation, settings: &[&Operation]) -> Option<u64> {
    // A setting is over if a later one was answered before the admission began. A setting that has
    // no answer yet may be in force, and does not end an earlier one.
    let last_begun_and_answered = settings
        .iter()
        .filter(|set| set.outcome == Outcome::Done && set.end < admission.start)
        .map(|set| set.start)
        .max();
    let in_force = settings.iter().filter(|set| {
        set.start < admission.end
            && last_begun_and_answered.is_none_or(|begun| set.until() >= begun)
    });
    let mut highest = Some(0);
    for set in in_force {
        let Request::SetMaximum(maximum) = set.request else {
            continue;
        };
        highest = highest.max(maximum).filter(|_| maximum.is_some());
        highest?;
    }
    // Unless some setting was certainly in force, there may have been no maximum at all.
    last_begun_and_answered.and(highest)
}

/// A set of members that is larger than its limit: the size, and the limit.
fn too_many(members: &[&Stay<'_>]) -> Option<(usize, u64)> {
    let limits: Vec<u64> = members.iter().filter_map(|stay| stay.limit).collect();
    let mut tried = Vec::new();
    for limit in limits {
        if tried.contains(&limit) {
            continue;
        }
        tried.push(limit);
        // Those admitted under this maximum, the latest start first. Each step adds one of them, and
        // counts everyone who was admitted before it started.
        let mut under: Vec<_> = members
            .iter()
            .filter(|stay| stay.limit.is_some_and(|its_limit| its_limit <= limit))
            .collect();
        under.sort_by_key(|stay| std::cmp::Reverse(stay.admission.start));
        let mut ends: Vec<_> = members.iter().map(|stay| stay.admission.end).collect();
        ends.sort_unstable();
        for (index, stay) in under.iter().enumerate() {
            let before = ends.partition_point(|end| *end < stay.admission.start);
            let together = index + 1 + before;
            if together as u64 > limit {
                return Some((together, limit));
            }
        }
    }
    None
}
