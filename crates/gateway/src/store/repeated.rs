//! What is logged of a store that fails: the same line once a second at most.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// So long a line is not repeated.
const PAUSE: Duration = Duration::from_secs(1);

/// How many lines are remembered. A store has few ways to fail.
const LINES: usize = 16;

/// The lines that were logged last.
pub(super) struct Repeated(Mutex<Vec<Line>>);

struct Line {
    text: String,
    logged: Instant,
    left_out: u64,
}

impl Repeated {
    /// Nothing was logged.
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Whether a line is to be logged now, and if so, how often it was not logged since the last time.
    pub(super) fn is_due(&self, text: &str, now: Instant) -> Option<u64> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = lines.iter().position(|line| line.text == text);
        let mut line = match at {
            Some(at) if now.duration_since(lines[at].logged) < PAUSE => {
                lines[at].left_out += 1;
                return None;
            }
            Some(at) => lines.remove(at),
            None => Line {
                text: text.to_owned(),
                logged: now,
                left_out: 0,
            },
        };
        let left_out = std::mem::take(&mut line.left_out);
        line.logged = now;
        lines.insert(0, line);
        lines.truncate(LINES);
        Some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_logged_once_a_second_with_what_was_left_out() {
        let (repeated, start) = (Repeated::new(), Instant::now());
        let after = |ms| start + Duration::from_millis(ms);
        assert_eq!(repeated.is_due("full", after(0)), Some(0));
        assert_eq!(repeated.is_due("full", after(1)), None);
        // Another line is not kept back.
        assert_eq!(repeated.is_due("damaged", after(2)), Some(0));
        assert_eq!(repeated.is_due("full", after(999)), None);
        assert_eq!(repeated.is_due("full", after(1000)), Some(2));
        assert_eq!(repeated.is_due("full", after(1001)), None);
        assert_eq!(repeated.is_due("full", after(9000)), Some(1));
        assert_eq!(repeated.is_due("full", after(10000)), Some(0));
    }

    #[test]
    fn few_lines_are_remembered() {
        let (repeated, now) = (Repeated::new(), Instant::now());
        for number in 0..100 {
            assert_eq!(repeated.is_due(&number.to_string(), now), Some(0));
        }
        assert_eq!(repeated.0.lock().unwrap().len(), LINES);
        assert_eq!(repeated.is_due("99", now), None);
    }
}
