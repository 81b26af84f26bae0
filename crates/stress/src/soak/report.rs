//! What a soak has shown, and whether something grows.

use std::{collections::BTreeMap, fmt::Write as _};

use anonymous_domains_testkit::{Latencies, Usage};

use super::{
    episode::Outcome,
    store_size::StoreSize,
    trend::{Trend, first_and_last_quarter, median},
};

/// Which share of the samples comes before all is warm.
const WARM_UP: f64 = 0.15;

/// One episode, and what was measured after it.
#[derive(Debug)]
pub struct Sample {
    /// When it was over, from the beginning of all.
    pub seconds: f64,
    /// What it has shown.
    pub episode: Outcome,
    /// The store after it.
    pub store: StoreSize,
}

/// All episodes, and what is wrong.
#[derive(Debug, Default)]
pub struct Report {
    /// One for each episode.
    pub samples: Vec<Sample>,
    /// What is wrong.
    pub wrong: Vec<String>,
}

/// Something that may grow.
struct Measure {
    name: &'static str,
    unit: &'static str,
    of: fn(&Sample) -> f64,
    /// From its median in the first quarter of the samples, and from how many names more domains had
    /// had in the last quarter than in the first: above which median in the last quarter it leaks.
    most: fn(f64, f64) -> f64,
}

const MIB: f64 = 1024.0 * 1024.0;

/// Memory that doubles.
const fn twice(first: f64, _: f64) -> f64 {
    2.0 * first
}

/// Some more files or threads are for more at a time.
const fn some_more(first: f64, _: f64) -> f64 {
    first + 16.0
}

const MEASURES: [Measure; 8] = [
    Measure {
        name: "memory under load",
        unit: "MiB",
        of: |sample| under_load(sample, |usage| usage.memory_bytes) / MIB,
        most: twice,
    },
    Measure {
        name: "memory at rest",
        unit: "MiB",
        of: |sample| sample.episode.elder_at_rest.memory_bytes as f64 / MIB,
        most: twice,
    },
    Measure {
        name: "threads",
        unit: "",
        of: |sample| under_load(sample, |usage| usage.threads),
        most: some_more,
    },
    Measure {
        name: "files, without connections",
        unit: "",
        of: |sample| sample.episode.elder_at_rest.files as f64,
        most: some_more,
    },
    Measure {
        name: "sockets at rest",
        unit: "",
        of: |sample| sample.episode.elder_at_rest.sockets as f64,
        most: some_more,
    },
    Measure {
        name: "rows, without one for each deleted name",
        unit: "",
        of: |sample| sample.store.rows as f64 - sample.episode.names as f64,
        // The directory has the names in rows of 128 to 256, and an empty one for each split.
        most: |first, names| first + 16.0 + names / 32.0,
    },
    Measure {
        name: "store in use",
        unit: "KiB",
        of: |sample| sample.store.used_bytes as f64 / 1024.0,
        // A row for each name, and pages that are half full.
        most: |first, names| first + names + 128.0,
    },
    Measure {
        name: "write-ahead log",
        unit: "KiB",
        of: |sample| sample.store.wal_bytes as f64 / 1024.0,
        // SQLite keeps the file, and begins it anew when its pages are in the store.
        most: |first, _| first + 64.0 * 1024.0,
    },
];

fn under_load(sample: &Sample, of: fn(&Usage) -> u64) -> f64 {
    median(
        sample
            .episode
            .elder
            .iter()
            .map(|usage| of(usage) as f64)
            .collect(),
    )
}

/// A line for a person who waits.
pub fn line(sample: &Sample) -> String {
    let counts = &sample.episode.counts;
    let requests: u64 = counts.outcomes.values().sum();
    let mut line = format!("{:>5.0} s: {requests} requests", sample.seconds);
    for measure in MEASURES {
        let value = number((measure.of)(sample));
        let _ = write!(line, ", {} {value} {}", measure.name, measure.unit);
    }
    let _ = write!(
        line,
        ", free in the store {} KiB, {} domains deleted, {:?}",
        sample.store.free_bytes / 1024,
        sample.episode.domains,
        sample.store.tables
    );
    for (kind, latencies) in &counts.latencies {
        let ms = |share| latencies.percentile_ms(share).unwrap_or_default();
        let _ = write!(line, "; {kind} {:.1} {:.1} ms", ms(0.5), ms(0.99));
    }
    for ((kind, outcome), number) in &counts.outcomes {
        let _ = write!(line, "\n        {kind}: {number} {outcome}");
    }
    for wrong in &counts.wrong {
        let _ = write!(line, "\n    WRONG: {wrong}");
    }
    line
}

