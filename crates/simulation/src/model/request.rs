//! What the model knows of one request.

use crate::{operation::Op, random::Digest};

/// A request as the model knows it.
#[derive(Debug, Clone)]
pub struct Request {
    pub op: Op,
    /// The step at which it started.
    pub started: u64,
    pub started_ms: i64,
    /// The step at which it was answered or crashed.
    pub ended: Option<u64>,
    /// Whether it was answered as done.
    pub done: bool,
    /// Whether it has delayed writes, which may still take effect.
    pub has_delayed_writes: bool,
    /// What must hold of its answer, if it is a join.
    pub expected: Expected,
    /// Whether its writes changed members or keys.
    pub changed: Option<&'static str>,
    pub added_member: bool,
    /// Whether the machine that it is about was a member when it started.
    pub was_member: bool,
    /// Whether the domain has had as many members as its maximum at any moment since it started.
    pub saw_full: bool,
}

/// What must hold of a join's answer, known when it starts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expected {
    /// The answer is from this generation of the domain or a later one.
    pub generation: usize,
    /// If it is from this generation, its newest key is not one of the first so many that were
    /// made.
    pub made_after: usize,
    pub blocked: bool,
}

impl Request {
    /// Whether it may write no more, since `step` or earlier.
    pub fn is_over_by(&self, step: u64) -> bool {
        !self.has_delayed_writes && self.ended.is_some_and(|ended| ended <= step)
    }

    /// A hash of all that later checks depend on, except the steps.
    pub fn digest(&self, digest: &mut Digest) {
        digest.number(self.expected.generation as u64);
        digest.number(self.expected.made_after as u64);
        digest.number(self.started_ms as u64);
        let flags = [
            self.done,
            self.has_delayed_writes,
            self.added_member,
            self.expected.blocked,
            self.changed.is_some(),
            self.was_member,
            self.saw_full,
        ];
        let flags = flags.iter().fold(0, |all, flag| 2 * all + u64::from(*flag));
        digest.number(flags);
    }

    /// The steps whose order later checks depend on.
    pub fn steps(&self) -> [u64; 2] {
        [self.started, self.ended.unwrap_or(u64::MAX)]
    }
}
