//! The files among themselves. How they are served is `tests/native`'s, what they do in a browser
//! `tests/browser`'s.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::{FILES, File, entity_tag, file};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/console/files")
}

fn text(file: &File) -> &str {
    std::str::from_utf8(file.content).unwrap()
}

/// What is between each `before` and the next `"`.
fn quoted<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before)
        .skip(1)
        .map(|rest| rest.split_once('"').unwrap().0)
}

#[test]
fn every_file_of_the_directory_is_served() {
    let mut present = BTreeSet::new();
    for part in ["", "vendor/"] {
        for entry in fs::read_dir(directory().join(part)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                present.insert(format!("{part}{}", entry.file_name().to_str().unwrap()));
            }
        }
    }
    for text_for_developers in ["README.md", "htm.LICENSE", "preact.LICENSE"] {
        assert!(present.remove(&format!("vendor/{text_for_developers}")));
    }
    assert!(present.remove("index.html"));
    present.insert(String::new());
    let served: BTreeSet<_> = FILES.iter().map(|file| file.path.to_owned()).collect();
    assert_eq!(served, present);
    let tags: BTreeSet<_> = FILES.iter().map(|file| entity_tag(file.content)).collect();
    assert_eq!(tags.len(), FILES.len());
}

#[test]
fn every_type_is_that_of_the_name() {
    for file in FILES {
        let ending = file.path.rsplit('.').next().unwrap();
        let expected = match ending {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(file.media_type, expected, "{file:?}");
    }
}

#[test]
fn what_the_files_load_is_there() {
    let mut loaded = BTreeSet::from([String::new()]);
    let page = text(file("").unwrap());
    for name in quoted(page, "href=\"").chain(quoted(page, "src=\"")) {
        loaded.insert(name.to_owned());
    }
    for file in FILES {
        for name in quoted(text(file), "from \"./") {
            assert!(super::file(name).is_some(), "{file:?} imports {name}");
            loaded.insert(name.to_owned());
        }
    }
    let served: BTreeSet<_> = FILES.iter().map(|file| file.path.to_owned()).collect();
    assert_eq!(loaded, served);
}

#[test]
fn nothing_is_inline_or_elsewhere_and_nothing_is_stored() {
    let page = text(file("").unwrap());
    assert!(!page.contains("<style") && !page.contains(" style="));
    assert_eq!(page.matches("<script").count(), 1);
    for file in FILES
        .iter()
        .filter(|file| !file.path.starts_with("vendor/"))
    {
        let text = text(file).replace("http://www.w3.org/2000/svg", "");
        for never in [
            "http://",
            "https://",
            "innerHTML",
            "dangerouslySetInnerHTML",
            "eval(",
            "localStorage",
            "sessionStorage",
            "indexedDB",
            "document.cookie",
        ] {
            assert!(!text.contains(never), "{file:?} has {never}");
        }
    }
}

#[test]
fn what_others_made_is_as_the_table_says() {
    use sha2::{Digest as _, Sha256};
    use std::fmt::Write as _;

    let table = fs::read_to_string(directory().join("vendor/README.md")).unwrap();
    let vendored: Vec<_> = FILES
        .iter()
        .filter_map(|file| Some((file, file.path.strip_prefix("vendor/")?)))
        .collect();
    assert_eq!(vendored.len(), 2);
    for (file, name) in vendored {
        let mut digest = String::new();
        for byte in Sha256::digest(file.content) {
            write!(digest, "{byte:02x}").unwrap();
        }
        let line = table
            .lines()
            .find(|line| line.contains(&format!("`{name}`")))
            .unwrap();
        assert!(line.contains(&digest), "{name} is {digest}");
    }
}
