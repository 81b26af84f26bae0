//! Whether a history keeps the server's guarantees.
//!
//! Everything here is what an outside observer can assert. Two requests are in order only where one
//! was answered before the other was sent. A request with an unknown outcome may have taken effect
//! or not, at any time up to [`Operation::until`]. Nothing more is assumed about a server, so a
//! violation is a violation whatever happened inside.

mod answers;
mod counts;
mod keys;
mod maximum;
mod membership;
mod removals;

use std::{collections::BTreeMap, fmt};

use anonymous_domains_protocol::ids::{DomainName, MachineGuid};
use anonymous_domains_testkit::Guarantee;

use crate::history::Operation;

/// The most operations that a violation lists.
const MAX_SHOWN: usize = 12;

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// What is wrong.
    pub text: String,
    /// The operations that show it, one a line.
    pub operations: Vec<String>,
}

/// What a violation breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// One of the server's guarantees.
    Guarantee(Guarantee),
    /// The protocol: answers are as it says.
    Protocol,
}

impl From<Guarantee> for Rule {
    fn from(guarantee: Guarantee) -> Self {
        Self::Guarantee(guarantee)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guarantee(guarantee) => guarantee.fmt(f),
            Self::Protocol => f.write_str("the protocol"),
        }
    }
}

impl Violation {
    /// A violation that these operations show.
    pub fn new<'a>(
        rule: impl Into<Rule>,
        text: impl Into<String>,
        operations: impl IntoIterator<Item = &'a Operation>,
    ) -> Self {
        Self {
            rule: rule.into(),
            text: text.into(),
            operations: operations
                .into_iter()
                .take(MAX_SHOWN)
                .map(ToString::to_string)
                .collect(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VIOLATION of {}: {}", self.rule, self.text)?;
        for operation in &self.operations {
            write!(f, "\n  {operation}")?;
        }
        Ok(())
    }
}

/// The result of a check.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What is wrong; empty if all is well.
    pub violations: Vec<Violation>,
    /// Domains that were checked.
    pub domains: usize,
    /// Pairs of a machine and a domain that were checked.
    pub memberships: usize,
    /// Pairs about which too much is unknown to decide.
    pub undecided: usize,
    /// Departures that are known to have happened. Every later registration is checked against each.
    pub departures: usize,
    /// Member counts that were compared with the list of members.
    pub counts: usize,
    /// Admissions that were checked against a maximum.
    pub admissions_under_maximum: usize,
    /// Key versions seen, in all domains.
    pub versions: u64,
}

/// One domain's operations.
struct DomainHistory<'a> {
    name: &'a DomainName,
    /// Sorted by start.
    operations: Vec<&'a Operation>,
    /// Those about one machine, sorted by start. Lists of members are not among them.
    machines: BTreeMap<MachineGuid, Vec<&'a Operation>>,
}

/// Checks a whole history. Each domain in it must have been made for the test: anything else that
/// happened there would count as the server's fault.
pub fn check(history: &[Operation]) -> Verdict {
    let mut history = history.to_vec();
    removals::extend_unanswered(&mut history);
    let mut domains: BTreeMap<&str, DomainHistory<'_>> = BTreeMap::new();
    for operation in &history {
        let domain = domains
            .entry(operation.domain.as_str())
            .or_insert_with(|| DomainHistory {
                name: &operation.domain,
                operations: Vec::new(),
                machines: BTreeMap::new(),
            });
        domain.operations.push(operation);
        if let Some(machine) = operation.machine {
            domain.machines.entry(machine).or_default().push(operation);
        }
    }
    let mut verdict = Verdict {
        domains: domains.len(),
        ..Verdict::default()
    };
    for domain in domains.values_mut() {
        domain.operations.sort_by_key(|operation| operation.start);
        for operations in domain.machines.values_mut() {
            operations.sort_by_key(|operation| operation.start);
        }
        answers::check(domain, &mut verdict);
        membership::check(domain, &mut verdict);
        counts::check(domain, &mut verdict);
        maximum::check(domain, &mut verdict);
        keys::check(domain, &mut verdict);
    }
    verdict
}

#[cfg(test)]
mod tests;
