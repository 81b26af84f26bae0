//! Whether something grows.

/// A value over time: a straight line through samples, by least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// The line's value at the first sample.
    pub first: f64,
    /// The line's value at the last sample.
    pub last: f64,
    /// How much it grows in an hour.
    pub per_hour: f64,
}

impl Trend {
    /// Through samples of a time in seconds and a value; `None` without samples at two times.
    pub fn through(samples: &[(f64, f64)]) -> Option<Self> {
        let number = samples.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| samples.iter().map(of).sum::<f64>() / number;
        let (time, value) = (mean(|sample| sample.0), mean(|sample| sample.1));
        let moment = |of: &dyn Fn(&(f64, f64)) -> f64| samples.iter().map(of).sum::<f64>();
        let variance = moment(&|sample| (sample.0 - time).powi(2));
        let slope = moment(&|sample| (sample.0 - time) * (sample.1 - value)) / variance;
        if !slope.is_finite() {
            return None;
        }
        let at = |sample: Option<&(f64, f64)>| Some(value + slope * (sample?.0 - time));
        Some(Self {
            first: at(samples.first())?,
            last: at(samples.last())?,
            per_hour: slope * 3600.0,
        })
    }
}

/// The medians of the first and of the last quarter of values, of which there must be eight.
pub fn first_and_last_quarter(values: &[f64]) -> Option<(f64, f64)> {
    let quarter = values.len() / 4;
    (quarter >= 2).then(|| {
        let (first, last) = (&values[..quarter], &values[values.len() - quarter..]);
        (median(first.to_vec()), median(last.to_vec()))
    })
}

/// The median; 0 of nothing.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_through_samples() {
        let samples = (0..60).map(|minute| f64::from(minute) * 60.0);
        let samples: Vec<_> = samples
            .map(|seconds| (seconds, 10.0 + seconds / 1800.0))
            .collect();
        let trend = Trend::through(&samples).unwrap();
        assert!((trend.per_hour - 2.0).abs() < 1e-9, "{trend:?}");
        assert!((trend.first - 10.0).abs() < 1e-9, "{trend:?}");
        assert!((trend.last - 10.0 - 59.0 / 30.0).abs() < 1e-9, "{trend:?}");
        assert_eq!(Trend::through(&[]), None);
        assert_eq!(Trend::through(&[(1.0, 2.0)]), None);
    }

    #[test]
    fn quarters() {
        let values: Vec<_> = (1..=12).map(f64::from).collect();
        assert_eq!(first_and_last_quarter(&values), Some((2.0, 11.0)));
        assert_eq!(first_and_last_quarter(&values[..7]), None);
    }
}
