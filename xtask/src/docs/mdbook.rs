//! mdBook: installed once below the target directory, from its sources.

use std::{path::Path, process::Command};

use anyhow::Result;

use crate::{process, workspace::Workspace};

const VERSION: &str = "0.5.4";

/// Builds the book in a directory; `repository` is where the site says that its sources are.
///
/// # Errors
/// When mdBook cannot be installed or does not succeed.
pub fn build(workspace: &Workspace, book: &Path, repository: Option<&str>) -> Result<()> {
    let tools = workspace.target.join("tools");
    let file = format!("mdbook{}", std::env::consts::EXE_SUFFIX);
    let mdbook = tools.join("bin").join(file);
    let is_there = process::output(Command::new(&mdbook).arg("--version"))
        .is_ok_and(|version| version.ends_with(&format!("v{VERSION}")));
    if !is_there {
        eprintln!(
            "Installing mdBook {VERSION} in {}, which takes a minute or two",
            tools.display()
        );
        process::run(
            process::cargo(&workspace.root)
                .args(["install", "mdbook", "--locked", "--quiet", "--force"])
                .arg(format!("--version={VERSION}"))
                .args(["--no-default-features", "--features=search"])
                .arg("--root")
                .arg(&tools),
        )?;
    }
    let mut build = Command::new(mdbook);
    build.env("MDBOOK_LOG", "warn").arg("build").arg(book);
    if let Some(repository) = repository {
        build.env("MDBOOK_OUTPUT__HTML__GIT_REPOSITORY_URL", repository);
    }
    process::run(&mut build)
}
