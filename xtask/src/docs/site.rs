//! What mdBook has built: links lead somewhere, and nothing comes from another host.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

use super::contents::resolve;

/// What a page has.
#[derive(Default)]
struct Page {
    /// What its links may name after `#`.
    ids: BTreeSet<String>,
    /// What people may follow.
    links: Vec<String>,
    /// What a browser fetches by itself.
    parts: Vec<String>,
}

/// Checks all pages in a directory; how many they are.
///
/// # Errors
/// When a link leads nowhere in the site, or a part is another host's: with all of them.
pub fn check(site: &Path) -> Result<usize> {
    let mut pages = BTreeMap::new();
    read(site, Path::new(""), &mut pages)?;
    let mut wrong = Vec::new();
    for (path, page) in &pages {
        for part in page.parts.iter().filter(|part| is_elsewhere(part)) {
            wrong.push(format!("{}: {part} is another host's", path.display()));
        }
        let local = page.links.iter().chain(&page.parts);
        for link in local.filter(|link| !is_elsewhere(link)) {
            if !leads_somewhere(site, &pages, path, link) {
                wrong.push(format!("{}: {link} leads nowhere", path.display()));
            }
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(pages.len())
}

fn is_elsewhere(link: &str) -> bool {
    link.contains("://") || link.starts_with("//") || link.starts_with("mailto:")
}

fn leads_somewhere(site: &Path, pages: &BTreeMap<PathBuf, Page>, from: &Path, link: &str) -> bool {
    let (file, id) = link.split_once('#').unwrap_or((link, ""));
    let target = match file {
        "" => Ok(from.to_owned()),
        file => resolve(from.parent().unwrap_or(Path::new("")), file),
    };
    let Ok(target) = target else { return false };
    match pages.get(&target) {
        Some(page) => id.is_empty() || page.ids.contains(id),
        None => id.is_empty() && site.join(target).is_file(),
    }
}

fn read(site: &Path, directory: &Path, pages: &mut BTreeMap<PathBuf, Page>) -> Result<()> {
    for entry in fs::read_dir(site.join(directory))? {
        let entry = entry?;
        let path = directory.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            read(site, &path, pages)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "html")
        {
            let html = fs::read_to_string(site.join(&path))?;
            pages.insert(path, page(&html));
        }
    }
    Ok(())
}

/// Reads the tags: every `<` before a letter is one's, but for scripts, which are passed over.
fn page(html: &str) -> Page {
    let mut page = Page::default();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if rest.starts_with("!--") {
            rest = rest.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let name = rest.split(|c: char| !c.is_ascii_alphanumeric()).next();
        let name = name.unwrap_or_default();
        if name.is_empty() {
            continue;
        }
        rest = &rest[name.len()..];
        let attributes = attributes(&mut rest);
        for (attribute, value) in attributes {
            match (name, attribute) {
                (_, "id") => {
                    page.ids.insert(value);
                }
                ("a", "href") => page.links.push(value),
                (_, "href" | "src") => page.parts.push(value),
                _ => {}
            }
        }
        if name == "script" {
            rest = rest.split_once("</script").map_or("", |(_, after)| after);
        }
    }
    page
}

/// Takes a tag's attributes from the text after its name.
fn attributes<'a>(rest: &mut &'a str) -> Vec<(&'a str, String)> {
    let mut attributes = Vec::new();
    loop {
        *rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if let Some(after) = rest.strip_prefix('>') {
            *rest = after;
            return attributes;
        }
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/'));
        let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
        if name.is_empty() {
            *rest = after.get(1..).unwrap_or_default();
            if after.is_empty() {
                return attributes;
            }
            continue;
        }
        *rest = after;
        let Some(value) = after.strip_prefix('=') else {
            continue;
        };
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, after) = match quote {
            Some(quote) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
            None => {
                let end = value.find(|c: char| c.is_whitespace() || c == '>');
                value.split_at(end.unwrap_or(value.len()))
            }
        };
        *rest = after;
        attributes.push((name, value.replace("&amp;", "&")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read() {
        let page = page(
            "<!-- <a href=no> --><h1 id=\"a\" hidden>x</h1><a class='x' href=\"b.html?c&amp;d#e\">x</a>\
             <script src=s.js></script><script>'<a href=\"no\">'</script><img alt=\"a > b\" src='i.png'/>\
             <pre>&lt;a href=\"no\"&gt;</pre>",
        );
        assert_eq!(page.ids, BTreeSet::from(["a".to_owned()]));
        assert_eq!(page.links, ["b.html?c&d#e"]);
        assert_eq!(page.parts, ["s.js", "i.png"]);
    }

    #[test]
    fn what_leads_nowhere_is_found_and_what_comes_from_elsewhere() {
        let site = std::env::temp_dir().join(format!("site-{}", std::process::id()));
        fs::create_dir_all(site.join("a")).unwrap();
        let write = |file: &str, text: &str| fs::write(site.join(file), text).unwrap();
        write(
            "index.html",
            "<a href=\"a/b.html#c\">x</a><a href=\"#d\">x</a><p id=d>",
        );
        write(
            "a/b.html",
            "<p id=c><a href=\"../index.html\">x</a><a href=\"https://x\">x</a>",
        );
        assert_eq!(check(&site).unwrap(), 2);
        write(
            "a/b.html",
            "<a href=\"../b\">x</a><img src=\"https://x/y\">",
        );
        let wrong = check(&site).unwrap_err().to_string();
        let expected = [
            "a/b.html: https://x/y is another host's",
            "a/b.html: ../b leads nowhere",
            "index.html: a/b.html#c leads nowhere",
        ];
        assert_eq!(wrong, expected.join("\n"));
        fs::remove_dir_all(&site).unwrap();
    }
}
