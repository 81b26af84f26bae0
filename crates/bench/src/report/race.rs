//! Rivals under the same load, in turns, so that a machine that gets slower affects all of them.

use std::time::Duration;

use anonymous_domains_bench::load::{self, Pace, Requests, Sample};

/// Something that can be put under load.
pub struct Rival<'a> {
    /// What it is, for the table.
    pub name: String,
    /// Its requests, made again for each round: a device's request is valid for five minutes.
    pub requests: Box<dyn Fn() -> Requests + 'a>,
}

impl<'a> Rival<'a> {
    /// A rival.
    pub fn new(name: impl Into<String>, requests: impl Fn() -> Requests + 'a) -> Self {
        Self {
            name: name.into(),
            requests: Box::new(requests),
        }
    }
}

/// How long and how often.
#[derive(Clone, Copy)]
pub struct Effort {
    /// One round of one rival.
    pub round: Duration,
    /// Rounds of each.
    pub rounds: usize,
}

/// The result of a race: for each rival a sample of each round.
pub struct Results(pub Vec<Vec<Sample>>);

/// Sends each rival's requests once over one connection, so that all machines are members and all
/// instances are warm. Then puts the rivals under load in turns.
///
/// # Errors
///
/// If a request fails.
pub fn race(rivals: &[Rival<'_>], connections: usize, effort: Effort) -> anyhow::Result<Results> {
    for rival in rivals {
        load::post(&(rival.requests)())?;
    }
    let mut samples = vec![Vec::new(); rivals.len()];
    for _ in 0..effort.rounds {
        for (rival, samples) in rivals.iter().zip(&mut samples) {
            let requests = (rival.requests)();
            samples.push(load::run(
                &requests,
                connections,
                Pace::Closed(effort.round),
            )?);
        }
    }
    Ok(Results(samples))
}

impl Results {
    /// A rival's median rate, per second.
    pub fn rate(&self, rival: usize) -> f64 {
        median(self.0[rival].iter().map(|sample| sample.rate))
    }

    /// The median over the rounds of a rival's latency, in milliseconds.
    pub fn percentile_ms(&self, rival: usize, share: f64) -> f64 {
        median(
            self.0[rival]
                .iter()
                .map(|sample| sample.percentile_ms(share)),
        )
    }

    /// The median over the rounds of one rival's rate divided by another's in the same round.
    pub fn ratio(&self, of: usize, to: usize) -> f64 {
        let rounds = self.0[of].iter().zip(&self.0[to]);
        median(rounds.map(|(of, to)| of.rate / to.rate))
    }
}

/// The median; NaN if there are no values.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }

    #[test]
    fn ratios_are_those_of_the_same_round() {
        let sample = |rate| Sample {
            rate,
            ..Sample::default()
        };
        // The machine is twice as slow in the second round.
        let results = Results(vec![
            vec![sample(100.0), sample(50.0), sample(98.0)],
            vec![sample(200.0), sample(100.0), sample(200.0)],
        ]);
        assert_eq!(results.ratio(0, 1), 0.5);
        assert_eq!(results.rate(0), 98.0);
    }
}
