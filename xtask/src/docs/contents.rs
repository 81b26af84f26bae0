//! The table of contents, which docs/README.md is: sections, and pages in each.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::markdown;

/// A section of the table of contents.
#[derive(Debug, PartialEq)]
pub struct Section {
    pub title: String,
    /// Files, from the repository's root.
    pub files: Vec<PathBuf>,
}

/// The sections of docs/README.md: a line in bold each, and a list of links below it.
///
/// # Errors
/// When a link is before the first section, or leads out of the repository.
pub fn sections(text: &str) -> Result<Vec<Section>> {
    let mut sections: Vec<Section> = Vec::new();
    for line in text.lines() {
        let bold = line.strip_prefix("**");
        if let Some(title) = bold.and_then(|line| line.strip_suffix("**")) {
            sections.push(Section {
                title: title.to_owned(),
                files: Vec::new(),
            });
        } else if line.starts_with("- ") {
            let link = markdown::links(line).into_iter().next();
            let link = link.with_context(|| format!("no link in {line}"))?;
            let section = sections.last_mut();
            let section = section.with_context(|| format!("in no section: {line}"))?;
            let target = &line[link.target];
            section.files.push(resolve(Path::new("docs"), target)?);
        }
    }
    Ok(sections)
}

/// The path that a link in a directory leads to, from the repository's root.
///
/// # Errors
/// When it leads out of the repository.
pub fn resolve(directory: &Path, target: &str) -> Result<PathBuf> {
    let mut path = PathBuf::new();
    for component in directory.join(target).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir if path.pop() => {}
            _ => bail!("{target} leads out of the repository"),
        }
    }
    Ok(path)
}

/// The link in a directory to a path, both from the same root.
pub fn relative(directory: &Path, path: &Path) -> String {
    let (from, to) = (directory.components(), path.components());
    let (from, to): (Vec<_>, Vec<_>) = (from.collect(), to.collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from[shared..].iter().map(|_| "..".to_owned());
    let down = to[shared..].iter();
    let down = down.map(|name| name.as_os_str().to_string_lossy().into_owned());
    up.chain(down).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_read() {
        let text =
            "# Title\n\n**One**\n\n- [a](a.md): a\n- [b](../x/b.md)\n\n**Two**\n\n- [c](c/)\n";
        let section = |title: &str, files: &[&str]| Section {
            title: title.to_owned(),
            files: files.iter().map(PathBuf::from).collect(),
        };
        let expected = [
            section("One", &["docs/a.md", "x/b.md"]),
            section("Two", &["docs/c"]),
        ];
        assert_eq!(sections(text).unwrap(), expected);
        assert!(sections("- [a](a.md)").is_err());
        assert!(sections("**One**\n- [a](../../a.md)").is_err());
    }

    #[test]
    fn relative_paths_lead_back() {
        for (from, to, link) in [
            ("", "a.md", "a.md"),
            ("docs", "docs/a.md", "a.md"),
            ("docs/x", "docs/y/a.md", "../y/a.md"),
            ("docs/x", "a.md", "../../a.md"),
        ] {
            assert_eq!(relative(Path::new(from), Path::new(to)), link);
            assert_eq!(resolve(Path::new(from), link).unwrap(), Path::new(to));
        }
    }
}
