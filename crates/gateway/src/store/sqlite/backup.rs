//! A copy of the file while other processes use it.
//!
//! `VACUUM INTO` writes what one read transaction sees, the write-ahead log included, and in WAL mode
//! no writer waits for it. The copy is written under a temporary name, checked and synced, and then
//! gets its own name, if nobody else has that. So there is never a file of that name that is no
//! whole copy.

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::LAYOUT;

/// How often a copy says how far it is.
const INTERVAL: Duration = Duration::from_millis(250);

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is a file of that name.
    #[error("{} is there already, and is not overwritten: name another file", .0.display())]
    Exists(PathBuf),
    /// The store's file system is read-only, and SQLite makes files beside a store that it reads.
    #[error(
        "the file system of {} is read-only: make it writable, or copy the file, and the one with \
         -wal after its name if it is there, to the state directory of another one (--state)",
        .0.display()
    )]
    ReadOnlyStore(PathBuf),
    /// The copy's file system is read-only.
    #[error("the file system of {} is read-only: name a file on another one", .0.display())]
    ReadOnlyCopy(PathBuf),
    /// A file cannot be read or written.
    #[error("{what}: {error}")]
    File {
        /// What was tried.
        what: &'static str,
        /// Why it did not work.
        error: io::Error,
    },
    /// SQLite cannot do it.
    #[error("{what}: {error}")]
    Sqlite {
        /// What was tried.
        what: &'static str,
        /// Why it did not work.
        error: rusqlite::Error,
    },
    /// The store has the layout of another version.
    #[error("layout {0} is not one this version knows")]
    Layout(i64),
    /// The copy is damaged.
    #[error("the copy was damaged, and removed: {0}")]
    Damaged(String),
}

/// A copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    /// How many keys it has.
    pub keys: u64,
    /// How long its file is, in bytes.
    pub bytes: u64,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is being written.
    Copying {
        /// How long it is, in bytes.
        bytes: u64,
        /// How long it will be at most.
        of: u64,
    },
    /// It is being read.
    Checking,
}

/// Takes the [`Step`]s of a copy.
pub type Watch<'a> = &'a (dyn Fn(Step) + Sync);

/// Copies the store at `from` to `to`, and checks the copy. Blocks; meanwhile `watch` is called now and
/// then.
///
/// # Errors
///
/// [`BackupError`], with no file at `to` but the one that was there.
pub fn backup(from: &Path, to: &Path, watch: Watch<'_>) -> Result<Backup, BackupError> {
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let directory = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if is_read_only(&OpenOptions::new().write(true).open(from)) {
        return Err(BackupError::ReadOnlyStore(from.to_owned()));
    }
    // Empty, which SQLite takes for a new database; mode 0600.
    let copy = tempfile::Builder::new()
        .prefix(".backup-")
        .tempfile_in(directory);
    if is_read_only(&copy) {
        return Err(BackupError::ReadOnlyCopy(to.to_owned()));
    }
    let copy = copy.map_err(file("cannot write there"))?;
    let mut log = from.as_os_str().to_owned();
    log.push("-wal");
    let log = PathBuf::from(log);
    let copying = || Step::Copying {
        bytes: length(copy.path()),
        // With what is only in the log yet.
        of: length(from) + length(&log),
    };
    watched(watch, copying, || write(from, copy.path()))?;
    let keys = watched(watch, || Step::Checking, || check(copy.path()))?;
    let synced = File::open(copy.path()).and_then(|file| {
        file.sync_all()?;
        file.metadata()
    });
    let bytes = synced.map_err(file("cannot save the copy"))?.len();
    copy.persist_noclobber(to)
        .map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
            _ => file("cannot name the copy")(error.error),
        })?;
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(file("cannot save the copy's name"))?;
    Ok(Backup { keys, bytes })
}

/// Does something, and tells meanwhile which step it is.
fn watched<T>(watch: Watch<'_>, step: impl Fn() -> Step + Send, work: impl FnOnce() -> T) -> T {
    let (working, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            while is_done.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                watch(step());
            }
        });
        let result = work();
        drop(working);
        result
    })
}

/// The length of a file in bytes, as far as it can be known.
fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |file| file.len())
}

/// Whether something was not done because of a read-only file system.
fn is_read_only<T>(done: &io::Result<T>) -> bool {
    done.as_ref()
        .is_err_and(|error| error.kind() == io::ErrorKind::ReadOnlyFilesystem)
}

fn file(what: &'static str) -> impl Fn(io::Error) -> BackupError {
    move |error| BackupError::File { what, error }
}

fn sqlite(what: &'static str) -> impl Fn(rusqlite::Error) -> BackupError {
    move |error| BackupError::Sqlite { what, error }
}

