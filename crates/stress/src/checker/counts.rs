//! Guarantee 6: the number of members is that of the list, whatever crashed before.

use anonymous_domains_testkit::Guarantee;

use super::{DomainHistory, Verdict, Violation};
use crate::history::{Operation, Outcome, Request};

/// Where the domain is shown between two lists of its members, and nothing that changes members was
/// running from the first list to the second, the count that is shown is that of the lists.
pub(super) fn check(domain: &DomainHistory<'_>, verdict: &mut Verdict) {
    let reads: Vec<_> = domain
        .operations
        .iter()
        .filter(|operation| {
            matches!(
                operation.outcome,
                Outcome::Members(_) | Outcome::Shown { .. }
            )
        })
        .collect();
    for three in reads.windows(3) {
        let [first, shown, second] = three else {
            continue;
        };
        let (Outcome::Members(one), Outcome::Shown { members, .. }, Outcome::Members(other)) =
            (&first.outcome, &shown.outcome, &second.outcome)
        else {
            continue;
        };
        let in_order = first.end < shown.start && shown.end < second.start;
        if !in_order || changes_meanwhile(domain, first, second) {
            continue;
        }
        verdict.counts += 1;
        if one.len() as u64 != *members || one != other {
            verdict.violations.push(Violation::new(
                Guarantee::Recovery,
                format!(
                    "{} has {members} members by its count, and {} and {} by the lists before and after",
                    domain.name,
                    one.len(),
                    other.len()
                ),
                [**first, **shown, **second],
            ));
        }
    }
}

fn changes_meanwhile(domain: &DomainHistory<'_>, first: &Operation, second: &Operation) -> bool {
    domain.operations.iter().any(|operation| {
        matches!(
            operation.request,
            Request::Register { .. } | Request::Leave | Request::Remove
        ) && operation.may_have_been_done()
            && operation.start < second.end
            && operation.until() > first.start
    })
}
