//! How many instructions the main flows take, whatever the machine.

use anonymous_domains_bench::instructions::{Counts, TOLERANCE};

use super::{Plan, Report, number};

pub fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    report.section(
        "Instructions",
        &format!(
            "WebAssembly instructions of the main flows, in thousands, with P-256 domain keys, without the \
             host's. They do not depend on the machine, so the tests compare later ones with these \
             (`crates/bench/instructions.tsv`), within {} %. With WASI 0.2 every request is an \
             instance's first.",
            100.0 * TOLERANCE
        ),
    );
    let counts = Counts::count(&plan.programs.components)?;
    report.table(&["flow", "portable build", "wide build", "WASI 0.2 build"]);
    for (flow, counts) in counts.each() {
        let thousands = counts.map(|count| number(count as f64 / 1000.0));
        report.row(&[&[flow.to_owned()][..], &thousands].concat());
    }
    let thousands = |flow: &str, build: usize| {
        let mut all = counts.each();
        let found = all.find(|(name, _)| *name == flow);
        found.map_or(f64::NAN, |(_, counts)| counts[build] as f64 / 1000.0)
    };
    for (nth, build) in ["portable", "wide"].into_iter().enumerate() {
        for (key, goals) in [
            ("EC-P256", [10_000.0, 5_500.0]),
            ("RSA-2048", [14_000.0, 5_000.0]),
        ] {
            let again = format!("join again, {key} machine");
            let once = thousands(&again, nth);
            report.at_most(format!("{again}, {build} build"), goals[nth], once);
            let first = thousands(&format!("{again}, an instance's first request"), nth);
            let what = format!("{key}, {build} build: an instance's first request by a later one");
            report.at_most(what, 1.3, first / once);
        }
    }
    std::fs::write(&plan.counts, counts.to_text())?;
    Ok(())
}
