//! What a command needs of the system: it says what is missing, and installs it only where asked.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::{debian, workspace::Workspace};

/// Something that is missing on this machine.
pub struct Need {
    /// What is missing, and for what.
    pub what: String,
    /// The Debian packages that bring it.
    pub packages: Vec<&'static str>,
}

/// With `--install`, says what it installs and installs it.
///
/// # Errors
/// Without `--install`, when anything is missing: with what that is and what to type. With it, when
/// the packages cannot be installed.
pub fn provide(workspace: &Workspace, missing: &[Need]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let packages: BTreeSet<&str> = missing
        .iter()
        .flat_map(|need| need.packages.iter().copied())
        .collect();
    let packages: Vec<&str> = packages.into_iter().collect();
    if !workspace.may_install {
        bail!("{}", instructions(missing, &packages, debian::needs_sudo()));
    }
    if !debian::can_install() {
        bail!(
            "{}\n(--install can do it on Debian and its descendants only, as root or with sudo.)",
            instructions(missing, &packages, debian::needs_sudo())
        );
    }
    eprintln!("This machine lacks:\n{}", listed(missing));
    eprintln!("Installing with apt-get: {}", packages.join(" "));
    debian::install(&packages)
}

fn instructions(missing: &[Need], packages: &[&str], needs_sudo: bool) -> String {
    let sudo = if needs_sudo { "sudo " } else { "" };
    format!(
        "this machine lacks:\n{}\nTo install that, on Debian or Ubuntu:\n    \
         {sudo}apt-get update && {sudo}apt-get install --no-install-recommends {}\n\
         Or add --install, and this command does it first.",
        listed(missing),
        packages.join(" ")
    )
}

fn listed(missing: &[Need]) -> String {
    let line = |need: &Need| format!("    {} (package {})", need.what, need.packages.join(", "));
    missing.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_installed_unasked_and_the_command_is_said() {
        let missing = [Need {
            what: "a Redis server".to_owned(),
            packages: vec!["redis-server"],
        }];
        let workspace = Workspace {
            root: "/".into(),
            target: "/".into(),
            repository: None,
            may_install: false,
        };
        assert!(provide(&workspace, &[]).is_ok());
        let said = provide(&workspace, &missing).unwrap_err().to_string();
        assert!(said.contains("a Redis server"), "{said}");
        assert!(
            said.contains("apt-get install --no-install-recommends redis-server"),
            "{said}"
        );
        assert!(said.contains("--install"), "{said}");
    }
}
