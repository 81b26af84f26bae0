//! What was found, and the verdict.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::{
    finding::{Check, ERROR, Effect, Finding},
    store::StoreError,
};

/// What a check has found, and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What was found.
    pub finding: Finding,
    /// What was seen; empty where the finding says it.
    pub what: String,
}

impl Seen {
    /// A finding with what was seen.
    pub fn new(finding: Finding, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { finding, what }
    }
}

impl From<Finding> for Seen {
    fn from(finding: Finding) -> Self {
        Self::new(finding, "")
    }
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The check's name.
    pub check: &'static str,
    /// What is asked.
    pub question: &'static str,
    /// What it means for the server.
    pub effect: Effect,
    /// The finding's name, or `error`.
    pub finding: &'static str,
    /// Why it means that.
    pub reason: &'static str,
    /// What was seen; empty where the finding says it.
    pub seen: String,
}

impl Outcome {
    /// The result of a check that did or did not come to a finding.
    pub fn new(check: Check, result: Result<Seen, StoreError>) -> Self {
        let (effect, finding, reason, seen) = match result {
            Ok(Seen { finding, what }) => {
                (finding.effect(), finding.name(), finding.reason(), what)
            }
            Err(error) => (Effect::Unsafe, "error", ERROR, error.0),
        };
        Self {
            check: check.name(),
            question: check.question(),
            effect,
            finding,
            reason,
            seen,
        }
    }
}

/// Whether the store is safe for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As far as it was tested.
    Yes,
    /// As far as it was tested, if the conditions are met.
    Conditions,
    /// Not at all.
    No,
}

/// What to do next, and the path and query to call after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What to do.
    pub first: &'static str,
    /// What to call then.
    pub call: String,
}

/// The whole report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether the store is safe for the server.
    pub verdict: Verdict,
    /// Whether everything was tested.
    pub complete: bool,
    /// What each check found.
    pub checks: Vec<Outcome>,
    /// What there is to do for the checks that were not done.
    pub next: Vec<Step>,
}

impl Report {
    /// Judges what was found.
    pub fn new(checks: Vec<Outcome>, next: Vec<Step>) -> Self {
        let any = |effect| checks.iter().any(|check| check.effect == effect);
        Self {
            verdict: if any(Effect::Unsafe) {
                Verdict::No
            } else if any(Effect::Condition) {
                Verdict::Conditions
            } else {
                Verdict::Yes
            },
            complete: !any(Effect::Untested),
            checks,
            next,
        }
    }

    /// As a JSON document.
    pub fn to_json(&self) -> String {
        // There are only texts, truth values and lists.
        let mut json = serde_json::to_string_pretty(self).expect("a report is always valid JSON");
        json.push('\n');
        json
    }

    fn headline(&self) -> &'static str {
        match (self.verdict, self.complete) {
            (Verdict::No, _) => "no",
            (Verdict::Yes, true) => "yes",
            (Verdict::Yes, false) => "yes, as far as it was tested",
            (Verdict::Conditions, true) => "yes, with conditions",
            (Verdict::Conditions, false) => "yes, with conditions, as far as it was tested",
        }
    }
}

/// The report for people: the verdict, what it rests on, and what to do next.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Safe for Anonymous Domains: {}\n", self.headline())?;
        for outcome in &self.checks {
            let Outcome {
                check,
                finding,
                reason,
                seen,
                ..
            } = outcome;
            let effect = outcome.effect.as_str();
            let mut text = format!("{finding}. {reason}");
            if !seen.is_empty() {
                write!(text, " Seen: {seen}.")?;
            }
            writeln!(f, "{effect:9}  {check:11}  {}", wrapped(&text))?;
        }
        for (nth, step) in (1..).zip(&self.next) {
            write!(f, "\nNext, {nth}. {}\n   {}\n", step.first, step.call)?;
        }
        Ok(())
    }
}

/// Where the text of a check begins.
const INDENT: usize = 24;

/// The width of the text of a check, in characters.
const WIDTH: usize = 76;

/// Breaks a text into lines; the ones after the first are indented.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut width = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WIDTH {
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', INDENT));
            width = 0;
        } else if width > 0 {
            lines.push(' ');
            width += 1;
        }
        lines.push_str(word);
        width += length;
    }
    lines
}
