//! The licences of everything that is shipped, in one text.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, bail};

use super::{console, dependencies::Dependency};

/// How files with licences and notices begin, in capitals.
const NAMES: [&str; 6] = [
    "LICENSE",
    "LICENCE",
    "COPYING",
    "COPYRIGHT",
    "NOTICE",
    "UNLICENSE",
];

/// `own`, the project's, and every text of others once, after the packages that it is of.
///
/// A package without a text gets that of another one under the same licence. `root` is the project's.
///
/// # Errors
/// If there is no such one, or a file cannot be read.
pub fn texts(own: &str, dependencies: &[Dependency], root: &Path) -> Result<String> {
    let mut packages_of: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut example_of: BTreeMap<&str, String> = BTreeMap::new();
    let mut without = Vec::new();
    for dependency in dependencies.iter().filter(|it| !it.is_ours()) {
        let own = own_texts(dependency)
            .with_context(|| format!("cannot read the licences of {}", dependency.name))?;
        if own.is_empty() {
            without.push(dependency);
        }
        if let [only] = &own[..] {
            example_of
                .entry(&dependency.license)
                .or_insert_with(|| only.clone());
        }
        for text in own {
            packages_of.entry(text).or_default().push(title(dependency));
        }
    }
    for dependency in without {
        let Some(text) = example_of.get(dependency.license.as_str()) else {
            bail!(
                "{} has no text of its licence, {}, and neither has another package under it",
                dependency.name,
                dependency.license
            );
        };
        let packages = packages_of.entry(text.clone()).or_default();
        packages.push(title(dependency));
    }
    for package in console::PACKAGES {
        let text = package.licence_text(root)?;
        packages_of.entry(text).or_default().push(package.title());
    }
    let mut sections: Vec<_> = packages_of
        .into_iter()
        .map(|(text, mut packages)| {
            packages.sort_unstable();
            (packages, text)
        })
        .collect();
    sections.sort_unstable();
    let line = "=".repeat(80);
    let mut all = format!(
        "Anonymous Domains is under this licence:\n\n{own}\n{line}\n\n\
         Its programs and components contain the packages below, under these licences, Rust's\n\
         library (MIT OR Apache-2.0), and SQLite, which is in the public domain.\n",
    );
    for (packages, text) in sections {
        all += &format!("\n{line}\n{}\n{line}\n\n{text}\n", packages.join("\n"));
    }
    Ok(all)
}

fn title(dependency: &Dependency) -> String {
    let Dependency {
        name,
        version,
        license,
        ..
    } = dependency;
    format!("{name} {version} ({license})")
}

/// The texts in a package's directory, in the order of their files' names.
fn own_texts(dependency: &Dependency) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&dependency.directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_uppercase();
        if path.is_file() && NAMES.iter().any(|start| name.starts_with(start)) {
            files.push(path);
        }
    }
    files.sort_unstable();
    files
        .into_iter()
        .map(|file| {
            let text = String::from_utf8_lossy(&std::fs::read(file)?).replace('\r', "");
            Ok(text.trim_end().trim_start_matches('\n').to_owned())
        })
        .collect()
}
