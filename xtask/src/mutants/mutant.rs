//! One mutant: its patch, and the header that says what must be noticed.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use diffy::patch_set::{FileOperation, ParseOptions, PatchSet};
use sha2::{Digest, Sha256};

/// A patch that breaks a guarantee.
#[derive(Debug)]
pub struct Mutant {
    /// The file's name without `.patch`.
    pub name: String,
    /// The guarantee that it breaks.
    pub guarantee: u8,
    /// A schedule in which it does: seed and store.
    replay: Option<(u64, String)>,
    /// A case to explore in full, instead of random schedules.
    explore: Option<String>,
    text: String,
}

/// A file before and after, by its path from the repository's root.
#[derive(Debug)]
pub struct Change {
    pub path: String,
    pub before: String,
    pub after: String,
}

impl Mutant {
    /// # Errors
    /// When the file cannot be read, or its header is not as it should be.
    pub fn read(path: &Path) -> Result<Self> {
        let read = || {
            let name = path
                .file_stem()
                .context("it has no name")?
                .to_string_lossy();
            Self::parse(&name, std::fs::read_to_string(path)?)
        };
        read().with_context(|| format!("in {}", path.display()))
    }

    /// Takes a patch with its header: text, an empty line, `Guarantee: N`, and where there is one
    /// `Replay: SEED STORE` or `Explore: CASE`.
    fn parse(name: &str, text: String) -> Result<Self> {
        let header = header(&text)?;
        let (what, fields) = header
            .trim_end()
            .rsplit_once("\n\n")
            .context("the header is no text, an empty line and `Guarantee: N`")?;
        if what.trim().is_empty() {
            bail!("the header does not say what the mutant does");
        }
        let (mut guarantee, mut replay, mut explore) = (None, None, None);
        for line in fields.lines() {
            let (field, value) = line
                .split_once(": ")
                .with_context(|| format!("{line:?} in the header is no `FIELD: VALUE`"))?;
            match field {
                "Guarantee" => guarantee = Some(value.parse().context("Guarantee is no number")?),
                "Replay" => {
                    let (seed, store) = value
                        .split_once(' ')
                        .context("Replay takes a seed and a store")?;
                    let seed = seed.parse().context("Replay's seed is no number")?;
                    replay = Some((seed, store.to_owned()));
                }
                "Explore" => explore = Some(value.to_owned()),
                other => bail!("the header has an unknown field {other:?}"),
            }
        }
        Ok(Self {
            name: name.to_owned(),
            guarantee: guarantee.context("the header has no `Guarantee: N`")?,
            replay,
            explore,
            text,
        })
    }

    /// The arguments of each run of the simulation that must notice it.
    pub fn runs(&self) -> Vec<Vec<String>> {
        let guarantee = self.guarantee.to_string();
        let line = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let mut runs = vec![match &self.explore {
            Some(case) => line(&["--exhaustive", case, "--behaviour", "contract"]),
            None => line(&[
                "--schedules",
                "30000",
                "--seed",
                "1",
                "--guarantee",
                &guarantee,
            ]),
        }];
        if let Some((seed, store)) = &self.replay {
            runs.push(line(&["--replay", &seed.to_string(), "--behaviour", store]));
        }
        runs
    }

    /// What the patch makes of files that `read` gives by their paths; sorted by path.
    ///
    /// # Errors
    /// When it does not apply, or does something else than to change a file.
    pub fn apply(&self, read: impl Fn(&str) -> Result<String>) -> Result<Vec<Change>> {
        let diffs = &self.text[header(&self.text)?.len()..];
        let mut changes: Vec<Change> = Vec::new();
        for part in PatchSet::parse(diffs, ParseOptions::unidiff()) {
            let part = part.map_err(|error| anyhow!("the patch cannot be read: {error}"))?;
            let FileOperation::Modify { original, modified } = part.operation().strip_prefix(1)
            else {
                bail!("the patch does something else than to change a file");
            };
            if original != modified || changes.iter().any(|change| change.path == original) {
                bail!("the patch names {original} and {modified}, or one of them twice");
            }
            let diff = part
                .patch()
                .as_text()
                .context("the patch has a part that is no text")?;
            let before = read(&original).with_context(|| format!("cannot read {original}"))?;
            let after = diffy::apply(&before, diff)
                .map_err(|error| anyhow!("it does not apply to {original}: {error}"))?;
            changes.push(Change {
                path: original.into_owned(),
                before,
                after,
            });
        }
        if changes.is_empty() {
            bail!("the patch is empty");
        }
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(changes)
    }

