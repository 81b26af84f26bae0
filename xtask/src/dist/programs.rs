//! The native programs as they are shipped, and what they say of themselves.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::entry::{Entries, Entry, gz};
use crate::{native::Programs, needs::Need, process};

/// The libraries that every Debian has.
const LIBRARIES: [&str; 4] = ["libc.so.", "libm.so.", "libgcc_s.so.", "ld-linux"];

/// What is missing to strip and to look into programs.
pub fn missing() -> Option<Need> {
    let is_there = ["strip", "readelf"].into_iter().all(process::is_installed);
    (!is_there).then(|| Need {
        what: "strip and readelf, for the programs".to_owned(),
        packages: vec!["binutils"],
    })
}

/// A program by its name, stripped.
pub struct Program {
    pub name: &'static str,
    pub data: Vec<u8>,
    path: PathBuf,
}

/// The three that are shipped, without symbols and debug information, which name directories of this
/// machine; `scratch` is for copies.
///
/// # Errors
/// If one needs a library that a system may lack.
pub fn stripped(programs: &Programs, scratch: &Path) -> Result<Vec<Program>> {
    [
        ("gateway", &programs.gateway),
        ("domainctl", &programs.domainctl),
        ("domain-device", &programs.device),
    ]
    .into_iter()
    .map(|(name, from)| {
        let path = scratch.join(name);
        // The linker's build id follows from the debug information, too.
        let mut strip = Command::new("strip");
        strip.args(["--strip-all", "--remove-section=.note.gnu.build-id", "-o"]);
        process::run(strip.arg(&path).arg(from))?;
        let dynamic = process::output(Command::new("readelf").arg("-dW").arg(&path))?;
        for library in needed(&dynamic) {
            if !LIBRARIES.iter().any(|usual| library.starts_with(usual)) {
                bail!("{name} needs {library}, which a system may lack");
            }
        }
        let data = std::fs::read(&path)?;
        Ok(Program { name, data, path })
    })
    .collect()
}

/// The libraries in what readelf prints of the dynamic section.
fn needed(dynamic: &str) -> impl Iterator<Item = &str> {
    dynamic
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| line.split('[').nth(1)?.strip_suffix(']'))
}

/// The oldest version of the GNU C library that has all that the programs use of it.
///
/// # Errors
/// If they use nothing of it.
pub fn glibc(programs: &[Program]) -> Result<String> {
    let mut versions = BTreeSet::new();
    for program in programs {
        let text = process::output(Command::new("readelf").arg("-VW").arg(&program.path))?;
        versions.extend(glibc_versions(&text));
    }
    let (major, minor) = versions.pop_last().context("no program uses a C library")?;
    Ok(format!("{major}.{minor}"))
}

/// The versions of the GNU C library, such as `GLIBC_2.34`, in a text.
fn glibc_versions(text: &str) -> impl Iterator<Item = (u32, u32)> {
    text.split("GLIBC_").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let version = &rest[..end.unwrap_or(rest.len())];
        let mut parts = version.split('.').map(str::parse);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    })
}

/// The manual pages and the completions, where a system looks for them.
///
/// # Errors
/// If a program does not write them.
pub fn manual(programs: &[Program], scratch: &Path) -> Result<Entries> {
    let mut entries = Entries::new();
    let pages = scratch.join("man");
    std::fs::create_dir_all(&pages)?;
    for program in programs {
        let command = || {
            let mut command = Command::new(&program.path);
            crate::native::forget_settings(&mut command);
            command
        };
        process::run(command().arg("man").arg(&pages))?;
        let name = program.name;
        for (shell, path) in [
            ("bash", format!("bash-completion/completions/{name}")),
            ("fish", format!("fish/vendor_completions.d/{name}.fish")),
            ("zsh", format!("zsh/vendor-completions/_{name}")),
        ] {
            let script = process::output(command().args(["completions", shell]))? + "\n";
            entries.insert(format!("share/{path}"), Entry::File(script.into_bytes()));
        }
    }
    for page in std::fs::read_dir(&pages)? {
        let page = page?;
        let name = page.file_name();
        let path = format!("share/man/man1/{}.gz", name.to_string_lossy());
        entries.insert(path, Entry::File(gz(&std::fs::read(page.path())?)?));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readelf_prints_is_understood() {
        let dynamic = " 0x0000000000000001 (NEEDED)             Shared library: [libm.so.6]\n \
                       0x000000000000000c (INIT)               0x1000";
        assert_eq!(needed(dynamic).collect::<Vec<_>>(), ["libm.so.6"]);
        let versions = "Name: GLIBC_2.34  Flags\nName: GLIBC_2.2.5\nName: GLIBC_2.4";
        assert_eq!(
            glibc_versions(versions).collect::<Vec<_>>(),
            [(2, 34), (2, 2), (2, 4)]
        );
    }
}
