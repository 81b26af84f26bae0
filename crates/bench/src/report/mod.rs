//! The comparisons of docs/benchmarks.md, each a section with its table.

mod flat;
mod growth;
mod instructions;
mod large;
mod limits;
mod maximum;
mod operator;
mod peers;
mod race;
mod rollover;
mod small;
mod steady;
mod tokens;

use std::{
    fmt::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use clap::ValueEnum;
use race::Effort;

use crate::server::Programs;

/// What to measure, and with what.
pub struct Plan {
    /// What is measured.
    pub programs: Programs,
    /// The file with the recorded instruction counts.
    pub counts: PathBuf,
    /// Use rounds so short that the figures mean nothing: for testing the bench itself.
    pub quick: bool,
    /// How many members the large domain of large stores has; there are a tenth as many domains.
    pub large: u64,
    /// The sections to measure; all but [`Section::Postgres`] if it is empty.
    pub only: Vec<Section>,
}

/// A part of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Section {
    /// A steady join, compared with the crate without the sandbox and with Spin.
    Steady,
    /// What a join cannot avoid, at OpenSSL's rate.
    Limits,
    /// cfssl.
    Peers,
    /// Many members, versions and domains.
    Flat,
    /// The same on PostgreSQL, which must be installed: only if it is asked for.
    Postgres,
    /// A maximum on a large domain.
    Maximum,
    /// After a departure.
    Rollover,
    /// Sizes, starts, memory.
    Small,
    /// Instructions of the main flows, which the tests hold later ones against.
    Instructions,
    /// Whether times tell anything of a secret token.
    Tokens,
}

/// A goal, and how far it was met.
struct Goal {
    what: String,
    goal: String,
    measured: String,
    met: bool,
}

/// A section as far as it is written.
#[derive(Default)]
struct Report {
    text: String,
    goals: Vec<Goal>,
}

impl Report {
    /// The section in Markdown, with its goals at the end.
    fn finish(mut self) -> String {
        let goals = std::mem::take(&mut self.goals);
        if !goals.is_empty() {
            self.line("");
            self.row(&["goal", "at", "measured", "met"]);
            self.line("---|---:|---:|---");
        }
        for goal in goals {
            let met = if goal.met { "yes" } else { "no" };
            self.row(&[&goal.what, &goal.goal, &goal.measured, met]);
        }
        self.text
    }

    fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    /// A section's heading and what it measures.
    fn section(&mut self, title: &str, what: &str) {
        eprintln!("bench: {title}");
        self.line(format!("\n### {title}\n\n{what}\n"));
    }

    /// The head of a table, whose columns after the first are numbers.
    fn table(&mut self, columns: &[&str]) {
        self.row(columns);
        self.line(format!("---{}", "|---:".repeat(columns.len() - 1)));
    }

    fn row<T: AsRef<str>>(&mut self, cells: &[T]) {
        let cells: Vec<_> = cells.iter().map(AsRef::as_ref).collect();
        let row = cells.join(" | ");
        let row = row.trim_end();
        // A cell that is empty at the beginning needs its border.
        let border = if row.starts_with(' ') { "|" } else { "" };
        self.line(format!("{border}{row}"));
    }

    /// A goal of at least this much.
    fn at_least(&mut self, what: impl Into<String>, goal: f64, measured: f64) {
        self.goal(what, format!("≥ {goal}"), measured, measured >= goal);
    }

    /// A goal of at most this much.
    fn at_most(&mut self, what: impl Into<String>, goal: f64, measured: f64) {
        self.goal(what, format!("≤ {goal}"), measured, measured <= goal);
    }

    fn goal(&mut self, what: impl Into<String>, goal: String, measured: f64, met: bool) {
        self.goals.push(Goal {
            what: what.into(),
            goal,
            measured: number(measured),
            met,
        });
    }
}

/// A number with its significant digits.
fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "-".to_owned(),
        value if value >= 1000.0 => {
            let whole = format!("{value:.0}");
            let (thousands, rest) = whole.split_at(whole.len() - 3);
            format!("{thousands},{rest}")
        }
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

impl Plan {
    fn effort(&self) -> Effort {
        if self.quick {
            Effort {
                round: Duration::from_millis(300),
                rounds: 1,
            }
        } else {
            Effort {
                round: Duration::from_secs(3),
                rounds: 5,
            }
        }
    }

    fn measures(&self, section: Section) -> bool {
        let always = self.only.is_empty() && section != Section::Postgres;
        always || self.only.contains(&section)
    }

