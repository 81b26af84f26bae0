//! `cargo xtask docs`: the documentation as a site, with mdBook.
//!
//! What mdBook reads is made here: the pages in docs/README.md's order, with links that hold in the
//! site, and the API's reference.

mod api;
mod book;
mod contents;
pub mod markdown;
mod mdbook;
mod site;
#[cfg(test)]
mod tests;

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::workspace::Workspace;

const CONFIGURATION: &str = include_str!("book.toml");
const STYLE: &str = include_str!("docs.css");

/// Builds the site in target/docs/site, and checks its links.
///
/// # Errors
/// When a link leads nowhere, or mdBook cannot be installed or run.
pub fn run(workspace: &Workspace) -> Result<()> {
    let repository = workspace.repository.as_deref();
    let files = book::files(&workspace.root, repository)?;
    let directory = workspace.target.join("docs");
    let source = directory.join("src");
    remove(&source)?;
    for (path, bytes) in &files {
        write(&source.join(path), bytes)?;
    }
    write(&directory.join("book.toml"), CONFIGURATION.as_bytes())?;
    write(&directory.join("docs.css"), STYLE.as_bytes())?;
    let site = directory.join("site");
    mdbook::build(workspace, &directory, repository)?;
    let pages = site::check(&site)?;
    println!("{pages} pages: {}", site.join("index.html").display());
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let parent = path.parent().context("a file is in a directory")?;
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, bytes))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Removes a directory, so that nothing is left in it from a former run.
fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}
