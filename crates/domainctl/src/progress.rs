//! How far a long command is, for a person at a terminal.

use std::cell::Cell;

use anonymous_domains_domainctl::transfer::Event;
use anonymous_domains_terminal::{Progress, grouped};

use crate::report::many;

/// So many of something, and of how many if that is known.
pub fn part(done: u64, of: Option<u64>, what: &str) -> String {
    match of {
        Some(of) => format!("{} of {}", grouped(done), many(of, what)),
        None => many(done, what),
    }
}

/// How much of a file is done, as the end of a line; nothing of what has no size, such as a pipe.
pub fn of_file(done: u64, of: u64) -> String {
    match done.saturating_mul(100).checked_div(of) {
        Some(percent) => format!(", {}% of the file", percent.min(100)),
        None => String::new(),
    }
}

/// How far an export or an import is.
pub struct Transfer {
    line: Progress,
    domains: Cell<u64>,
    machines: Cell<u64>,
    bytes: Cell<u64>,
    of_domains: Option<u64>,
    of_bytes: Option<u64>,
}

impl Transfer {
    /// One of so many domains and bytes, as far as that is known.
    pub fn start(quiet: bool, of_domains: Option<u64>, of_bytes: Option<u64>) -> Self {
        Self {
            line: Progress::start(quiet),
            domains: Cell::new(0),
            machines: Cell::new(0),
            bytes: Cell::new(0),
            of_domains,
            of_bytes,
        }
    }

    /// Shows what happens.
    pub fn show(&self, event: Event) {
        let add = |to: &Cell<u64>, more| to.set(to.get() + more);
        match event {
            Event::Domain => add(&self.domains, 1),
            Event::Machines(more) => add(&self.machines, more),
            Event::Bytes(more) => add(&self.bytes, more),
        }
        self.line.show(|| {
            let mut text = part(self.domains.get(), self.of_domains, "domain");
            if self.machines.get() > 0 {
                text += &format!(", {}", many(self.machines.get(), "member"));
            }
            if let Some(of) = self.of_bytes {
                text += &of_file(self.bytes.get(), of);
            }
            text
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_shown_with_what_is_known() {
        assert_eq!(
            part(12_300, Some(40_000), "domain"),
            "12,300 of 40,000 domains"
        );
        assert_eq!(part(1, None, "domain"), "1 domain");
        assert_eq!(of_file(1, 3), ", 33% of the file");
        assert_eq!(of_file(4, 3), ", 100% of the file", "it grew");
        assert_eq!(of_file(4, 0), "");
    }
}
