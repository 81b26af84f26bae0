//! A copy of the sources, in which mutants are built.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::mutant::Change;

/// What cargo needs to build any of the workspace's programs.
const SOURCES: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "crates",
    "examples",
    "rust-toolchain.toml",
    "src",
    "tests",
    "wit",
    "xtask",
];

/// The copy.
pub struct Tree {
    root: PathBuf,
    directory: PathBuf,
}

impl Tree {
    /// A copy, in `directory`, of what is in `root`.
    pub fn new(root: &Path, directory: PathBuf) -> Self {
        Self {
            root: root.to_owned(),
            directory,
        }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes the copy what the sources are with these changes.
    ///
    /// Writes only files that differ, so that cargo builds only what they are part of.
    pub fn lay(&self, changes: &[Change]) -> Result<()> {
        let mut wanted = BTreeSet::new();
        let mut present = BTreeSet::new();
        for source in SOURCES {
            list(&self.root, Path::new(source), &mut wanted)?;
            list(&self.directory, Path::new(source), &mut present)?;
        }
        for surplus in present.difference(&wanted) {
            fs::remove_file(self.directory.join(surplus))?;
        }
        for path in &wanted {
            let change = changes
                .iter()
                .find(|change| Path::new(&change.path) == path);
            let content = match change {
                Some(change) => change.after.clone().into_bytes(),
                None => fs::read(self.root.join(path))?,
            };
            let copy = self.directory.join(path);
            if fs::read(&copy).is_ok_and(|present| present == content) {
                continue;
            }
            if let Some(directory) = copy.parent() {
                fs::create_dir_all(directory)?;
            }
            fs::write(&copy, content)
                .with_context(|| format!("cannot write {}", copy.display()))?;
        }
        Ok(())
    }
}

/// Adds the files at or below `path`, without hidden ones and Python's caches.
fn list(root: &Path, path: &Path, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    let full = root.join(path);
    if full.is_file() {
        files.insert(path.to_owned());
    } else if full.is_dir() {
        for entry in fs::read_dir(&full)? {
            let name = entry?.file_name();
            let shown = name.to_string_lossy();
            if !shown.starts_with('.') && shown != "__pycache__" {
                list(root, &path.join(&name), files)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn change(path: &str, after: &str) -> Change {
        Change {
            path: path.to_owned(),
            before: String::new(),
            after: after.to_owned(),
        }
    }

    #[test]
    fn a_copy_has_one_mutant_at_a_time_and_keeps_what_is_the_same() {
        let base = std::env::temp_dir().join(format!("xtask-tree-{}", std::process::id()));
        let root = base.join("root");
        fs::create_dir_all(root.join("src/store")).unwrap();
        fs::create_dir_all(root.join("target")).unwrap();
        for (file, text) in [
            ("Cargo.toml", "[workspace]"),
            ("src/a.rs", "a"),
            ("src/store/b.rs", "b"),
            ("target/c.rs", "c"),
        ] {
            fs::write(root.join(file), text).unwrap();
        }
        let tree = Tree::new(&root, base.join("tree"));
        let read = |file: &str| fs::read_to_string(base.join("tree").join(file)).ok();
        tree.lay(&[change("src/a.rs", "mutant")]).unwrap();
        assert_eq!(read("src/a.rs").as_deref(), Some("mutant"));
        assert_eq!(read("src/store/b.rs").as_deref(), Some("b"));
        assert_eq!(read("target/c.rs"), None);

        let kept = base.join("tree/Cargo.toml");
        let file = fs::File::options().write(true).open(&kept).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        fs::rename(root.join("src/store/b.rs"), root.join("src/b.rs")).unwrap();
        tree.lay(&[change("src/b.rs", "another")]).unwrap();
        assert_eq!(read("src/a.rs").as_deref(), Some("a"));
        assert_eq!(read("src/b.rs").as_deref(), Some("another"));
        assert_eq!(read("src/store/b.rs"), None);
        let modified = kept.metadata().unwrap().modified().unwrap();
        assert_eq!(modified, SystemTime::UNIX_EPOCH);
        fs::remove_dir_all(&base).unwrap();
    }
}
