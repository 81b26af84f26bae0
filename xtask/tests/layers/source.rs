//! What one piece of Rust source says: its items, its `use` declarations, and the paths in it.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// A path as it is written.
pub type Segments = Vec<String>;

/// A file's or an inline module's own.
#[derive(Default)]
pub struct Scope {
    /// Names of what it defines, without modules.
    pub items: BTreeSet<String>,
    /// Modules in files of their own.
    pub files: Vec<String>,
    /// Modules with their code here.
    pub inline: Vec<(String, Scope)>,
    pub uses: Vec<Use>,
    /// Paths in its code, and single names.
    pub mentions: BTreeSet<Segments>,
}

/// One name of a `use` declaration.
pub struct Use {
    /// What it is called here; `None` for `*`.
    pub name: Option<String>,
    pub path: Segments,
    /// Whether others can have it from here.
    pub is_public: bool,
}

impl Scope {
    /// # Panics
    /// When it is no Rust source.
    pub fn parse(text: &str) -> Self {
        Self::of(&syn::parse_file(text).expect("Rust source").items)
    }

    fn of(items: &[syn::Item]) -> Self {
        let mut scope = Self::default();
        for item in items {
            scope.visit_item(item);
            scope.define(item);
        }
        scope
    }

    fn define(&mut self, item: &syn::Item) {
        let name = match item {
            syn::Item::Const(item) => &item.ident,
            syn::Item::Enum(item) => &item.ident,
            syn::Item::Fn(item) => &item.sig.ident,
            syn::Item::Static(item) => &item.ident,
            syn::Item::Struct(item) => &item.ident,
            syn::Item::Trait(item) => &item.ident,
            syn::Item::TraitAlias(item) => &item.ident,
            syn::Item::Type(item) => &item.ident,
            syn::Item::Union(item) => &item.ident,
            _ => return,
        };
        self.items.insert(name.to_string());
    }

    fn add_use(&mut self, tree: &syn::UseTree, before: &[String], is_public: bool) {
        let mut path = before.to_vec();
        match tree {
            syn::UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.add_use(&tree.tree, &path, is_public);
            }
            syn::UseTree::Group(tree) => {
                for tree in &tree.items {
                    self.add_use(tree, before, is_public);
                }
            }
            syn::UseTree::Name(tree) => self.add_name(path, &tree.ident, &tree.ident, is_public),
            syn::UseTree::Rename(tree) => {
                self.add_name(path, &tree.ident, &tree.rename, is_public);
            }
            syn::UseTree::Glob(_) => self.uses.push(Use {
                name: None,
                path,
                is_public,
            }),
        }
    }

    fn add_name(&mut self, mut path: Segments, of: &syn::Ident, name: &syn::Ident, public: bool) {
        let mut name = name.to_string();
        if of == "self" && !path.is_empty() {
            if name == "self" {
                name = path.last().cloned().unwrap_or_default();
            }
        } else {
            path.push(of.to_string());
        }
        self.uses.push(Use {
            name: Some(name),
            path,
            is_public: public,
        });
    }

    /// The paths in what is given to a macro, which is not parsed.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path: Segments = Vec::new();
        let (mut colons, mut after_dot) = (0, false);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) if path.is_empty() || colons == 2 => {
                    if !after_dot {
                        path.push(ident.to_string());
                    }
                    (colons, after_dot) = (0, false);
                    continue;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Ident(ident) => {
                    self.mention(std::mem::replace(&mut path, vec![ident.to_string()]));
                    (colons, after_dot) = (0, false);
                    continue;
                }
                TokenTree::Group(group) => self.scan(group.stream()),
                TokenTree::Punct(punct) => after_dot = punct.as_char() == '.',
                TokenTree::Literal(_) => after_dot = false,
            }
            self.mention(std::mem::take(&mut path));
            colons = 0;
        }
        self.mention(path);
    }

    fn mention(&mut self, path: Segments) {
        if !path.is_empty() {
            self.mentions.insert(path);
        }
    }
}

impl<'ast> Visit<'ast> for Scope {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if is_for_tests(attributes(item)) {
            return;
        }
        match item {
            syn::Item::Mod(module) => {
                let name = module.ident.to_string();
                let attribute = |a: &syn::Attribute| a.path().is_ident("path");
                assert!(
                    !module.attrs.iter().any(attribute),
                    "`#[path]` on a module is not understood here"
                );
                match &module.content {
                    Some((_, items)) => self.inline.push((name, Self::of(items))),
                    None => self.files.push(name),
                }
            }
            other => visit::visit_item(self, other),
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_public = !matches!(item.vis, syn::Visibility::Inherited);
        self.add_use(&item.tree, &[], is_public);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    /// `pub(super)` is no import.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        self.mention(segments.map(|part| part.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        visit::visit_macro(self, called);
        self.scan(called.tokens.clone());
    }
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[test]`, or a `#[cfg]` that asks for `test` and not for its opposite.
fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::List(list) if list.path.is_ident("cfg") => {
            let mut scope = Scope::default();
            scope.scan(list.tokens.clone());
            let asks = |name: &str| scope.mentions.contains(&vec![name.to_owned()]);
            asks("test") && !asks("not") && !asks("any")
        }
        _ => false,
    })
}