impl Report {
    fn warm(&self) -> &[Sample] {
        let cold = (self.samples.len() as f64 * WARM_UP).ceil() as usize;
        &self.samples[cold.min(self.samples.len())..]
    }

    /// Adds what is wrong: what the episodes found, and what has grown so much that something leaks.
    pub fn judge(&mut self) {
        let mut wrong: Vec<String> = Vec::new();
        for sample in &self.samples {
            let found = sample.episode.counts.wrong.iter().cloned();
            wrong.extend(found);
        }
        let limited = self.samples.iter().any(|sample| {
            let mut outcomes = sample.episode.counts.outcomes.keys();
            outcomes.any(|(kind, outcome)| *kind == "flood" && outcome == "RATE_LIMITED")
        });
        if !limited {
            wrong.push("no flood met a limit of rates".to_owned());
        }
        wrong.extend(self.leaks());
        self.wrong.extend(wrong);
    }

    /// What has grown so much that something leaks.
    fn leaks(&self) -> Vec<String> {
        let warm = self.warm();
        let mut leaks = Vec::new();
        for measure in MEASURES {
            let values: Vec<_> = warm.iter().map(measure.of).collect();
            let Some((first, last)) = first_and_last_quarter(&values) else {
                continue;
            };
            let most = (measure.most)(first, self.more_names());
            if last > most {
                leaks.push(format!(
                    "{} grew from {} to {} {}",
                    measure.name,
                    number(first),
                    number(last),
                    measure.unit
                ));
            }
        }
        leaks
    }

    /// How many names more were used in the last quarter than in the first.
    fn more_names(&self) -> f64 {
        let names = self.warm().iter().map(|sample| sample.episode.names as f64);
        let quarters = first_and_last_quarter(&names.collect::<Vec<_>>());
        quarters.map_or(0.0, |(first, last)| last - first)
    }

    /// The tables of what was measured, in Markdown.
    pub fn tables(&self) -> String {
        let warm = self.warm();
        let mut text = String::from(
            "what | after the warm-up | at the end | growth an hour\n---|---|---|---\n",
        );
        for measure in MEASURES {
            let samples = warm
                .iter()
                .map(|sample| (sample.seconds, (measure.of)(sample)));
            let name = match measure.unit {
                "" => measure.name.to_owned(),
                unit => format!("{}, {unit}", measure.name),
            };
            let _ = writeln!(text, "{}", row(&name, &samples.collect::<Vec<_>>()));
        }
        text += "\nrequest | number | median after the warm-up, ms | growth an hour | 99th percentile after \
                 the warm-up, ms | growth an hour\n---|---|---|---|---|---\n";
        let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
        for sample in &self.samples {
            for (kind, latencies) in &sample.episode.counts.latencies {
                *kinds.entry(kind).or_default() += latencies.len();
            }
        }
        for (kind, total) in kinds {
            let of = |share: f64| {
                let samples = warm.iter().filter_map(|sample| {
                    let latencies: &Latencies = sample.episode.counts.latencies.get(kind)?;
                    Some((sample.seconds, latencies.percentile_ms(share)?))
                });
                Trend::through(&samples.collect::<Vec<_>>()).map_or("- | -".to_owned(), |trend| {
                    format!("{} | {}", number(trend.first), signed(trend.per_hour))
                })
            };
            let _ = writeln!(text, "{kind} | {total} | {} | {}", of(0.5), of(0.99));
        }
        text
    }

