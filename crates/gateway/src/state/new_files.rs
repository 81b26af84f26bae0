//! New files of secrets, whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use anyhow::Context as _;
use tempfile::NamedTempFile;

/// What the names of files begin with that are not whole yet.
const UNFINISHED: &str = ".unfinished-";

/// Writes new files of mode 0600, each atomically. They are on the disk when this returns. All
/// contents are written before the first name appears, so a crash leaves only some of the files
/// only if it happens between two names. The caller has the directory's lock.
///
/// # Errors
///
/// Which file cannot be written, and why.
pub(super) fn write(directory: &Path, files: &[(&str, &str)]) -> anyhow::Result<()> {
    let mut written = Vec::new();
    for (name, text) in files {
        let path = directory.join(name);
        let file = write_unfinished(directory, text)
            .with_context(|| format!("cannot write {}", path.display()))?;
        written.push((path, file));
    }
    for (path, file) in written {
        file.persist_noclobber(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .with_context(|| format!("cannot write {}", directory.display()))
}

fn write_unfinished(directory: &Path, text: &str) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(directory)?;
    file.write_all(text.trim_end().as_bytes())?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Removes what a process left that was killed while it wrote. The caller has the directory's lock, so
/// nobody is writing.
///
/// # Errors
///
/// Which file cannot be removed, and why.
pub(super) fn remove_unfinished(directory: &Path) -> anyhow::Result<()> {
    let shown = directory.display();
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {shown}"))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {shown}"))?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
            let path = entry.path();
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_has_left_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let (_, left) = write_unfinished(directory.path(), "a secret")
            .unwrap()
            .keep()
            .unwrap();
        assert_eq!(
            fs::metadata(&left).unwrap().permissions().mode() & 0o777,
            0o600
        );
        // What is not the gateway's stays.
        let other = directory.path().join(".tmp123456");
        fs::write(&other, "").unwrap();
        remove_unfinished(directory.path()).unwrap();
        assert!(!left.exists());
        assert!(other.exists());
    }

    #[test]
    fn an_error_names_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let nowhere = directory.path().join("nowhere");
        let error = write(&nowhere, &[("admin-token", "t")]).unwrap_err();
        let path = nowhere.join("admin-token");
        assert!(
            error.to_string().contains(&path.display().to_string()),
            "{error}"
        );
        assert!(format!("{error:#}").contains("No such file"), "{error:#}");
    }
}
