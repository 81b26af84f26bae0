//! What a history shows of the server's promises.
//!
//! Everything here is what somebody outside can assert. Two requests are in order only where one
//! was answered before the other was sent; an unknown outcome means done or not, at any time up to
//! [`Operation::until`]; nothing is asked of a server beyond that. So a violation is one whatever
//! happened inside.

mod answers;
mod counts;
mod keys;
mod maximum;
mod membership;
mod removals;

use crate::history::Operation;
use anonymous_domains_protocol::ids::{DomainName, MachineGuid};
use std::collections::BTreeMap;
use std::fmt;

/// The most operations that a violation lists.
const MAX_SHOWN: usize = 12;

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which promise it was.
    pub promise: Promise,
    /// What is wrong.
    pub text: String,
    /// The operations that show it, one a line.
    pub operations: Vec<String>,
}

/// What was promised; the numbers are the README's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// No more members than the maximum that was in force at the admission.
    Maximum = 1,
    /// Who was told 200 is a member until it leaves or is removed.
    Membership = 2,
    /// A version names one key for ever, and versions are without gaps.
    Versions = 3,
    /// After a departure there is a new key.
    Rollover = 4,
    /// A refused request changes nothing.
    Refusals = 5,
    /// A crash leaves nothing that a later request does not mend, and nothing hangs.
    Recovery = 6,
    /// Many that arrive after a departure make one new key.
    SingleFlight = 7,
    /// Answers are the protocol's.
    Protocol = 8,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol => f.write_str("the protocol"),
            promise => write!(f, "promise {}", *promise as u8),
        }
    }
}

impl Violation {
    /// A violation that these operations show.
    pub fn new<'a>(
        promise: Promise,
        text: impl Into<String>,
        operations: impl IntoIterator<Item = &'a Operation>,
    ) -> Self {
        Self {
            promise,
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
        write!(f, "VIOLATION of {}: {}", self.promise, self.text)?;
        for operation in &self.operations {
            write!(f, "\n  {operation}")?;
        }
        Ok(())
    }
}

/// What a check came to.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What is wrong; nothing, if all is well.
    pub violations: Vec<Violation>,
    /// Domains that were checked.
    pub domains: usize,
    /// Pairs of a machine and a domain that were checked.
    pub memberships: usize,
    /// Pairs of which too much is unknown to say anything.
    pub undecided: usize,
    /// Departures that were known to have happened, each followed by a check of every later
    /// registration.
    pub departures: usize,
    /// Numbers of members that were held against the list of members.
    pub counts: usize,
    /// Admissions that were held against a maximum.
    pub admissions_held_against_a_maximum: usize,
    /// Key versions seen, in all domains.
    pub versions: u64,
}

/// One domain's operations.
struct DomainHistory<'a> {
    name: &'a DomainName,
    /// By their start.
    operations: Vec<&'a Operation>,
    /// Those about one machine, by their start; lists of members are not among them.
    machines: BTreeMap<MachineGuid, Vec<&'a Operation>>,
}

/// Checks a whole history. Each domain in it must have been made for the storm: what else happened
/// there would be taken for the server's fault.
pub fn check(history: &[Operation]) -> Verdict {
    let mut domains: BTreeMap<&str, DomainHistory<'_>> = BTreeMap::new();
    for operation in history {
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
