//! The book's source, which needs no mdBook.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    book, contents,
    markdown::{anchors, links},
};

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap()
}

/// The Markdown files of the book.
fn pages(files: &BTreeMap<PathBuf, Vec<u8>>) -> impl Iterator<Item = (&PathBuf, &str)> {
    let pages = files
        .iter()
        .filter(|(path, _)| path.extension() == Some("md".as_ref()));
    pages.map(|(path, bytes)| (path, std::str::from_utf8(bytes).unwrap()))
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let text = std::fs::read_to_string(root().join(book::CONTENTS)).unwrap();
    let sections = contents::sections(&text).unwrap();
    let listed: Vec<PathBuf> = sections.into_iter().flat_map(|one| one.files).collect();
    let mut directories = vec![PathBuf::from("docs")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(root().join(&directory)).unwrap() {
            let path = directory.join(entry.unwrap().file_name());
            if root().join(&path).is_dir() {
                directories.push(path);
            } else if path.extension() == Some("md".as_ref()) && path != Path::new(book::CONTENTS) {
                assert!(listed.contains(&path), "{} is not listed", path.display());
            }
        }
    }
    let unique: std::collections::BTreeSet<_> = listed.iter().collect();
    assert_eq!(unique.len(), listed.len(), "a page is listed twice");
}

#[test]
fn links_of_the_book_lead_somewhere_in_it() {
    for repository in [None, Some("https://host.example/project")] {
        let files = book::files(&root(), repository).unwrap();
        for (path, text) in pages(&files) {
            for link in links(text) {
                let link = &text[link.target];
                if link.contains("://") {
                    continue;
                }
                let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
                let directory = path.parent().unwrap();
                let target = match file {
                    "" => path.clone(),
                    file => contents::resolve(directory, file).unwrap(),
                };
                let found = files.get(&target);
                let found = found.unwrap_or_else(|| panic!("{}: {link}", path.display()));
                let has_anchor = || {
                    let text = std::str::from_utf8(found).unwrap();
                    anchors(text).iter().any(|one| one == anchor)
                };
                assert!(
                    anchor.is_empty() || has_anchor(),
                    "{}: {link}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn what_is_no_page_is_in_the_repository_or_a_copy_or_only_named() {
    let text = |repository| {
        let files = book::files(&root(), repository).unwrap();
        let text = files[Path::new("docs/operate/deploying.md")].clone();
        (files, String::from_utf8(text).unwrap())
    };
    let (files, there) = text(Some("https://host.example/project"));
    let url = "https://host.example/project/blob/HEAD/deploy/caddy/Caddyfile";
    assert!(there.contains(&format!("({url})")), "{there}");
    assert!(!files.contains_key(Path::new("deploy/caddy/Caddyfile.txt")));
    let (files, here) = text(None);
    assert!(
        here.contains("(../../deploy/caddy/Caddyfile.txt)"),
        "{here}"
    );
    assert!(files.contains_key(Path::new("deploy/caddy/Caddyfile.txt")));
    assert!(files.contains_key(Path::new("docs/images/console-domain.png")));
}

#[test]
fn a_link_that_is_called_as_a_file_shows_its_pages_title() {
    let files = book::files(&root(), None).unwrap();
    let page = std::str::from_utf8(&files[Path::new("docs/operate/running.md")]).unwrap();
    assert!(page.contains("[Wire protocol, version 1](../reference/protocol.md#"));
    assert!(!page.contains("[protocol.md]"));
}

#[test]
fn the_summary_has_titles_in_sections() {
    let files = book::files(&root(), None).unwrap();
    let summary = std::str::from_utf8(&files[Path::new("SUMMARY.md")]).unwrap();
    let start = "# Summary\n\n[Anonymous Domains](index.md)\n[Documentation](docs/index.md)\n\n\
        # Start\n\n- [";
    assert!(summary.starts_with(start), "{summary}");
    let api = "- [API](api/index.md)\n  - [Device](api/device.md)\n";
    assert!(summary.contains(api), "{summary}");
    assert!(!summary.contains("README"), "{summary}");
}