    /// What was done, in a sentence or two.
    pub fn summary(&self) -> String {
        let all = |of: &dyn Fn(&Sample) -> u64| self.samples.iter().map(of).sum::<u64>();
        let requests = all(&|sample| sample.episode.counts.outcomes.values().sum());
        let checked = all(&|sample| sample.episode.checked as u64);
        let domains = all(&|sample| sample.episode.domains as u64);
        let names = self.samples.last().map_or(0, |sample| sample.episode.names);
        let limited = all(&|sample| {
            let outcomes = sample.episode.counts.outcomes.iter();
            let limited = outcomes.filter(|((_, outcome), _)| outcome == "RATE_LIMITED");
            limited.map(|(_, number)| number).sum()
        });
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default();
        let seconds = self.samples.last().map_or(1.0, |sample| sample.seconds);
        format!(
            "{:.0} minutes, {requests} requests ({:.0} a second), of which {checked} checked as histories \
             and {limited} refused with 429; {domains} domains created and deleted, which had {names} \
             names; the load of the machine at the end was {load}.",
            seconds / 60.0,
            requests as f64 / seconds
        )
    }
}

fn row(name: &str, samples: &[(f64, f64)]) -> String {
    match Trend::through(samples) {
        Some(trend) => format!(
            "{name} | {} | {} | {}",
            number(trend.first),
            number(trend.last),
            signed(trend.per_hour)
        ),
        None => format!("{name} | - | - | -"),
    }
}

fn number(value: f64) -> String {
    // No minus sign before what rounds to zero.
    match value.abs() {
        size if size < 0.05 => "0".to_owned(),
        size if size < 10.0 && size.fract() != 0.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn signed(value: f64) -> String {
    match number(value) {
        text if value > 0.0 && text != "0" => format!("+{text}"),
        text => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sample after each of so many minutes.
    fn report(minutes: u64, sample: impl Fn(u64, &mut Sample)) -> Report {
        let samples = (0..minutes).map(|minute| {
            let mut episode = Outcome {
                elder: vec![Usage::default()],
                ..Outcome::default()
            };
            let limited = ("flood", "RATE_LIMITED".to_owned());
            episode.counts.outcomes.insert(limited, 1);
            let latencies = episode.counts.latencies.entry("join").or_default();
            latencies.record(std::time::Duration::from_millis(2));
            let mut made = Sample {
                seconds: 60.0 * minute as f64,
                episode,
                store: StoreSize::default(),
            };
            sample(minute, &mut made);
            made
        });
        let mut report = Report {
            samples: samples.collect(),
            ..Report::default()
        };
        report.judge();
        report
    }

    #[test]
    fn what_leaks_is_found() {
        type Growth = fn(u64, &mut Sample);
        let leaks: [(&str, Growth); 4] = [
            ("memory at rest", |minute, sample| {
                sample.episode.elder_at_rest.memory_bytes = (100 + 10 * minute) << 20;
            }),
            ("files", |minute, sample| {
                sample.episode.elder_at_rest.files = 20 + minute;
            }),
            ("rows", |minute, sample| {
                sample.store.rows = 50 + 2 * minute;
                sample.episode.names = minute as usize;
            }),
            ("store in use", |minute, sample| {
                sample.store.used_bytes = minute * 16 * 1024;
            }),
        ];
        for (name, growth) in leaks {
            let wrong = report(60, growth).wrong;
            assert!(wrong.len() == 1 && wrong[0].starts_with(name), "{wrong:?}");
        }
    }

    #[test]
    fn what_does_not_leak_passes() {
        let report = report(60, |minute, sample| {
            sample.episode.elder_at_rest.memory_bytes = (100 + minute) << 20;
            sample.episode.names = minute as usize;
            sample.store.rows = 50 + minute;
        });
        assert_eq!(report.wrong, Vec::<String>::new());
        let tables = report.tables();
        assert!(
            tables.contains("memory at rest, MiB | 109 | 159 | +60\n"),
            "{tables}"
        );
        assert!(tables.contains("join | 60 | 2 | 0 | 2 | 0\n"), "{tables}");
    }

    #[test]
    fn a_soak_without_a_limit_that_was_met_proves_less() {
        let report = report(2, |_, sample| sample.episode.counts.outcomes.clear());
        assert_eq!(report.wrong, ["no flood met a limit of rates"]);
    }
}
