//! Whether the time that it takes to refuse a token tells anything of the right one.

use std::{path::Path, time::Instant};

use anonymous_domains_bench::guesses::{CHARACTERS, Guesses};

use super::{Plan, Report, number, state_directory};
use crate::server::Build;

/// Above this, dudect says that two kinds of input can be told apart (Reparaz, Balasch and
/// Verbauwhede: Dude, is my code constant time?, 2017).
const MOST: f64 = 4.5;

/// The slowest tenth of the times is other programs' work.
const KEPT: f64 = 0.9;

pub fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    report.section(
        "Tokens",
        "Requests with wrong admin tokens of 64 characters are refused by one instance, in random order: \
         some differ from the right one in the first character, others in the last. Welch's t of their \
         times, as dudect takes it; above 4.5 it would tell them apart. To show that it can, tokens of 64 \
         and of 512 characters are told apart, which is no secret.",
    );
    let times = if plan.quick { 100 } else { 40_000 };
    let long = "0".repeat(8 * CHARACTERS);
    report.table(&["", "portable build", "wide build"]);
    let mut places = vec!["t of the first and the last character".to_owned()];
    let mut lengths = vec!["t of 64 and 512 characters".to_owned()];
    for (build, name) in [(Build::Portable, "portable"), (Build::Wide, "wide")] {
        let component = build.file(&plan.programs.components);
        let of_places = t(&component, times, |it| {
            [it.guess(0), it.guess(CHARACTERS - 1)]
        })?;
        let of_lengths = t(&component, times, |it| [it.guess(0), long.clone()])?;
        report.at_most(format!("{}, {name} build", places[0]), MOST, of_places);
        places.push(number(of_places));
        lengths.push(number(of_lengths));
    }
    report.row(&places);
    report.row(&lengths);
    Ok(())
}

/// Welch's t, without its sign, of the times that it takes to refuse each guess so many times.
fn t(
    component: &Path,
    times: usize,
    guesses: impl Fn(&Guesses) -> [String; 2],
) -> anyhow::Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let state = state_directory()?;
    runtime.block_on(async {
        let mut instance = Guesses::new(component, state.path()).await?;
        let guesses = guesses(&instance);
        let mut samples = [Vec::new(), Vec::new()];
        for number in 0..2 * times {
            // The first ones are warming up.
            let kind = usize::from(getrandom::u32()? & 1 == 1);
            let began = Instant::now();
            instance.refused(&guesses[kind]).await?;
            if number > times / 10 {
                samples[kind].push(began.elapsed().as_secs_f64());
            }
        }
        let mut all = samples.concat();
        all.sort_by(f64::total_cmp);
        let most = all[(all.len() as f64 * KEPT) as usize];
        for kind in &mut samples {
            kind.retain(|seconds| *seconds <= most);
        }
        Ok(welch(&samples).abs())
    })
}

/// Welch's t of two samples.
fn welch(samples: &[Vec<f64>; 2]) -> f64 {
    let moments = |sample: &Vec<f64>| {
        let count = sample.len() as f64;
        let mean = sample.iter().sum::<f64>() / count;
        let squares = sample.iter().map(|it| (it - mean).powi(2)).sum::<f64>();
        (mean, squares / (count - 1.0) / count)
    };
    let [(one, of_one), (other, of_other)] = samples.each_ref().map(moments);
    (one - other) / (of_one + of_other).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_compared_as_welch_does() {
        // (2.525 - 5.2) / sqrt(1.6358 / 4 + 0.25 / 5)
        let samples = [vec![3.0, 4.0, 1.0, 2.1], vec![4.9, 5.1, 6.0, 4.7, 5.3]];
        assert!(
            (welch(&samples) + 3.948_546).abs() < 1e-6,
            "{}",
            welch(&samples)
        );
        assert_eq!(welch(&[vec![1.0, 2.0], vec![2.0, 1.0]]), 0.0);
    }
}
