//! The record of mutants that were caught, by a digest of what was tried.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    path::Path,
};

use anyhow::{Context, Result};

const ABOUT: &str = "\
# Mutants that were caught. Written by `cargo xtask mutants`: name, and SHA-256 of the patch and the
# files that it changes. `cargo xtask test` runs those again whose digest is another now.
";

/// Names and digests.
#[derive(Debug, Default, PartialEq)]
pub struct Record(BTreeMap<String, String>);

impl Record {
    /// An empty one, if there is no such file.
    pub fn read(path: &Path) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
        .with_context(|| format!("cannot read {}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let (name, digest) = line
                    .split_once(' ')
                    .with_context(|| format!("{line:?} is no name and digest"))?;
                Ok((name.to_owned(), digest.to_owned()))
            })
            .collect::<Result<_>>()
            .map(Self)
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        std::fs::write(path, self.text())
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn text(&self) -> String {
        let lines = self
            .0
            .iter()
            .map(|(name, digest)| format!("{name} {digest}\n"));
        std::iter::once(ABOUT.to_owned()).chain(lines).collect()
    }

    pub fn get(&self, name: &str) -> Option<&String> {
        self.0.get(name)
    }

    pub fn set(&mut self, name: &str, digest: &str) {
        self.0.insert(name.to_owned(), digest.to_owned());
    }

    pub fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Forgets all others.
    pub fn keep(&mut self, names: &BTreeSet<&str>) {
        self.0.retain(|name, _| names.contains(name.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_what_it_wrote_sorted_by_name() {
        let mut record = Record::default();
        for (name, digest) in [("save-always", "ff"), ("any-owner", "00"), ("gone", "11")] {
            record.set(name, digest);
        }
        record.keep(&BTreeSet::from(["any-owner", "save-always", "new"]));
        let text = record.text();
        assert!(text.ends_with("\nany-owner 00\nsave-always ff\n"));
        assert_eq!(Record::parse(&text).unwrap(), record);
        assert!(Record::parse("any-owner\n").is_err());
    }
}
