//! A line that is rewritten in place.

use std::{
    io::Write,
    time::{Duration, Instant},
};

/// At least so long a text stays before the next one.
const PAUSE: Duration = Duration::from_millis(250);

/// Begins the line, has what does not fit cut off instead of wrapped, and removes what was there.
const BEGIN: &str = "\r\x1b[?7l\x1b[K";

/// Has long lines wrapped again.
const END: &str = "\x1b[?7h";

/// Removes the line.
const CLEAR: &str = "\r\x1b[K";

/// The line at a terminal, if there is one.
#[derive(Debug)]
pub struct Line<W> {
    terminal: Option<W>,
    written: Option<Instant>,
    is_there: bool,
}

impl<W> Line<W> {
    /// An empty line.
    pub const fn new(terminal: Option<W>) -> Self {
        Self {
            terminal,
            written: None,
            is_there: false,
        }
    }
}

impl<W: Write> Line<W> {
    /// Writes the line, unless it was written just before `now`.
    pub fn show(&mut self, now: Instant, text: impl FnOnce() -> String) {
        let is_due = self
            .written
            .is_none_or(|at| now.saturating_duration_since(at) >= PAUSE);
        if let Some(terminal) = &mut self.terminal
            && is_due
        {
            // Whether it is seen is not what the command is about.
            // In one piece, so that an interrupted command leaves the terminal as it was.
            let text = format!("{BEGIN}{}{END}", text());
            let _ = terminal.write_all(text.as_bytes());
            let _ = terminal.flush();
            (self.written, self.is_there) = (Some(now), true);
        }
    }

    /// Removes the line.
    pub fn clear(&mut self) {
        if let Some(terminal) = &mut self.terminal
            && self.is_there
        {
            let _ = write!(terminal, "{CLEAR}");
            let _ = terminal.flush();
            self.is_there = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(line: &mut Line<Vec<u8>>) -> String {
        let bytes = line.terminal.as_mut().map(std::mem::take);
        String::from_utf8(bytes.unwrap()).unwrap()
    }

    #[test]
    fn it_is_rewritten_a_few_times_a_second_and_gone_at_the_end() {
        let mut line = Line::new(Some(Vec::new()));
        let begin = Instant::now();
        line.clear();
        for millisecond in 0..1000 {
            let now = begin + Duration::from_millis(millisecond);
            line.show(now, || format!("{millisecond} done"));
        }
        let expected = [0, 250, 500, 750].map(|at| format!("{BEGIN}{at} done{END}"));
        assert_eq!(written(&mut line), expected.concat());
        line.clear();
        line.clear();
        assert_eq!(written(&mut line), CLEAR);
    }

    #[test]
    fn without_a_terminal_not_even_the_text_is_made() {
        let mut line = Line::<Vec<u8>>::new(None);
        line.show(Instant::now(), || unreachable!());
        line.clear();
    }
}
