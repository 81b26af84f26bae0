//! README.md has the table of `src/finding.rs`.

use std::fmt::Write as _;

use store_check::finding::{Check, ERROR, Finding};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

/// Set to anything, it has the test write the table instead of comparing it.
const REWRITE: &str = "UPDATE_STORE_CHECK_TABLE";

const BEGIN: &str = "<!-- begin findings -->\n";
const END: &str = "<!-- end findings -->\n";

fn table() -> String {
    let mut text = String::from("\ncheck | finding | effect | why\n---|---|---|---\n");
    for check in Check::ALL {
        writeln!(
            text,
            "**`{}`** | | | **{}**",
            check.name(),
            check.question()
        )
        .unwrap();
        for finding in Finding::ALL.iter().filter(|it| it.check() == *check) {
            let (name, effect) = (finding.name(), finding.effect().as_str());
            writeln!(text, "| | `{name}` | {effect} | {}", finding.reason()).unwrap();
        }
    }
    writeln!(text, "any | `error` | unsafe | {ERROR}\n").unwrap();
    text
}

#[test]
fn the_readme_has_the_table() {
    let readme = std::fs::read_to_string(PATH).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let expected = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(PATH, expected).unwrap();
        return;
    }
    assert!(
        readme == expected,
        "the table in crates/store-check/README.md is not that of src/finding.rs: run this test with \
         {REWRITE}=1 to write it"
    );
}
