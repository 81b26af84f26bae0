//! Whether a store could be opened.

use std::{fmt::Write as _, os::unix::ffi::OsStrExt as _, path::Path};

use rusqlite::{Connection, OpenFlags};

use super::{LAYOUT, SqliteStore, failed};
use crate::store::StoreError;

impl SqliteStore {
    /// Whether the store at `path`, which exists, could be opened. Creates and changes nothing.
    /// Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if the file cannot be read, is no such store, or has the layout
    /// of a newer version.
    pub fn check(path: &Path) -> Result<(), StoreError> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        // Without a log no other process has it open, and so none is made.
        let mode = match Path::new(&log).exists() {
            true => "mode=ro",
            false => "immutable=1",
        };
        let layout = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
                | OpenFlags::SQLITE_OPEN_URI
                | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let db = Connection::open_with_flags(uri(path, mode), flags)?;
            db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))
        };
        match layout().map_err(failed)? {
            0 | LAYOUT => Ok(()),
            newer => Err(StoreError::Unavailable(format!(
                "layout {newer} is not one this version knows"
            ))),
        }
    }
}

/// The file as SQLite's URI.
fn uri(path: &Path, parameters: &str) -> String {
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(uri, "%{byte:02x}");
        }
    }
    format!("{uri}?{parameters}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::store::Store as _;

    /// Names and contents.
    fn files(directory: &Path) -> BTreeMap<std::ffi::OsString, Vec<u8>> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap()))
            .collect()
    }

    #[tokio::test]
    async fn a_check_leaves_the_directory_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a ?#%.db");
        let store = SqliteStore::open(&path).unwrap();
        store.set("k", b"v".to_vec()).await.unwrap();
        SqliteStore::check(&path).unwrap();
        drop(store);
        let before = files(directory.path());
        SqliteStore::check(&path).unwrap();
        assert_eq!(files(directory.path()), before);

        let db = Connection::open(&path).unwrap();
        db.pragma_update(None, "user_version", 99).unwrap();
        assert!(SqliteStore::check(&path).is_err());
        std::fs::write(directory.path().join("other"), "no database, not at all").unwrap();
        assert!(SqliteStore::check(&directory.path().join("other")).is_err());
    }
}
