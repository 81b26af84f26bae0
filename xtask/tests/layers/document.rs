//! The two tables of ARCHITECTURE.md's section "Layers".

use std::collections::{BTreeMap, BTreeSet};

/// The component's modules, from the highest row to the lowest.
pub struct Layers(Vec<Vec<String>>);

/// Where a module is.
pub struct Place<'a> {
    /// 0 is the highest.
    pub row: usize,
    /// The module itself as the table names it, or the one that it is part of.
    pub entry: &'a str,
}

impl Layers {
    /// Takes the table whose first column is `Layer` and whose second is `Modules`.
    pub fn read(architecture: &str) -> Self {
        let rows = table(architecture, "layer").into_iter();
        Self(rows.map(|row| names(&row, 1)).collect())
    }

    /// All that the table names.
    pub fn entries(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().map(String::as_str)
    }

    /// Whether the table names it, or any part of it.
    pub fn mentions(&self, module: &str) -> bool {
        self.entries().any(|entry| is_part(entry, module))
    }

    /// The place of `a/b/c`: its own, else that of `a/b`, else that of `a`.
    pub fn place(&self, module: &str) -> Option<Place<'_>> {
        let places = self
            .0
            .iter()
            .enumerate()
            .flat_map(|(row, entries)| entries.iter().map(move |entry| Place { row, entry }));
        places
            .filter(|place| is_part(module, place.entry))
            .max_by_key(|place| place.entry.len())
    }
}

/// Whether a module is another one, or within it.
fn is_part(module: &str, of: &str) -> bool {
    let rest = module.strip_prefix(of);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Which crates a crate may depend on, by their folders; the component's is `src`.
pub struct CrateOrder(BTreeMap<String, BTreeSet<String>>, Vec<(String, String)>);

impl CrateOrder {
    /// Takes the table whose first column is `Crate` and whose second is `May use`.
    pub fn read(architecture: &str) -> Self {
        let (mut allowed, mut arrows) = (BTreeMap::new(), Vec::new());
        for row in table(architecture, "crate") {
            let used = names(&row, 1);
            for folder in names(&row, 0) {
                let arrow = |used: &String| (folder.clone(), used.clone());
                arrows.extend(used.iter().map(arrow));
                allowed.insert(folder, used.iter().cloned().collect());
            }
        }
        Self(allowed, arrows)
    }

    pub fn allowed(&self, folder: &str) -> Option<&BTreeSet<String>> {
        self.0.get(folder)
    }

    pub fn arrows(&self) -> &[(String, String)] {
        &self.1
    }
}

/// The rows of the table in the section "Layers" with this heading over its first column.
fn table(architecture: &str, heading: &str) -> Vec<Vec<String>> {
    let section = architecture
        .split("\n## ")
        .chain(architecture.strip_prefix("## "))
        .find_map(|section| {
            section
                .strip_prefix("Layers\n")
                .or_else(|| section.strip_prefix("## Layers\n"))
        })
        .expect("ARCHITECTURE.md has a section `## Layers`");
    let rows: Vec<_> = section
        .lines()
        .map(cells)
        .skip_while(|cells| cells.len() < 2 || !cells[0].eq_ignore_ascii_case(heading))
        .skip(2)
        .take_while(|cells| cells.len() > 1)
        .collect();
    assert!(
        !rows.is_empty(),
        "ARCHITECTURE.md has no table under \"Layers\" that begins with a column {heading:?}"
    );
    rows
}

/// The cells of a table's row, with or without a line at its ends; one cell for other lines.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let line = line.strip_suffix('|').unwrap_or(line);
    line.split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// What a cell has in backticks.
fn names(row: &[String], column: usize) -> Vec<String> {
    let parts = row[column].split('`');
    parts.skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn tables_are_read_with_and_without_lines_at_their_ends() {
    let text = "# A\n\n## Layers\n\nText | with a line.\n\n| Layer | Modules | For |\n|---|---|---|\n\
        | rim | `http` | paths |\n| rows | `tables`, `tables/keys` (new) | |\n\n\
        Crate | May use\n--- | ---\n`src` | `crates/protocol`\n`crates/protocol` | nothing\n\n## B\n";
    let layers = Layers::read(text);
    let entries: Vec<_> = layers.entries().collect();
    assert_eq!(entries, ["http", "tables", "tables/keys"]);
    assert!(layers.mentions("tables") && !layers.mentions("table"));
    let place = |module| layers.place(module).map(|place| (place.row, place.entry));
    assert_eq!(place("tables/keys/one"), Some((1, "tables/keys")));
    assert_eq!(place("tables/other"), Some((1, "tables")));
    assert_eq!(place("https"), None);
    let order = CrateOrder::read(text);
    assert!(order.allowed("src").unwrap().contains("crates/protocol"));
    assert!(order.allowed("crates/protocol").unwrap().is_empty());
    assert!(order.allowed("xtask").is_none());
}
