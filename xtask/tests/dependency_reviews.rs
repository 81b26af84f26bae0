//! What the component links has been read: docs/internals/dependencies.md names every crate of it, in
//! the version that was read.

use std::{collections::BTreeSet, path::Path, process::Command};

/// Where the names and versions are.
const PAGE: &str = "docs/internals/dependencies.md";

/// The features of each build, as `cargo tree` takes them.
const BUILDS: [&[&str]; 2] = [&[], &["--no-default-features", "--features", "wasi-p2"]];

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask/ is in it")
}

/// The crates that the component links, but for our own: each as its name and its version.
fn linked() -> BTreeSet<String> {
    let mut linked = BTreeSet::new();
    for features in BUILDS {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--package", "anonymous-domains"])
            .args(["--target", "wasm32-wasip2", "--prefix", "none"])
            .args(["--edges", "normal,no-proc-macro"])
            .args(["--format", "{p}", "--no-dedupe"])
            .args(features)
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "cargo tree failed");
        let output = String::from_utf8(output.stdout).unwrap();
        // Behind our own there is where they are.
        let foreign = output.lines().filter(|line| !line.contains(" ("));
        linked.extend(foreign.map(|line| line.replacen(" v", " ", 1)));
    }
    linked
}

/// The heading of the crates that are only listed: a name and a version each, with commas between.
const LISTED: &str = "## Touch no keys\n";

/// The crates that a page names: in rows of a table, which begin with a name and a version, and those
/// that are only listed.
fn named(page: &str) -> BTreeSet<String> {
    let (before, listed) = page.split_once(LISTED).expect(LISTED);
    let rows = before.lines().filter_map(|line| {
        let mut cells = line.split(" | ");
        let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
        Some(format!("{name} {}", cells.next()?))
    });
    let listed = listed.trim().trim_end_matches('.').split(',');
    let listed = listed.map(|item| {
        let mut words = item.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(name), Some(version), None) => format!("{} {version}", name.trim_matches('`')),
            _ => panic!("{PAGE} lists `{item}`, which is no name and version"),
        }
    });
    rows.chain(listed).collect()
}

#[test]
fn names_and_versions_are_found() {
    let page = "`crate` 1.0.0 is no row.\n\ncrate | version | here\n---|---|---\n\
                `a` | 1.0.0-rc.1 | does `b` 2\n\n## Touch no keys\n\n\
                `b-c` 0.7.1+wasi-0.3.0, `d` 2.0.0,\n`e` 3.0.0.\n";
    let expected = ["a 1.0.0-rc.1", "b-c 0.7.1+wasi-0.3.0", "d 2.0.0", "e 3.0.0"];
    assert_eq!(named(page), expected.map(str::to_owned).into());
}

#[test]
fn what_the_component_links_has_been_read() {
    let page = std::fs::read_to_string(root().join(PAGE)).unwrap();
    let (named, linked) = (named(&page), linked());
    let unread: Vec<_> = linked.difference(&named).collect();
    assert!(
        unread.is_empty(),
        "the component links what {PAGE} does not name: {unread:?}. Read the crate, or what differs \
         from the version that is named, as the page says; then name it there"
    );
    let gone: Vec<_> = named.difference(&linked).collect();
    assert!(
        gone.is_empty(),
        "the component does not link what {PAGE} names: {gone:?}. Take it out"
    );
    assert!(linked.len() > 30, "{} crates", linked.len());
}
