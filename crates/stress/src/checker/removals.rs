//! Departures: those that were answered, and those that must have happened.

use std::collections::BTreeMap;

use anonymous_domains_protocol::problem::ErrorName;

use super::DomainHistory;
use crate::{
    clock::Moment,
    history::{Operation, Outcome, Request},
};

/// A departure that is known to have happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Departure<'a> {
    /// It did not happen before this.
    pub not_before: Moment,
    /// From here on it was known.
    pub known_at: Moment,
    /// What shows it.
    pub shown_by: &'a Operation,
}

/// Whether an operation may remove a machine.
pub(super) fn may_remove(operation: &Operation) -> bool {
    matches!(operation.request, Request::Leave | Request::Remove) && operation.may_have_been_done()
}

/// Extends the time in which removals without an answer may take effect. The server may have noted one
/// when it died. Then another request finishes it: at the latest the next one that is answered and
/// adds or removes the same machine.
pub(super) fn extend_unanswered(history: &mut [Operation]) {
    // By domain and machine: start and end of the requests that finish what was noted.
    let mut finishing: BTreeMap<_, Vec<(Moment, Moment)>> = BTreeMap::new();
    for operation in history.iter() {
        let finishes = matches!(
            operation.request,
            Request::Register { .. } | Request::Leave | Request::Remove
        );
        let is_answered = was_member(operation).is_some();
        if finishes && is_answered {
            let key = (operation.domain.clone(), operation.machine);
            let times = (operation.start, operation.end);
            finishing.entry(key).or_default().push(times);
        }
    }
    for operation in history {
        let key = (operation.domain.clone(), operation.machine);
        if let (Request::Leave | Request::Remove, Outcome::Unknown { until, .. }) =
            (&operation.request, &mut operation.outcome)
        {
            let later = finishing.get(&key).into_iter().flatten();
            let finished = later
                .filter(|(start, _)| start > until)
                .map(|(_, end)| *end)
                .min();
            *until = finished.unwrap_or(Moment::MAX);
        }
    }
}

/// Whether an answer says that the machine was a member (`Some(true)`) or was not (`Some(false)`)
/// before the request did anything.
pub(super) fn was_member(operation: &Operation) -> Option<bool> {
    match (&operation.request, &operation.outcome) {
        (Request::Register { .. }, Outcome::Registered { new_member, .. }) => Some(!new_member),
        (Request::Register { .. }, Outcome::Refused(ErrorName::DomLimitReached)) => Some(false),
        (Request::Leave | Request::Preview | Request::Remove, Outcome::Done) => Some(true),
        (Request::Leave | Request::Preview, Outcome::Refused(ErrorName::DeregDenied)) => {
            Some(false)
        }
        (Request::Remove, Outcome::Refused(ErrorName::NotFound)) => Some(false),
        _ => None,
    }
}

/// Whether an answer says that a machine is not a member, in a way that guarantees a rollover.
///
/// A machine that joins during its own departure may be told that it is new before the departure
/// counts: the guarantee is about departures that were answered.
fn is_refused_as_gone(operation: &Operation) -> bool {
    was_member(operation) == Some(false) && matches!(operation.outcome, Outcome::Refused(_))
}

/// Every departure and required rollover of a domain that is known to have happened.
///
/// These are the answered ones. Added to them, for each machine that was a member and later was
/// refused as a non-member, is the first unanswered operation that may have removed it.
pub(super) fn known<'a>(domain: &DomainHistory<'a>) -> Vec<Departure<'a>> {
    let mut known: Vec<_> = domain
        .operations
        .iter()
        .filter(|operation| {
            matches!(
                operation.request,
                Request::Leave | Request::Remove | Request::Rollover
            ) && operation.outcome == Outcome::Done
        })
        .map(|operation| Departure {
            not_before: operation.start,
            known_at: operation.end,
            shown_by: operation,
        })
        .collect();
    for operations in domain.machines.values() {
        let mut joined: Option<&Operation> = None;
        for operation in operations {
            if let Some(join) = joined
                && join.end < operation.start
                && is_refused_as_gone(operation)
            {
                let first = operations
                    .iter()
                    .filter(|other| {
                        may_remove(other)
                            && other.until() > join.start
                            && other.start < operation.end
                    })
                    .map(|other| other.start)
                    .min();
                if let Some(not_before) = first {
                    known.push(Departure {
                        not_before,
                        known_at: operation.end,
                        shown_by: operation,
                    });
                }
                joined = None;
            }
            if matches!(operation.outcome, Outcome::Registered { .. }) {
                joined = Some(operation);
            }
        }
    }
    known
}
