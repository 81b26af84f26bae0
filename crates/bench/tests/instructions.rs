//! The main flows take no more instructions than they did.
//!
//! `cargo xtask test` names the component by `ANONYMOUS_DOMAINS_COMPONENT`. Where it is not set, this
//! test says so and passes.

use std::path::Path;

use anonymous_domains_bench::instructions::Counts;

#[test]
fn the_main_flows_take_as_many_instructions_as_were_noted() {
    let Some(component) = std::env::var_os("ANONYMOUS_DOMAINS_COMPONENT") else {
        eprintln!("not run: ANONYMOUS_DOMAINS_COMPONENT is not set; `cargo xtask test` sets it");
        return;
    };
    let components = Path::new(&component)
        .parent()
        .expect("it is in a directory");
    let counts = Counts::count(components).expect("every flow succeeds");
    let noted = Counts::from_text(include_str!("../instructions.tsv")).expect("it can be read");
    let differences = counts.differences(&noted);
    assert!(
        differences.is_empty(),
        "{}\nWhere that is meant to be: cargo xtask bench --only instructions",
        differences.join("\n")
    );
}
