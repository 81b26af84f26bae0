//! How far a long command is, for a person at a terminal.

use std::{cell::Cell, time::Duration};

use anonymous_domains_domainctl::transfer::Event;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often something moves, so that one sees that the command lives.
const TICK: Duration = Duration::from_millis(120);

/// A line on standard error, if that is a terminal.
pub struct Progress {
    bar: ProgressBar,
    domains: Cell<u64>,
    machines: Cell<u64>,
}

impl Progress {
    /// A line that says how much there was so far.
    pub fn of_unknown_length() -> Self {
        Self::new(
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()),
            "{spinner} {elapsed} {msg}",
        )
    }

    /// A bar that is full after so many bytes.
    pub fn of_bytes(bytes: u64) -> Self {
        Self::new(
            ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr()),
            "{bar:30} {percent}% {eta} left, {msg}",
        )
    }

    fn new(bar: ProgressBar, template: &str) -> Self {
        // The templates here are good; with another, the bar would look otherwise.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        Self {
            bar,
            domains: Cell::new(0),
            machines: Cell::new(0),
        }
    }

    /// Shows what happens.
    pub fn show(&self, event: Event<'_>) {
        match event {
            Event::Domain(name) => {
                self.domains.set(self.domains.get() + 1);
                self.bar.set_message(self.text(name.as_str()));
            }
            Event::Machines(more) => {
                self.machines.set(self.machines.get() + more);
                self.bar.set_message(self.text(""));
            }
            Event::Bytes(more) => self.bar.inc(more),
            Event::Again(name) => self.bar.set_message(format!("{name} changed: again")),
        }
    }

    /// Shows how much of a store was checked.
    pub fn checked(&self, domains: u64, members: u64) {
        self.bar
            .set_message(format!("{domains} domains, {members} members"));
    }

    /// Prints something while the line is out of the way.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    fn text(&self, domain: &str) -> String {
        let (domains, machines) = (self.domains.get(), self.machines.get());
        match machines {
            0 => format!("domain {domains} {domain}"),
            _ => format!("domain {domains}, {machines} members {domain}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
