//! Do the modules import one another as ARCHITECTURE.md says under "Layers"?
//!
//! A module is a file. Its imports are the `use` declarations and paths in its code that lead to
//! another file of the same crate; a name that a module merely passes on (`pub use`) leads to the
//! file that has it. Code for tests does not count.

mod circles;
mod document;
mod resolve;
mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use circles::{among_modules, circles};
use document::{CrateOrder, Layers};
use resolve::Crate;

/// The repository's root.
fn root() -> PathBuf {
    // Not what was compiled in: checkouts may share a target directory.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs this test");
    let root = Path::new(&xtask).parent();
    root.expect("xtask/ has a parent").to_owned()
}

fn architecture() -> String {
    std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md can be read")
}

/// Every library and program of the repository: its main file, from the root.
fn crates() -> Vec<PathBuf> {
    let root = root();
    let mut folders = vec![PathBuf::new(), PathBuf::from("xtask")];
    for parent in ["crates", "examples"].map(Path::new) {
        for entry in std::fs::read_dir(root.join(parent)).expect("there is such a folder") {
            folders.push(parent.join(entry.unwrap().file_name()));
        }
    }
    folders.sort();
    let files = |folder: &PathBuf| ["lib.rs", "main.rs"].map(|file| folder.join("src").join(file));
    let all: Vec<_> = folders.iter().flat_map(files).collect();
    all.into_iter()
        .filter(|file| root.join(file).is_file())
        .collect()
}

fn read(main: &Path) -> Crate {
    let root = root();
    Crate::read(main, &|file| std::fs::read_to_string(root.join(file)).ok())
}

#[test]
fn modules_do_not_import_each_other_in_a_circle() {
    let mut found = Vec::new();
    for main in crates() {
        let the_crate = read(&main);
        let arrows = the_crate.arrows();
        let pairs: Vec<_> = arrows.keys().cloned().collect();
        for circle in among_modules(&pairs, |file| the_crate.module(file).to_owned()) {
            let mut text = format!("A circle of {} modules:", circle.len());
            for ((from, to), paths) in &arrows {
                if circle.contains(from) && circle.contains(to) {
                    text += &format!("\n    {from} uses {} ({to})", listed(paths));
                }
            }
            found.push(text);
        }
    }
    assert!(
        found.is_empty(),
        "{}\nMove what both sides need into a module below both, or what only one needs to it.",
        found.join("\n")
    );
}

#[test]
fn the_components_modules_import_downwards_only() {
    let component = read(Path::new("src/lib.rs"));
    let layers = Layers::read(&architecture());
    let complaints = complaints(&component, &layers);
    assert!(
        complaints.is_empty(),
        "{}\nARCHITECTURE.md has the order, in the first table under \"Layers\": a module may \
         import from its own row and the rows below. Move what is imported further down, or correct \
         the table if it does not say what is meant.",
        complaints.join("\n")
    );
}

/// Some of the paths by which one module uses another, those of `use` declarations first.
fn listed(paths: &BTreeSet<String>) -> String {
    let is_long = |path: &&String| path.contains("::");
    let (long, short): (Vec<_>, Vec<_>) = paths.iter().rev().partition(is_long);
    let shown: Vec<_> = long
        .into_iter()
        .chain(short)
        .take(3)
        .map(String::as_str)
        .collect();
    let dots = if paths.len() > shown.len() {
        ", ..."
    } else {
        ""
    };
    shown.join(", ") + dots
}

