//! What a command shows a person at a terminal, and no file and no other program: colours, and a line
//! that says how far it is.

#![forbid(unsafe_code)]

mod line;

use std::{
    env,
    io::{self, IsTerminal, Stderr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use line::Line;

/// The one line of this process. It is known here, so that whatever else is printed can go around it.
static LINE: Mutex<Line<Stderr>> = Mutex::new(Line::new(None));

/// Whether to colour what goes to `stream`: where that is a terminal that can, and `NO_COLOR` is not
/// set, or empty (<https://no-color.org>).
pub fn has_colours(stream: &impl IsTerminal) -> bool {
    let is_wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    is_wanted && is_capable(stream)
}

/// Whether a stream is a terminal that understands more than text.
fn is_capable(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && env::var_os("TERM").is_none_or(|kind| kind != "dumb")
}

/// How far a long command is: a line on standard error that is rewritten a few times a second, and is
/// gone at the end. Nothing where that is no terminal, or one that understands only text.
#[derive(Debug)]
#[must_use = "the line is gone when this is dropped"]
pub struct Progress(());

impl Progress {
    /// Begins with nothing on the line. With `quiet` it stays so.
    pub fn start(quiet: bool) -> Self {
        let stderr = io::stderr();
        let is_shown = !quiet && is_capable(&stderr);
        *line() = Line::new(is_shown.then_some(stderr));
        Self(())
    }

    /// Writes the line, unless it was written just now.
    pub fn show(&self, text: impl FnOnce() -> String) {
        line().show(Instant::now(), text);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let mut line = line();
        line.clear();
        *line = Line::new(None);
    }
}

/// Prints something while the line is out of the way.
pub fn aside<T>(print: impl FnOnce() -> T) -> T {
    line().clear();
    print()
}

fn line() -> MutexGuard<'static, Line<Stderr>> {
    LINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number with commas: `12,300`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn numbers_have_commas() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_300, "12,300"),
            (123_456, "123,456"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