    /// A SHA-256 of the patch and of the files that it changes, as they are without it.
    pub fn digest(&self, changes: &[Change]) -> String {
        let mut sha256 = Sha256::new();
        let before = changes
            .iter()
            .flat_map(|change| [&change.path, &change.before]);
        for text in std::iter::once(&self.text).chain(before) {
            // With its length, so that no two lists of texts look the same.
            sha256.update((text.len() as u64).to_be_bytes());
            sha256.update(text);
        }
        sha256
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// What is before the first file's diff.
fn header(text: &str) -> Result<&str> {
    let end = text
        .find("\n--- a/")
        .context("the patch has no line `--- a/PATH`")?;
    Ok(&text[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFFS: &str = "\
--- a/src/one.rs
+++ b/src/one.rs
@@ -1,3 +1,3 @@
 fn one() {
-    right();
+    wrong();
 }
--- a/src/another.rs
+++ b/src/another.rs
@@ -1 +1 @@
-another
+changed
";

    fn mutant(header: &str) -> Result<Mutant> {
        Mutant::parse("a", format!("{header}{DIFFS}"))
    }

    fn files(path: &str) -> Result<String> {
        match path {
            // Some lines further down than the patch says.
            "src/one.rs" => Ok("// new\n// lines\nfn one() {\n    right();\n}\n".to_owned()),
            "src/another.rs" => Ok("another\n".to_owned()),
            _ => bail!("not there"),
        }
    }

    fn refusal<T: std::fmt::Debug>(result: Result<T>) -> String {
        format!("{:#}", result.unwrap_err())
    }

    #[test]
    fn a_header_says_what_to_run() {
        let plain = mutant("It does wrong,\nmostly.\n\nGuarantee: 3\n\n").unwrap();
        assert_eq!(plain.guarantee, 3);
        assert_eq!(
            plain.runs(),
            [["--schedules", "30000", "--seed", "1", "--guarantee", "3"]]
        );
        let replayed =
            mutant("Wrong.\n\nGuarantee: 4\nReplay: 13020974215539023955 spin-redis\n\n").unwrap();
        assert_eq!(
            replayed.runs()[1],
            [
                "--replay",
                "13020974215539023955",
                "--behaviour",
                "spin-redis"
            ]
        );
        let explored =
            mutant("Wrong.\n\nGuarantee: 1\nExplore: count: finished by two\n\n").unwrap();
        assert_eq!(
            explored.runs(),
            [[
                "--exhaustive",
                "count: finished by two",
                "--behaviour",
                "contract"
            ]]
        );
    }

    #[test]
    fn a_header_that_is_not_understood_is_refused() {
        let said = |header| refusal(mutant(header));
        assert!(said("Wrong.\n\n").contains("Guarantee"));
        assert!(said("Wrong.\n\nReplay: 1 contract\n\n").contains("no `Guarantee: N`"));
        assert!(said("Wrong.\n\nGuarantee: three\n\n").contains("no number"));
        assert!(said("Wrong.\n\nGuarantee: 3\nReplay: 5\n\n").contains("a store"));
        assert!(said("Wrong.\n\nGuarantee: 3\nSeed: 5\n\n").contains("unknown field"));
        assert!(said("\n\n\nGuarantee: 3\n\n").contains("what the mutant does"));
        let no_diff = Mutant::parse("a", "Wrong.\n\nGuarantee: 3\n".to_owned());
        assert!(refusal(no_diff).contains("--- a/PATH"));
    }

    #[test]
    fn every_file_is_changed_wherever_its_lines_are() {
        let changes = mutant("Wrong.\n\nGuarantee: 3\n\n")
            .unwrap()
            .apply(files)
            .unwrap();
        let after: Vec<_> = changes
            .iter()
            .map(|change| (change.path.as_str(), change.after.as_str()))
            .collect();
        assert_eq!(
            after,
            [
                ("src/another.rs", "changed\n"),
                (
                    "src/one.rs",
                    "// new\n// lines\nfn one() {\n    wrong();\n}\n"
                ),
            ]
        );
    }

    #[test]
    fn a_patch_that_does_not_fit_says_where() {
        let mutant = mutant("Wrong.\n\nGuarantee: 3\n\n").unwrap();
        let changed = |path: &str| Ok(files(path)?.replace("right", "other"));
        assert!(refusal(mutant.apply(changed)).contains("src/one.rs"));
        let gone = |path: &str| match path {
            "src/another.rs" => bail!("not there"),
            other => files(other),
        };
        assert!(refusal(mutant.apply(gone)).contains("src/another.rs"));
    }

    #[test]
    fn the_digest_covers_the_patch_and_the_files() {
        let digest = |mutant: &Mutant, read: &dyn Fn(&str) -> Result<String>| {
            mutant.digest(&mutant.apply(read).unwrap())
        };
        let three = mutant("Wrong.\n\nGuarantee: 3\n\n").unwrap();
        let four = mutant("Wrong.\n\nGuarantee: 4\n\n").unwrap();
        assert_eq!(digest(&three, &files), digest(&three, &files));
        assert_eq!(digest(&three, &files).len(), 64);
        assert_ne!(digest(&three, &files), digest(&four, &files));
        let longer = |path: &str| Ok(files(path)? + "// a line\n");
        assert_ne!(digest(&three, &files), digest(&three, &longer));
    }
}
