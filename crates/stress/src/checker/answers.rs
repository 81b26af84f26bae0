//! Whether each answer is one that its request may get.

use anonymous_domains_protocol::problem::ErrorName;

use super::{DomainHistory, Rule, Verdict, Violation};
use crate::history::{Operation, Outcome, Request};

pub(super) fn check(domain: &DomainHistory<'_>, verdict: &mut Verdict) {
    for operation in &domain.operations {
        if let Outcome::Wrong(why) = &operation.outcome {
            verdict.violations.push(Violation::new(
                Rule::Protocol,
                format!("an answer is not right: {why}"),
                [*operation],
            ));
        } else if let Some(refusals) = must_be_refused(&operation.request)
            && operation.is_done()
        {
            verdict.violations.push(Violation::new(
                Rule::Protocol,
                format!("{refusals} was expected, and the request was granted"),
                [*operation],
            ));
        } else if let Outcome::Refused(error) = operation.outcome
            && !may_be_refused(operation, error)
        {
            verdict.violations.push(Violation::new(
                Rule::Protocol,
                format!("{error} is no answer to this request"),
                [*operation],
            ));
        }
    }
}

/// The refusal that a request must get whatever the tables hold.
fn must_be_refused(request: &Request) -> Option<ErrorName> {
    match request {
        Request::RegisterExpired | Request::LeaveExpired => Some(ErrorName::RequestExpired),
        Request::RegisterElsewhere => Some(ErrorName::DomRegDenied),
        _ => None,
    }
}

/// Whether a request may get this refusal. A machine's requests never overtake each other, and the
/// stress test blocks no machine, so few refusals are left.
fn may_be_refused(operation: &Operation, error: ErrorName) -> bool {
    match operation.request {
        Request::Register { .. } => error == ErrorName::DomLimitReached,
        Request::Leave | Request::Preview => error == ErrorName::DeregDenied,
        Request::Remove => error == ErrorName::NotFound,
        // Before the first registration creates the domain.
        Request::Describe => error == ErrorName::UnknownDomain,
        ref request => must_be_refused(request) == Some(error),
    }
}