/// What a crate has against a table of its layers.
fn complaints(of: &Crate, layers: &Layers) -> Vec<String> {
    let mut complaints = Vec::new();
    for module in of.top_modules() {
        if !layers.mentions(&module) {
            complaints.push(format!("The table of layers has no row with `{module}`."));
        }
    }
    for entry in layers.entries() {
        if !of.has(entry) {
            complaints.push(format!(
                "The table of layers names `{entry}`: no such module."
            ));
        }
    }
    let mut beside: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for ((from, to), paths) in of.arrows() {
        let (Some(upper), Some(lower)) =
            (layers.place(of.module(&from)), layers.place(of.module(&to)))
        else {
            complaints.push(format!(
                "{from} uses {} ({to}), and one of them is in no row of the table of layers.",
                listed(&paths)
            ));
            continue;
        };
        if upper.row > lower.row {
            complaints.push(format!(
                "{from} uses {} ({to}), which is above it.",
                listed(&paths)
            ));
        } else if upper.row == lower.row && upper.entry != lower.entry {
            let arrow = (upper.entry.to_owned(), lower.entry.to_owned());
            let text = format!("{from} uses {}", listed(&paths));
            beside.entry(arrow).or_default().insert(text);
        }
    }
    for circle in circles(beside.keys()) {
        let within = |(from, to): &(String, String)| circle.contains(from) && circle.contains(to);
        let uses: Vec<_> = beside
            .iter()
            .filter(|(arrow, _)| within(arrow))
            .flat_map(|(_, uses)| uses.iter().cloned())
            .collect();
        complaints.push(format!(
            "A circle within a row, of {}:\n    {}",
            circle.into_iter().collect::<Vec<_>>().join(", "),
            uses.join("\n    ")
        ));
    }
    complaints
}

#[test]
fn crates_use_only_those_that_the_table_allows() {
    let order = CrateOrder::read(&architecture());
    let mut complaints = Vec::new();
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo can be run");
    let metadata: serde_json::Value =
        serde_json::from_slice(&metadata.stdout).expect("cargo metadata prints JSON");
    let folder = |path: &str| {
        let folder = Path::new(path)
            .strip_prefix(root())
            .expect("in the repository");
        match folder.to_str().expect("a folder in UTF-8") {
            "" => "src".to_owned(),
            folder => folder.to_owned(),
        }
    };
    for package in metadata["packages"].as_array().expect("packages") {
        let manifest = package["manifest_path"].as_str().expect("a manifest");
        let name = folder(
            manifest
                .trim_end_matches("Cargo.toml")
                .trim_end_matches('/'),
        );
        let Some(allowed) = order.allowed(&name) else {
            complaints.push(format!("The table of crates has no row for `{name}`."));
            continue;
        };
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            // What tests use besides does not count.
            let (Some(path), None) = (dependency["path"].as_str(), dependency["kind"].as_str())
            else {
                continue;
            };
            let used = folder(path);
            if !allowed.contains(&used) {
                complaints.push(format!("`{name}` depends on `{used}`."));
            }
        }
    }
    for circle in circles(order.arrows()) {
        complaints.push(format!("The table of crates allows a circle: {circle:?}."));
    }
    assert!(
        complaints.is_empty(),
        "{}\nARCHITECTURE.md has the order, in the second table under \"Layers\". Remove the \
         dependency, or correct the table if it does not say what is meant.",
        complaints.join("\n")
    );
}

/// A crate of a few files, for tests of these tests.
fn sample(files: &[(&str, &str)]) -> Crate {
    let files: BTreeMap<_, _> = files.iter().copied().collect();
    Crate::read(Path::new("src/lib.rs"), &|file| {
        let file = file.to_str().expect("UTF-8");
        files.get(file).map(|&text| text.to_owned())
    })
}

#[test]
fn an_arrow_upwards_is_found_and_a_module_without_a_row() {
    let layers = Layers::read(
        "## Layers\n\nLayer | Modules | What it is for\n---|---|---\n\
         rules | `rules` | deciding\ntables | `tables`, `rules/old` | rows\n\n## More\n",
    );
    let files = [
        ("src/lib.rs", "mod rules; mod tables;"),
        ("src/rules.rs", "mod old; use crate::tables::Row;"),
        ("src/rules/old.rs", "pub struct Old;"),
        (
            "src/tables.rs",
            "pub struct Row; use crate::rules::old::Old;",
        ),
    ];
    assert_eq!(complaints(&sample(&files), &layers), [""; 0]);

    let mut upwards = files;
    upwards[3].1 = "pub struct Row; fn f() { crate::rules::decide() }";
    let said = complaints(&sample(&upwards), &layers);
    assert_eq!(
        said,
        ["src/tables.rs uses crate::rules::decide (src/rules.rs), which is above it."]
    );

    let mut new = files;
    new[0].1 = "mod rules; mod tables; mod another;";
    let new: Vec<_> = new.into_iter().chain([("src/another.rs", "")]).collect();
    let said = complaints(&sample(&new), &layers);
    assert_eq!(said, ["The table of layers has no row with `another`."]);
}
