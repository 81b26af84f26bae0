//! What mdBook reads: the pages with links that hold in the site, what they show, and the summary.

use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::{
    api,
    contents::{self, Section, relative, resolve},
    markdown::{self, Link},
};

/// The API as OpenAPI, which becomes pages.
pub const OPENAPI: &str = "src/http/openapi/openapi.json";

/// The page with the table of contents.
pub const CONTENTS: &str = "docs/README.md";

/// The files of the book's source, by their paths in it. `repository` is a URL whose `blob` and
/// `tree` have the project's files and directories.
///
/// # Errors
/// When a page cannot be read, or has a link to a page that is not in the table of contents, or to
/// nothing.
pub fn files(root: &Path, repository: Option<&str>) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let sections = contents::sections(&read(root, CONTENTS.as_ref())?)?;
    let mut book = Book {
        root,
        repository,
        pages: BTreeMap::new(),
        files: BTreeMap::new(),
    };
    let listed = sections.iter().flat_map(|section| &section.files);
    let first = ["README.md", CONTENTS].map(PathBuf::from);
    for path in first.iter().chain(listed) {
        book.add(path)?;
    }
    let pages: Vec<PathBuf> = book.pages.keys().cloned().collect();
    for path in pages.iter().filter(|path| is_markdown(path)) {
        let text = book.page(path)?;
        let to = book.pages[path].path.clone();
        book.files.insert(to, text.into_bytes());
    }
    let openapi = read(root, OPENAPI.as_ref())?;
    let api = api::pages(&openapi)?;
    for page in &api {
        let path = Path::new(api::DIRECTORY).join(&page.file);
        book.files.insert(path, page.text.clone().into_bytes());
    }
    let path = Path::new(api::DIRECTORY).join("openapi.json");
    book.files.insert(path, openapi.into_bytes());
    let summary = book.summary(&sections, &api);
    book.files.insert("SUMMARY.md".into(), summary.into_bytes());
    Ok(book.files)
}

/// A page of the book.
struct Page {
    title: String,
    /// In the book.
    path: PathBuf,
}

struct Book<'a> {
    root: &'a Path,
    repository: Option<&'a str>,
    /// By their paths in the repository.
    pages: BTreeMap<PathBuf, Page>,
    /// What is made, by the paths in the book.
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Book<'_> {
    /// Takes a file of the table of contents.
    fn add(&mut self, path: &Path) -> Result<()> {
        let page = if path == Path::new(OPENAPI) {
            Page {
                title: api::TITLE.to_owned(),
                path: Path::new(api::DIRECTORY).join("index.md"),
            }
        } else if is_markdown(path) {
            let text = read(self.root, path)?;
            let title = markdown::title(&text);
            let title = title.with_context(|| format!("{} has no heading", path.display()))?;
            let is_index = path.ends_with("README.md");
            Page {
                title: title.to_owned(),
                path: match path.parent() {
                    Some(directory) if is_index => directory.join("index.md"),
                    _ => path.to_owned(),
                },
            }
        } else {
            bail!("{CONTENTS} lists {}, which is no page", path.display());
        };
        self.pages.insert(path.to_owned(), page);
        Ok(())
    }

    /// A page's text, with links that hold in the book.
    fn page(&mut self, path: &Path) -> Result<String> {
        let text = read(self.root, path)?;
        let mut edits = Vec::new();
        for link in markdown::links(&text) {
            let edit = self.edit(path, &text, link);
            edits.extend(edit.with_context(|| format!("in {}", path.display()))?);
        }
        Ok(markdown::replace(&text, edits))
    }

    /// What is to be changed for a link of a page.
    fn edit(&mut self, page: &Path, text: &str, link: Link) -> Result<Vec<(Range<usize>, String)>> {
        let target = &text[link.target.clone()];
        if target.contains("://") || target.starts_with("mailto:") || target.starts_with('#') {
            return Ok(Vec::new());
        }
        let directory = page.parent().unwrap_or(Path::new(""));
        let (link_path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let file = resolve(directory, link_path)?;
        let index = file.join("README.md");
        // Where the page is in the book: its directory is the same there.
        if let Some(to) = self.pages.get(&file).or_else(|| self.pages.get(&index)) {
            let mut edits = Vec::new();
            let shown = &text[link.text.clone()];
            // A file's name is replaced; a directory's is rather the name of what is in it.
            let is_name = shown == link_path || file.file_name().is_some_and(|name| name == shown);
            if is_name && self.pages.contains_key(&file) {
                edits.push((link.text, to.title.clone()));
            }
            let mut target = relative(directory, &to.path);
            if !anchor.is_empty() {
                target = format!("{target}#{anchor}");
            }
            edits.push((link.target, target));
            return Ok(edits);
        }
        let on_disk = self.root.join(&file);
        if is_markdown(&file) {
            bail!("{target} is not listed in {CONTENTS}");
        }
        let is_directory = on_disk.is_dir();
        if !is_directory && !on_disk.is_file() {
            bail!("{target} leads nowhere");
        }
        if text[link.whole.clone()].starts_with('!') {
            let image = fs::read(on_disk)?;
            self.files.insert(file, image);
            return Ok(Vec::new());
        }
        if let Some(repository) = self.repository {
            let kind = if is_directory { "tree" } else { "blob" };
            let url = format!("{repository}/{kind}/HEAD/{}", file.display());
            return Ok(vec![(link.target, url)]);
        }
        if is_directory {
            // Nobody else has it either: its name is all that there is to say.
            let shown = text[link.text].to_owned();
            return Ok(vec![(link.whole, shown)]);
        }
        // As text, since a browser shows that.
        let mut copy = file.into_os_string();
        copy.push(".txt");
        let copy = PathBuf::from(copy);
        let target = relative(directory, &copy);
        self.files.insert(copy, fs::read(on_disk)?);
        Ok(vec![(link.target, target)])
    }

    /// The book's own table of contents.
    fn summary(&self, sections: &[Section], api: &[api::Page]) -> String {
        let line = |path: &Path| {
            let page = &self.pages[path];
            format!("[{}]({})\n", page.title, page.path.display())
        };
        let first = Path::new("README.md");
        let mut summary = "# Summary\n\n".to_owned() + &line(first) + &line(CONTENTS.as_ref());
        for section in sections {
            summary += &format!("\n# {}\n\n", section.title);
            for path in section.files.iter().filter(|path| *path != first) {
                summary += &format!("- {}", line(path));
                if path == Path::new(OPENAPI) {
                    let below = api.iter().skip(1);
                    let lines = below.map(|page| {
                        format!("  - [{}]({}/{})\n", page.title, api::DIRECTORY, page.file)
                    });
                    summary.extend(lines);
                }
            }
        }
        summary
    }
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

fn read(root: &Path, path: &Path) -> Result<String> {
    fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {}", path.display()))
}
