//! How far a long command is.

use std::{
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

/// How often a line on a terminal is written anew.
const ON_A_TERMINAL: Duration = Duration::from_millis(200);

/// How often a line is printed elsewhere.
const ELSEWHERE: Duration = Duration::from_secs(10);

/// Prints to standard error how much of some things is done: on a terminal one line that changes,
/// elsewhere a line every ten seconds.
pub struct Progress {
    start: Instant,
    printed: Instant,
    is_terminal: bool,
    done: Vec<(&'static str, u64, Option<u64>)>,
}

impl Progress {
    /// Begins with nothing done of these: what each is, and how many there will be, if that is known.
    /// What there will be none of is left out.
    pub fn new(of: &[(&'static str, Option<u64>)]) -> Self {
        let now = Instant::now();
        let wanted = of.iter().filter(|(_, total)| *total != Some(0));
        Self {
            start: now,
            printed: now,
            is_terminal: std::io::stderr().is_terminal(),
            done: wanted.map(|(what, total)| (*what, 0, *total)).collect(),
        }
    }

    /// Says that so much more of something is done.
    pub fn add(&mut self, what: &str, more: u64) {
        if let Some(done) = self.done.iter_mut().find(|done| done.0 == what) {
            done.1 += more;
        }
        let every = if self.is_terminal {
            ON_A_TERMINAL
        } else {
            ELSEWHERE
        };
        if self.printed.elapsed() >= every {
            self.print();
        }
    }

    /// Prints how much is done now.
    fn print(&mut self) {
        self.printed = Instant::now();
        let text = text(&self.done, self.start.elapsed());
        // A line that cannot be printed is no reason to stop.
        let _ = if self.is_terminal {
            write!(std::io::stderr(), "\r{text}\x1b[K")
        } else {
            writeln!(std::io::stderr(), "{text}")
        };
    }

    /// Prints all that was done.
    pub fn end(mut self) {
        self.print();
        if self.is_terminal {
            let _ = writeln!(std::io::stderr());
        }
    }
}

fn text(done: &[(&'static str, u64, Option<u64>)], elapsed: Duration) -> String {
    let mut text = format!("{} s", elapsed.as_secs());
    for (what, done, total) in done {
        text += &match total {
            Some(total) => format!(", {done} of {total} {what}"),
            None => format!(", {done} {what}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_what_is_done_of_what_there_will_be() {
        let of = [("members", Some(9)), ("domains", Some(0)), ("bytes", None)];
        let mut progress = Progress::new(&of);
        progress.add("members", 2);
        progress.add("members", 3);
        progress.add("domains", 1);
        progress.add("bytes", 70);
        let told = text(&progress.done, Duration::from_millis(61_500));
        assert_eq!(told, "61 s, 5 of 9 members, 70 bytes");
    }
}
