//! Builds histories for tests.

use std::{collections::BTreeSet, sync::Arc};

use anonymous_domains_protocol::{
    ids::{DomainName, MachineGuid},
    problem::ErrorName,
};
use anonymous_domains_testkit::Guarantee;

use crate::{
    checker::{Rule, check},
    clock::Moment,
    history::{KeySeen, Lost, Operation, Outcome, Request},
};

/// A history of one domain.
pub(super) struct HistoryBuilder {
    domain: Arc<DomainName>,
    operations: Vec<Operation>,
}

pub(super) const JOIN: Request = Request::Register { known: None };
pub(super) const LIMIT: Outcome = Outcome::Refused(ErrorName::DomLimitReached);
pub(super) const DENIED: Outcome = Outcome::Refused(ErrorName::DeregDenied);

pub(super) fn machine(number: u8) -> MachineGuid {
    MachineGuid::from_bytes([number; 16])
}

/// Versions 1 to `newest`, each with its own key.
pub(super) fn keys(newest: u64) -> Arc<[KeySeen]> {
    (1..=newest)
        .map(|version| KeySeen {
            version,
            key: version + 1000,
        })
        .collect()
}

pub(super) fn registered(new_member: bool, newest: u64) -> Outcome {
    Outcome::Registered {
        new_member,
        newest,
        keys: keys(newest),
    }
}

pub(super) fn lost(until: Moment) -> Outcome {
    Outcome::Unknown {
        why: Lost::Connection,
        until,
    }
}

pub(super) fn members(numbers: &[u8]) -> Outcome {
    let members: BTreeSet<_> = numbers.iter().map(|number| machine(*number)).collect();
    Outcome::Members(Arc::new(members))
}

impl HistoryBuilder {
    pub fn new() -> Self {
        Self {
            domain: Arc::new(DomainName::parse("attic").unwrap()),
            operations: Vec::new(),
        }
    }

    /// Adds an operation from `start` to `end`. Machine 0 stands for none.
    pub fn add(
        mut self,
        number: u8,
        request: Request,
        (start, end): (Moment, Moment),
        outcome: Outcome,
    ) -> Self {
        self.operations.push(Operation {
            number: self.operations.len() as u64,
            domain: Arc::clone(&self.domain),
            machine: (number > 0).then(|| machine(number)),
            request,
            server: 0,
            start,
            end,
            outcome,
        });
        self
    }

    /// The guarantees that are violated.
    pub fn violated(&self) -> Vec<Guarantee> {
        let rules = self.broken_rules().into_iter();
        rules
            .map(|rule| match rule {
                Rule::Guarantee(guarantee) => guarantee,
                Rule::Protocol => panic!("an answer is not as the protocol says"),
            })
            .collect()
    }

    /// The rules that are broken, once for each violation.
    pub fn broken_rules(&self) -> Vec<Rule> {
        let violations = check(&self.operations).violations;
        violations
            .iter()
            .map(|violation| {
                assert!(!violation.operations.is_empty(), "{violation}");
                violation.rule
            })
            .collect()
    }

    pub fn assert_valid(&self) {
        let violations = check(&self.operations).violations;
        assert!(violations.is_empty(), "{}", violations[0]);
    }
}
