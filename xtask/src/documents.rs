//! The documentation's links lead somewhere, and it stays short.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::docs::markdown::{anchors, links};

const MOST_WORDS: usize = 28_750;

/// The Markdown files of the project's documentation, by path.
fn documents() -> BTreeMap<PathBuf, String> {
    fn add(documents: &mut BTreeMap<PathBuf, String>, directory: &Path, is_deep: bool) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && is_deep {
                add(documents, &path, true);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(&path).unwrap();
                documents.insert(path, text);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let root = root.canonicalize().unwrap();
    let mut documents = BTreeMap::new();
    add(&mut documents, &root, false);
    add(&mut documents, &root.join("docs"), true);
    documents
}

#[test]
fn links_lead_somewhere() {
    let documents = documents();
    for (path, text) in &documents {
        for link in links(text) {
            let link = &text[link.target];
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            let target = target.canonicalize().ok();
            let target = target.unwrap_or_else(|| panic!("{}: {link}", path.display()));
            let is_there = anchor.is_empty()
                || documents
                    .get(&target)
                    .is_some_and(|text| anchors(text).iter().any(|it| it == anchor));
            assert!(is_there, "{}: {link}", path.display());
        }
    }
}

#[test]
fn the_documentation_is_short() {
    let documents = documents();
    let lines = documents.iter().flat_map(|(path, text)| {
        // The bench and the siege write their figures themselves, a table's row each.
        let has_figures = ["docs/benchmarks.md", "docs/security.md"]
            .iter()
            .any(|document| path.ends_with(document));
        text.lines()
            .filter(move |line| !(has_figures && line.contains(" | ")))
    });
    let words = lines.flat_map(str::split_whitespace).count();
    assert!(
        words <= MOST_WORDS,
        "{words} words, and {MOST_WORDS} are the most"
    );
}
