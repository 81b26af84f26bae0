//! The results as Markdown.

use std::fmt::Write as _;

use crate::{
    attacks::Attack,
    honest::{Kind, Sample},
    siege::Outcome,
};

/// A line for a person who waits.
pub fn line(outcome: &Outcome) -> String {
    let mut line = format!(
        "{} ({}): steady join {} ms, {} {}s",
        outcome.attack.name,
        outcome.settings.name(),
        times(outcome, Kind::SteadyJoin),
        outcome.tally.units,
        outcome.attack.unit,
    );
    for (status, number) in &outcome.tally.answers {
        let _ = write!(line, ", {number} x {status}");
    }
    if outcome.tally.closed > 0 {
        let _ = write!(line, ", {} connections ended", outcome.tally.closed);
    }
    for wrong in &outcome.wrong {
        let _ = write!(line, "\n    WRONG: {wrong}");
    }
    line
}

/// The table of what was measured.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "attack | limits | steady join | first join | read | errors | hostile a second | cost of one \
         | memory, MiB\n---|---|---|---|---|---|---|---|---\n",
    );
    for outcome in outcomes {
        let times = Kind::ALL.map(|kind| times(outcome, kind));
        let rate = outcome.tally.units as f64 / outcome.seconds.max(f64::MIN_POSITIVE);
        let _ = writeln!(
            text,
            "{} | {} | {} | {} | {:.0} {}s | {} | {}",
            outcome.attack.name,
            outcome.settings.name(),
            times.join(" | "),
            outcome.beside.failed,
            rate,
            outcome.attack.unit,
            cost(outcome.cost_joins),
            outcome.memory_bytes >> 20,
        );
    }
    text
}

/// The table of what attacks do, and what limits them.
pub fn attacks(attacks: &[Attack]) -> String {
    let mut text = String::from("attack | hostile clients | what limits them\n---|---|---\n");
    for attack in attacks {
        let Attack {
            name, what, limit, ..
        } = attack;
        let _ = writeln!(text, "{name} | {what} | {limit}");
    }
    text
}

/// `2.1, 3.0 (1.4)`: the 99th percentile alone and beside the attack, and the ratio.
fn times(outcome: &Outcome, kind: Kind) -> String {
    let p99 = |sample: &Sample| sample.p99_ms(kind);
    match (p99(&outcome.alone), p99(&outcome.beside)) {
        (Some(alone), Some(beside)) => {
            let ratio = beside / alone.max(0.001);
            format!("{}, {} ({})", number(alone), number(beside), number(ratio))
        }
        _ => "-".to_owned(),
    }
}

fn number(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

fn cost(joins: f64) -> String {
    match joins {
        joins if joins < 0.01 => "under 0.01".to_owned(),
        joins if joins < 10.0 => format!("{joins:.2}"),
        joins => format!("{joins:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{field::Tally, target::Settings};

    fn outcome() -> Outcome {
        let sample = |ms| {
            let mut sample = Sample::default();
            for latencies in &mut sample.latencies {
                latencies.record(Duration::from_millis(ms));
            }
            sample
        };
        Outcome {
            attack: crate::attacks::all()[0],
            settings: Settings::Default,
            alone: sample(2),
            beside: sample(30),
            tally: Tally {
                units: 100,
                closed: 3,
                ..Tally::default()
            },
            seconds: 2.0,
            cost_joins: 0.25,
            memory_bytes: 64 << 20,
            wrong: vec!["this".to_owned()],
        }
    }

    #[test]
    fn a_row_has_all_that_was_measured() {
        let table = table(&[outcome()]);
        assert_eq!(
            table.lines().last().unwrap(),
            "slow-heads | default | 2.0, 30 (15) | 2.0, 30 (15) | 2.0, 30 (15) | 0 | \
             50 connections | 0.25 | 64"
        );
        let columns = table.lines().map(|line| line.split('|').count());
        assert!(
            columns
                .collect::<Vec<_>>()
                .iter()
                .all(|number| *number == 9)
        );
        assert_eq!(
            line(&outcome()),
            "slow-heads (default): steady join 2.0, 30 (15) ms, 100 connections, 3 connections \
             ended\n    WRONG: this"
        );
    }
}