fn write(from: &Path, to: &Path) -> Result<(), BackupError> {
    // Not read-only: where no gateway has it open, SQLite must be able to make its -shm file.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let store =
        Connection::open_with_flags(from, flags).map_err(sqlite("cannot open the store"))?;
    store
        .busy_timeout(super::BUSY_TIMEOUT)
        .map_err(sqlite("cannot open the store"))?;
    check_layout(&store, "cannot read the store")?;
    let to = to.to_str().ok_or_else(|| {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "its name is not UTF-8");
        file("cannot write there")(error)
    })?;
    store
        .execute("VACUUM INTO ?1", [to])
        .map_err(sqlite("cannot copy the store"))?;
    Ok(())
}

fn check_layout(store: &Connection, what: &'static str) -> Result<(), BackupError> {
    let layout: i64 = store
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(sqlite(what))?;
    if layout != LAYOUT {
        return Err(BackupError::Layout(layout));
    }
    Ok(())
}

/// Checks a copy, and counts its keys.
fn check(copy: &Path) -> Result<u64, BackupError> {
    let unreadable = sqlite("cannot read the copy");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(copy, flags).map_err(&unreadable)?;
    let found: Vec<String> = copy
        .prepare("PRAGMA integrity_check")
        .and_then(|mut check| check.query_map([], |row| row.get(0))?.collect())
        .map_err(&unreadable)?;
    if found != ["ok"] {
        return Err(BackupError::Damaged(found.join("; ")));
    }
    check_layout(&copy, "cannot read the copy")?;
    let keys: i64 = copy
        .query_row("SELECT count(*) FROM kv", [], |row| row.get(0))
        .map_err(&unreadable)?;
    Ok(keys.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::PermissionsExt as _,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
    };

    use super::{super::SqliteStore, *};
    use crate::store::Store as _;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_copy_is_one_state_with_all_that_was_answered() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let store = Arc::new(SqliteStore::open(&path).unwrap());
        store.set("before", b"answered".to_vec()).await.unwrap();
        let (writing, stop) = (Arc::clone(&store), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let writer = tokio::spawn(async move {
            // One after the other, so no copy may have the second without the first.
            while !stopped.load(Ordering::Relaxed) {
                writing.increment("first", 1).await.unwrap();
                writing.increment("second", 1).await.unwrap();
            }
        });
        for copy in 0..8 {
            while store.increment("first", 0).await.unwrap() < 5 * copy {}
            let to = directory.path().join(format!("copy-{copy}.db"));
            let from = path.clone();
            let done = tokio::task::spawn_blocking(move || (backup(&from, &to, &|_| ()), to));
            let (done, to) = done.await.unwrap();
            let done = done.unwrap();
            assert!(done.keys >= 2);
            assert_eq!(done.bytes, to.metadata().unwrap().len());
            assert_eq!(to.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            let copied = SqliteStore::open(&to).unwrap();
            let before = copied.get("before").await.unwrap().unwrap();
            assert_eq!(before.value, b"answered");
            let first = copied.increment("first", 0).await.unwrap();
            let second = copied.increment("second", 0).await.unwrap();
            assert!(first == second || first == second + 1, "{first} {second}");
            assert!(first >= 5 * copy);
        }
        stop.store(true, Ordering::Relaxed);
        writer.await.unwrap();
    }

    #[tokio::test]
    async fn nothing_is_overwritten_and_nothing_left_of_a_failure() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (
            directory.path().join("store.db"),
            directory.path().join("copy"),
        );
        assert!(matches!(
            backup(&from, &to, &|_| ()),
            Err(BackupError::Sqlite { .. })
        ));
        drop(SqliteStore::open(&from).unwrap());
        // Nobody has it open.
        assert_eq!(backup(&from, &to, &|_| ()).unwrap().keys, 0);
        let before = std::fs::read(&to).unwrap();
        assert!(matches!(
            backup(&from, &to, &|_| ()),
            Err(BackupError::Exists(_))
        ));
        assert_eq!(std::fs::read(&to).unwrap(), before);
        let no_store = directory.path().join("text");
        std::fs::write(&no_store, "no database, but a text that is long enough").unwrap();
        assert!(backup(&no_store, &directory.path().join("other"), &|_| ()).is_err());
        assert!(backup(&from, &directory.path().join("nowhere/copy"), &|_| ()).is_err());
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert!(matches!(
            backup(&from, &link, &|_| ()),
            Err(BackupError::Exists(_))
        ));
        let mut left: Vec<_> = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                "copy",
                "link",
                "store.db",
                "store.gate",
                "store.turn",
                "text"
            ]
        );
    }
}
