//! Whether a disk can be written.

use std::{
    io::{self, Write as _},
    path::Path,
};

/// What is written: more than SQLite needs for a file that it makes.
static TRIED: [u8; 64 * 1024] = [0; 64 * 1024];

/// Whether files can be written in a directory: writes one that has no name and is gone again.
///
/// # Errors
///
/// Why they cannot.
pub(crate) fn try_writing(directory: &Path) -> io::Result<()> {
    tempfile::tempfile_in(directory)?.write_all(&TRIED)
}

/// [`try_writing`] where a directory is, or would be made.
///
/// # Errors
///
/// As [`try_writing`].
pub(crate) fn try_writing_at(directory: &Path) -> io::Result<()> {
    let directory = std::path::absolute(directory)?;
    let existing = directory.ancestors().find(|path| path.exists());
    try_writing(existing.unwrap_or(&directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_can_be_written_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        try_writing(directory.path()).unwrap();
        try_writing_at(&directory.path().join("not/yet")).unwrap();
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn one_that_cannot_be_written_says_why() {
        try_writing(Path::new("/proc")).unwrap_err();
        try_writing_at(Path::new("/proc/nowhere/at/all")).unwrap_err();
        let file = tempfile::NamedTempFile::new().unwrap();
        try_writing_at(&file.path().join("below")).unwrap_err();
    }
}
