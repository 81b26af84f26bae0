//! A crate's modules, and which imports from which.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::source::{Scope, Segments};

/// Arrows from file to file, and the paths in the first that lead to the second.
pub type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

/// The modules of a library or program.
pub struct Crate {
    modules: BTreeMap<Segments, Module>,
}

/// A module, in a file of its own or within one.
struct Module {
    scope: Scope,
    /// Its file, from the repository's root.
    file: String,
}

/// What leads from name to name: longer chains are taken for circles of `use` declarations.
const LONGEST: usize = 20;

impl Crate {
    /// Reads a crate from its main file on. `read` gives a file's text, if there is such a file.
    pub fn read(main: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Self {
        let mut this = Self {
            modules: BTreeMap::new(),
        };
        let folder = main.parent().expect("the main file is in a folder");
        let text = read(main).expect("the main file can be read");
        this.add(Vec::new(), Scope::parse(&text), main, folder, read);
        this
    }

    /// Adds a module; `folder` is where the files of its modules are.
    fn add(
        &mut self,
        path: Segments,
        mut scope: Scope,
        file: &Path,
        folder: &Path,
        read: &dyn Fn(&Path) -> Option<String>,
    ) {
        for (name, inner) in std::mem::take(&mut scope.inline) {
            let path = joined(&path, &name);
            self.add(path, inner, file, &folder.join(name), read);
        }
        for name in &scope.files {
            let within = folder.join(name);
            let places = [within.with_extension("rs"), within.join("mod.rs")];
            let (file, text) = places
                .into_iter()
                .find_map(|place| read(&place).map(|text| (place, text)))
                .unwrap_or_else(|| panic!("{} has no file for `mod {name}`", file.display()));
            let scope = Scope::parse(&text);
            self.add(joined(&path, name), scope, &file, &within, read);
        }
        let file = file.display().to_string();
        self.modules.insert(path, Module { scope, file });
    }

    /// The modules that the main file declares.
    pub fn top_modules(&self) -> Vec<String> {
        let paths = self.modules.keys();
        let top = paths.filter(|path| path.len() == 1);
        top.map(|path| path.join("/")).collect()
    }

    /// Whether there is a module `a/b`.
    pub fn has(&self, module: &str) -> bool {
        let path: Segments = module.split('/').map(str::to_owned).collect();
        self.modules.contains_key(&path)
    }

    /// The module in a file, as the documentation writes it: `a/b`, or nothing for the main file.
    pub fn module<'a>(&self, file: &'a str) -> &'a str {
        let path = file.split_once("src/").map_or(file, |(_, path)| path);
        let path = path.strip_suffix(".rs").unwrap_or(path);
        match path {
            "lib" | "main" => "",
            path => path.strip_suffix("/mod").unwrap_or(path),
        }
    }

    /// Which file imports from which other.
    pub fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (at, module) in &self.modules {
            let imported = module.scope.uses.iter();
            // What is only passed on counts where it is used. A module's name leads on to what is
            // used from it.
            let imported = imported.filter(|import| !import.is_public);
            let imported = imported.map(|import| (&import.path, import.name.is_none()));
            let mentioned = module.scope.mentions.iter().map(|path| (path, false));
            for (path, is_glob) in imported.chain(mentioned) {
                let Some(found) = self.resolve(at, path, 0) else {
                    continue;
                };
                let target = &self.modules[&found.module];
                if target.file != module.file && (is_glob || !found.is_module) {
                    let arrow = (module.file.clone(), target.file.clone());
                    arrows.entry(arrow).or_default().insert(path.join("::"));
                }
            }
        }
        arrows
    }

    /// Where a path leads that is written in the module `at`; `None` out of the crate.
    fn resolve(&self, at: &Segments, path: &[String], depth: usize) -> Option<Found> {
        let scope = &self.modules[at].scope;
        let (first, rest) = path.split_first()?;
        if depth > LONGEST {
            return None;
        }
        match first.as_str() {
            "crate" => self.walk(Vec::new(), rest, depth),
            "self" => self.walk(at.clone(), rest, depth),
            "super" => {
                let mut up = at.clone();
                up.pop()?;
                match rest.first().map(String::as_str) {
                    Some("super") => self.resolve(&up, rest, depth + 1),
                    _ => self.walk(up, rest, depth),
                }
            }
            name if scope.items.contains(name) => Some(Found::item(at)),
            name if self.modules.contains_key(&joined(at, name)) => {
                self.walk(at.clone(), path, depth)
            }
            name => {
                let named = |import: &&crate::source::Use| import.name.as_deref() == Some(name);
                let import = scope.uses.iter().find(named)?;
                let whole = [&import.path, rest].concat();
                // `use name::...;` of another crate has the name that it gives.
                if import.path.first() == Some(first) {
                    return None;
                }
                self.resolve(at, &whole, depth + 1)
            }
        }
    }

    /// Where the rest of a path leads, from a module on.
    fn walk(&self, mut at: Segments, mut rest: &[String], depth: usize) -> Option<Found> {
        while let Some((name, after)) = rest.split_first() {
            let inner = joined(&at, name);
            if !self.modules.contains_key(&inner) {
                return self
                    .item(&at, name, after, depth)
                    .or(Some(Found::item(&at)));
            }
            (at, rest) = (inner, after);
        }
        Some(Found {
            module: at,
            is_module: true,
        })
    }

    /// Where a name in a module leads, that is none of a module in it.
    fn item(&self, at: &Segments, name: &str, after: &[String], depth: usize) -> Option<Found> {
        let scope = &self.modules[at].scope;
        if scope.items.contains(name) || depth > LONGEST {
            return Some(Found::item(at));
        }
        let named = |import: &&crate::source::Use| import.name.as_deref() == Some(name);
        if let Some(import) = scope.uses.iter().find(named) {
            return self.resolve(at, &[&import.path, after].concat(), depth + 1);
        }
        let globs = scope.uses.iter().filter(|import| import.name.is_none());
        globs.into_iter().find_map(|glob| {
            let target = self.resolve(at, &glob.path, depth + 1)?;
            let has = self.modules[&target.module].scope.items.contains(name);
            has.then(|| Found::item(&target.module))
        })
    }
}

