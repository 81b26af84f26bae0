//! What the component's console has of others: files of npm packages, which cargo does not know.

use std::path::Path;

use anyhow::{Context, Result};

/// Where they are, with their licences.
const DIRECTORY: &str = "src/http/console/files/vendor";

/// An npm package that a file is of.
pub struct Package {
    pub name: &'static str,
    pub version: &'static str,
    /// An SPDX expression.
    pub license: &'static str,
}

/// Those packages.
pub const PACKAGES: [Package; 2] = [
    Package {
        name: "preact",
        version: "11.2.0",
        license: "MIT",
    },
    Package {
        name: "htm",
        version: "3.1.1",
        license: "Apache-2.0",
    },
];

impl Package {
    /// Its package URL, which names it everywhere.
    pub fn purl(&self) -> String {
        format!("pkg:npm/{}@{}", self.name, self.version)
    }

    /// How lists of licences call it.
    pub fn title(&self) -> String {
        format!("{} {} of npm ({})", self.name, self.version, self.license)
    }

    /// The text of its licence.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn licence_text(&self, root: &Path) -> Result<String> {
        let path = root.join(DIRECTORY).join(format!("{}.LICENSE", self.name));
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(text.trim_end().trim_start_matches('\n').to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_those_of_the_table() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let table = std::fs::read_to_string(root.join(DIRECTORY).join("README.md")).unwrap();
        for package in PACKAGES {
            let Package {
                name,
                version,
                license,
            } = package;
            let line = table
                .lines()
                .find(|line| line.starts_with(&format!("| `{name}.js`")))
                .unwrap();
            assert!(line.contains(&format!("{name} {version},")), "{line}");
            assert!(line.contains(&format!("| {license}, ")), "{line}");
            assert!(package.licence_text(&root).unwrap().len() > 500);
        }
    }
}