    /// Measures, and returns the sections in Markdown, each with its name in the document.
    ///
    /// # Errors
    ///
    /// If a server does not start or a request fails.
    pub fn report(&self) -> anyhow::Result<Vec<(&'static str, String)>> {
        type Measure = fn(&Plan, &mut Report) -> anyhow::Result<()>;
        let sections: [(Section, &str, Measure); 10] = [
            (Section::Steady, "steady", steady::measure),
            (Section::Limits, "limits", limits::measure),
            (Section::Peers, "peers", peers::measure),
            (Section::Flat, "flat", flat::on_sqlite),
            (Section::Postgres, "postgres", flat::on_postgres),
            (Section::Maximum, "maximum", maximum::measure),
            (Section::Rollover, "rollover", rollover::measure),
            (Section::Small, "small", small::measure),
            (Section::Instructions, "instructions", instructions::measure),
            (Section::Tokens, "tokens", tokens::measure),
        ];
        let mut written = vec![("conditions", self.conditions()?)];
        for (section, name, measure) in sections {
            if self.measures(section) {
                let mut report = Report::default();
                measure(self, &mut report).with_context(|| format!("measuring {section:?}"))?;
                written.push((name, report.finish()));
            }
        }
        Ok(written)
    }

    /// The machine, and the software on it.
    fn conditions(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        let first_line = |program: &str, arguments: &[&str]| {
            let output = std::process::Command::new(program).args(arguments).output();
            let output = output.ok().map(|output| output.stdout);
            let text = String::from_utf8_lossy(&output.unwrap_or_default()).into_owned();
            text.lines().next().unwrap_or("?").trim().to_owned()
        };
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpu
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("?", |(_, model)| model);
        let threads = std::thread::available_parallelism()?;
        writeln!(
            text,
            "Measured on {}, {cpu}, {threads} threads, which the load shares with the servers; {}.",
            first_line("date", &["--utc", "+%Y-%m-%d"]),
            first_line("uname", &["-sr"]),
        )?;
        writeln!(
            text,
            "Gateway and native server: rustc {}; gateway's store: SQLite, write-ahead \
             log, synced at every commit.",
            first_line("rustc", &["--version"])
                .split(' ')
                .nth(1)
                .unwrap_or("?"),
        )?;
        if let Some(spin) = &self.programs.spin {
            let spin = spin.display().to_string();
            writeln!(text, "Spin: {}.", first_line(&spin, &["--version"]))?;
        }
        if self.quick {
            text.push_str("\n**A trial of the bench with rounds too short to mean anything.**\n");
        }
        Ok(text)
    }
}

/// Puts sections in the places that a document has for them: between comments with their names.
///
/// # Errors
///
/// If the document has no place for one.
pub fn write_into(document: &Path, sections: &[(&str, String)]) -> anyhow::Result<()> {
    let mut text = std::fs::read_to_string(document)?;
    for (name, section) in sections {
        let (begin, end) = (
            format!("<!-- begin {name} -->\n"),
            format!("<!-- end {name} -->\n"),
        );
        let place = text.split_once(&begin).and_then(|(before, rest)| {
            let (_, after) = rest.split_once(&end)?;
            Some((before, after))
        });
        let (before, after) =
            place.with_context(|| format!("{} has no place for {name}", document.display()))?;
        text = format!("{before}{begin}\n{}\n\n{end}{after}", section.trim());
    }
    Ok(std::fs::write(document, text)?)
}

/// A directory for one server's state.
fn state_directory() -> anyhow::Result<tempfile::TempDir> {
    Ok(tempfile::Builder::new()
        .prefix("anonymous-domains-bench")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir()?)
}

/// Copies the CA and the secrets to another state directory.
fn copy_state(from: &Path, to: &Path) -> anyhow::Result<()> {
    for name in ["ca.pem", "ca-key.pem", "key-encryption-key", "admin-token"] {
        std::fs::copy(from.join(name), to.join(name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_take_the_place_of_their_former_text() {
        let directory = tempfile::tempdir().unwrap();
        let document = directory.path().join("benchmarks.md");
        let place = "<!-- begin small -->\nold\n<!-- end small -->\n";
        std::fs::write(&document, format!("# Benchmarks\n{place}Why\n")).unwrap();
        for text in ["new", "newer\n"] {
            write_into(&document, &[("small", text.to_owned())]).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&document).unwrap(),
            "# Benchmarks\n<!-- begin small -->\n\nnewer\n\n<!-- end small -->\nWhy\n"
        );
        assert!(write_into(&document, &[("flat", String::new())]).is_err());
    }

    #[test]
    fn numbers_have_the_digits_that_mean_something() {
        let shown = [f64::NAN, 0.951, 12.34, 123.4, 12345.6].map(number);
        assert_eq!(shown, ["-", "0.95", "12.3", "123", "12,346"]);
    }
}
