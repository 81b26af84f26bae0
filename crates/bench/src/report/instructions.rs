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
    std::fs::write(&plan.counts, counts.to_text())?;
    Ok(())
}