/// Where a path leads.
struct Found {
    module: Segments,
    /// Whether to the module itself, and not to something in it.
    is_module: bool,
}

impl Found {
    fn item(module: &Segments) -> Self {
        Self {
            module: module.clone(),
            is_module: false,
        }
    }
}

fn joined(path: &[String], name: &str) -> Segments {
    let mut path = path.to_vec();
    path.push(name.to_owned());
    path
}

#[cfg(test)]
mod tests {
    use crate::sample;

    /// The arrows of these two modules and of a facade `store` over `store/rows`.
    fn arrows(a: &str, b: &str) -> Vec<String> {
        let store = "mod rows; pub use rows::Row; pub trait Store {}";
        let arrows = sample(&[
            ("src/lib.rs", "pub mod a; mod b; mod store;"),
            ("src/a/mod.rs", a),
            ("src/b.rs", b),
            ("src/store/mod.rs", store),
            ("src/store/rows.rs", "pub struct Row; pub fn put() {}"),
        ])
        .arrows();
        arrows
            .keys()
            .map(|(from, to)| format!("{from} -> {to}"))
            .collect()
    }

    #[test]
    fn imports_and_paths_are_arrows() {
        let b = ["src/a/mod.rs -> src/b.rs"];
        assert_eq!(arrows("use crate::b::B;", "pub struct B;"), b);
        assert_eq!(arrows("use super::b::{C, B as D};", ""), b);
        assert_eq!(arrows("use crate::b::*;", ""), b);
        assert_eq!(arrows("fn f() -> crate::b::B { panic!() }", ""), b);
        assert_eq!(arrows("use crate::b; fn f() { b::g() }", ""), b);
        assert_eq!(arrows("fn f() { println!(\"{}\", crate::b::g()) }", ""), b);
        assert_eq!(arrows("fn f() { use crate::b::g; g() }", ""), b);
        assert_eq!(arrows("mod in_here { use super::super::b::B; }", ""), b);
    }

    #[test]
    fn what_is_passed_on_leads_to_where_it_is() {
        let rows = ["src/b.rs -> src/store/rows.rs"];
        assert_eq!(arrows("", "use crate::store::Row;"), rows);
        assert_eq!(arrows("", "use crate::store; fn f(_: store::Row) {}"), rows);
        assert_eq!(
            arrows("", "use crate::store::rows; fn f() { rows::put() }"),
            rows
        );
        assert_eq!(
            arrows("", "use crate::store::Store;"),
            ["src/b.rs -> src/store/mod.rs"]
        );
    }

    #[test]
    fn other_names_are_none() {
        let none: [&str; 0] = [];
        assert_eq!(arrows("use std::b::B; fn f(b: u8) { b; }", ""), none);
        assert_eq!(
            arrows(
                "pub(crate) struct A; impl A { pub(super) fn f(&self) {} }",
                ""
            ),
            none
        );
        assert_eq!(
            arrows("#[cfg(test)] mod tests { use crate::b::B; }", ""),
            none
        );
        assert_eq!(arrows("#[cfg(test)] use crate::b::B;", ""), none);
        assert_eq!(arrows("#[cfg(test)] mod tests;", ""), none);
        assert_eq!(arrows("", "fn f() { println!(\"{}\", x.store); }"), none);
    }
}
