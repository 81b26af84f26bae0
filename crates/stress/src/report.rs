//! The result of a run, as text for people.

use std::{collections::BTreeMap, fmt::Write as _};

use anonymous_domains_testkit::Latencies;

use crate::{
    checker::{Rule, Verdict},
    history::{Operation, Outcome},
};

/// How many violations of one rule are shown. The first are the most useful.
const MAX_VIOLATIONS: usize = 3;

/// The operations by kind and outcome, with rates and latencies.
pub fn table(history: &[Operation]) -> String {
    let mut kinds: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        let kind = operation.request.name();
        kinds.entry(kind).or_default().push(operation);
    }
    let begun = history.iter().map(|operation| operation.start).min();
    let ended = history.iter().map(|operation| operation.end).max();
    let seconds = (ended.unwrap_or(0) - begun.unwrap_or(0)) as f64 / 1e9;
    let mut text = format!(
        "{:<20} {:>8} {:>8} {:>8} {:>8} {:>8}  outcomes\n",
        "operation", "number", "per s", "p50 ms", "p99 ms", "max ms"
    );
    for (kind, operations) in kinds {
        let times: Latencies = operations
            .iter()
            .filter(|operation| operation.outcome != Outcome::NotSent)
            .map(|operation| operation.duration())
            .collect();
        let percentile = |share| milliseconds(times.percentile_ms(share));
        // A request that was not sent has no answer, but must not take long either.
        let longest = operations.iter().map(|operation| operation.duration());
        let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
        for operation in &operations {
            *outcomes.entry(operation.outcome.name()).or_default() += 1;
        }
        let mut outcomes: Vec<_> = outcomes.into_iter().collect();
        outcomes.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
        let outcomes: Vec<_> = outcomes
            .iter()
            .map(|(name, number)| format!("{number} {name}"))
            .collect();
        let _ = writeln!(
            text,
            "{kind:<20} {:>8} {:>8.1} {:>8} {:>8} {:>8}  {}",
            operations.len(),
            operations.len() as f64 / seconds.max(0.001),
            percentile(0.5),
            percentile(0.99),
            milliseconds(longest.max().map(|longest| longest.as_secs_f64() * 1000.0)),
            outcomes.join(", ")
        );
    }
    let _ = writeln!(
        text,
        "{} operations in {seconds:.1} s, {:.1} per s",
        history.len(),
        history.len() as f64 / seconds.max(0.001)
    );
    text
}

/// The verdict, and what is wrong.
pub fn verdict(verdict: &Verdict, history: &[Operation]) -> String {
    let unknown = history
        .iter()
        .filter(|operation| matches!(operation.outcome, Outcome::Unknown { .. }))
        .count();
    let mut text = format!(
        "checked: {} domains, {} memberships ({} undecided), {} key versions, {} departures, \
         {} admissions under a maximum, {} counts; {unknown} operations with an unknown outcome\n",
        verdict.domains,
        verdict.memberships,
        verdict.undecided,
        verdict.versions,
        verdict.departures,
        verdict.admissions_under_maximum,
        verdict.counts,
    );
    let mut shown: BTreeMap<Rule, usize> = BTreeMap::new();
    for violation in &verdict.violations {
        let number = shown.entry(violation.rule).or_default();
        *number += 1;
        if *number <= MAX_VIOLATIONS {
            let _ = writeln!(text, "{violation}");
        }
    }
    if shown.is_empty() {
        text += "verdict: every guarantee held\n";
    } else {
        let numbers: Vec<_> = shown
            .iter()
            .map(|(rule, number)| format!("{number} of {rule}"))
            .collect();
        let _ = writeln!(text, "verdict: VIOLATIONS, {}", numbers.join(", "));
    }
    text
}

fn milliseconds(ms: Option<f64>) -> String {
    ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"))
}
