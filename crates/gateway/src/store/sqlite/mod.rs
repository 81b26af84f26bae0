//! The store in one SQLite file: the embedded default.
//!
//! One thread owns the connection that writes. It puts the waiting operations into one transaction,
//! so that concurrent writers share one `fsync` ([`writer`]). Reads use a few other connections and,
//! in WAL mode, never wait for the writer.
//!
//! Several processes may share the file. Every transaction that writes is `BEGIN IMMEDIATE`, so
//! that nothing it has read can change before it commits, and a fair lock orders the processes
//! ([`write_lock`]). If one of them is stopped, or holds the file for long, the writes of the others
//! time out: an operation that could not begin was not done.

pub mod backup;
mod check;
mod write_lock;
mod writer;

use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use tokio::sync::{
    Semaphore,
    mpsc::{self, error::SendTimeoutError},
    oneshot,
};
use write_lock::WriteLock;
use writer::{Command, Operation, Outcome};

use super::{Entry, KEYS_PER_PAGE, KeyPage, Store, StoreError, Swap, Version, repeated::Repeated};
use crate::disk;

/// How long an operation waits at most until it can begin, by default.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How many connections for reads are opened at the start. More are opened when more reads run at a
/// time.
const READERS: usize = 4;

/// How many reads may wait for a busy file at a time.
const MAX_WAITING_READS: usize = 4;

/// How many writes the writer's queue holds. More wait for room in it.
const WRITE_QUEUE: usize = 1024;

/// The `user_version` of the only layout so far.
const LAYOUT: i64 = 1;

/// What was logged of failures.
static LOGGED: Repeated = Repeated::new();

/// A [`Store`] in a SQLite file.
///
/// Dropping it waits until the writes that were accepted have been committed.
pub struct SqliteStore {
    writes: Option<mpsc::Sender<Command>>,
    writer: Option<JoinHandle<()>>,
    readers: Arc<Readers>,
    busy_timeout: Duration,
}

impl SqliteStore {
    /// Opens the store at `path`, and creates it (mode 0600) if there is none. Its operations
    /// wait for [`BUSY_TIMEOUT`] at most. Blocks.
    ///
    /// # Errors
    ///
    /// As [`SqliteStore::open_with`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, BUSY_TIMEOUT)
    }

    /// Opens the store at `path`, and creates it (mode 0600) if there is none. An operation that
    /// cannot begin within `busy_timeout`, because of other processes or because of load, fails.
    /// Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Broken`] if the file cannot be opened, is no such
    /// store, or has the layout of a newer version; [`StoreError::Busy`] if another process does not release it.
    pub fn open_with(path: &Path, busy_timeout: Duration) -> Result<Self, StoreError> {
        // SQLite gives its -wal and -shm files the mode of the database.
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|e| {
                StoreError::Unavailable(format!("cannot write {}: {e}", path.display()))
            })?;
        let lock = WriteLock::open(path).map_err(|e| StoreError::Unavailable(e.to_string()))?;
        let connection = {
            let guard = lock.acquire(Instant::now() + busy_timeout).map_err(|e| {
                StoreError::Unavailable(format!("cannot wait for other processes: {e}"))
            })?;
            let _guard = guard.ok_or(StoreError::Busy)?;
            open_writer(path, busy_timeout).map_err(|error| cannot_open(path, error))?
        };
        let readers = (0..READERS)
            .map(|_| open_reader(path))
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        let (writes, commands) = mpsc::channel(WRITE_QUEUE);
        let writer = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer::run(connection, &lock, commands))
            .map_err(|e| StoreError::Unavailable(format!("cannot start the writer: {e}")))?;
        Ok(Self {
            writes: Some(writes),
            writer: Some(writer),
            readers: Arc::new(Readers {
                waiting: Arc::new(Semaphore::new(MAX_WAITING_READS)),
                idle: Mutex::new(readers),
                path: path.to_owned(),
            }),
            busy_timeout,
        })
    }

    async fn write(&self, key: &str, operation: Operation) -> Result<Outcome, StoreError> {
        let (answer, answered) = oneshot::channel();
        let command = Command {
            key: key.to_owned(),
            operation,
            deadline: Instant::now() + self.busy_timeout,
            answer,
        };
        let writes = self.writes.as_ref().ok_or(StoreError::Closed)?;
        match writes.send_timeout(command, self.busy_timeout).await {
            Ok(()) => answered.await.map_err(|_| StoreError::Closed)?,
            Err(SendTimeoutError::Timeout(_)) => Err(StoreError::Busy),
            Err(SendTimeoutError::Closed(_)) => Err(StoreError::Closed),
        }
    }

    /// Reads on the caller's thread: with the pages in memory that takes a few microseconds, less
    /// than waking another thread. If the file is busy, which is rare in WAL mode, the read waits on
    /// another thread.
    async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        match self.readers.with(Duration::ZERO, &query) {
            Err(error) if is_busy(&error) => {}
            read => return read.map_err(failed),
        }
        let deadline = Instant::now() + self.busy_timeout;
        let readers = Arc::clone(&self.readers);
        let permit = Arc::clone(&readers.waiting).acquire_owned();
        let permit = tokio::time::timeout(self.busy_timeout, permit)
            .await
            .map_err(|_| StoreError::Busy)?
            .map_err(|_| StoreError::Closed)?;
        tokio::task::spawn_blocking(move || {
            // Held until the query ends, also if the caller was cancelled.
            let _permit = permit;
            readers.with(deadline.saturating_duration_since(Instant::now()), query)
        })
        .await
        .map_err(|_| StoreError::Closed)?
        .map_err(|error| {
            let is_busy = is_busy(&error);
            let error = failed(error);
            if is_busy { StoreError::Busy } else { error }
        })
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // The last connection to close moves the write-ahead log into the database. One that only
        // reads could not do that.
        self.readers.lock().clear();
        // The writer ends once the last sender is gone and the queue is empty.
        drop(self.writes.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's writer panicked");
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        super::check_key(key)?;
        let key = key.to_owned();
        self.read(move |db| select(db, &key)).await
    }

    async fn exists(&self, key: &str) -> Result<bool, StoreError> {
        super::check_key(key)?;
        let key = key.to_owned();
        self.read(move |db| {
            db.prepare_cached("SELECT 1 FROM kv WHERE key = ?1")?
                .exists([&key])
        })
        .await
    }

    async fn list_keys(&self, cursor: Option<&str>) -> Result<KeyPage, StoreError> {
        let cursor = cursor.map(str::to_owned);
        self.read(move |db| {
            // A comparison with NULL is never true, so the first page needs another statement.
            let sql = match cursor {
                Some(_) => "SELECT key FROM kv WHERE key > ?1 ORDER BY key LIMIT ?2",
                None => "SELECT key FROM kv WHERE ?1 IS NULL ORDER BY key LIMIT ?2",
            };
            // One more than a page shows whether there is a next one.
            let limit = (KEYS_PER_PAGE + 1) as i64;
            let mut keys = db
                .prepare_cached(sql)?
                .query_map((&cursor, limit), |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<String>>>()?;
            let more = keys.len() > KEYS_PER_PAGE;
            keys.truncate(KEYS_PER_PAGE);
            let cursor = more.then(|| keys.last().cloned()).flatten();
            Ok(KeyPage { keys, cursor })
        })
        .await
    }

    async fn set(&self, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        super::check_key(key)?;
        super::check_value(&value)?;
        self.write(key, Operation::Set(value)).await.map(drop)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        super::check_key(key)?;
        self.write(key, Operation::Delete).await.map(drop)
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        super::check_key(key)?;
        match self.write(key, Operation::Increment(delta)).await? {
            Outcome::Number(number) => Ok(number),
            _ => Err(StoreError::Closed),
        }
    }

    async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<Version>,
        value: Vec<u8>,
    ) -> Result<Swap, StoreError> {
        super::check_key(key)?;
        super::check_value(&value)?;
        match self.write(key, Operation::Swap { expected, value }).await? {
            Outcome::Swap(swap) => Ok(swap),
            _ => Err(StoreError::Closed),
        }
    }
}

/// The connections that read.
struct Readers {
    /// Limits the reads that wait, so that they do not use up the threads for blocking work.
    waiting: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    path: PathBuf,
}

impl Readers {
    /// Runs a query on an idle connection, and waits for `busy_timeout` if the file is busy.
    fn with<T>(
        &self,
        busy_timeout: Duration,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let idle = self.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open_reader(&self.path)?,
        };
        connection.busy_timeout(busy_timeout)?;
        let result = query(&connection);
        self.lock().push(connection);
        result
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value and version of `key`.
fn select(db: &Connection, key: &str) -> rusqlite::Result<Option<Entry>> {
    db.prepare_cached("SELECT value, version FROM kv WHERE key = ?1")?
        .query_row([key], |row| {
            Ok(Entry {
                value: row.get(0)?,
                version: Version(row.get(1)?),
            })
        })
        .optional()
}

fn open_writer(path: &Path, busy_timeout: Duration) -> rusqlite::Result<Connection> {
    let mut db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    db.busy_timeout(busy_timeout)?;
    db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    // In WAL mode any lower level would not sync each commit, and a power cut could lose it.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let layout: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match layout {
        0 => {
            transaction.execute_batch(
                "CREATE TABLE kv (
                   key TEXT NOT NULL PRIMARY KEY,
                   value BLOB NOT NULL,
                   version INTEGER NOT NULL
                 ) STRICT;",
            )?;
            transaction.pragma_update(None, "user_version", LAYOUT)?;
        }
        LAYOUT => {}
        newer => {
            return Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_SCHEMA),
                Some(format!("layout {newer} is not one this version knows")),
            ));
        }
    }
    transaction.commit()?;
    Ok(db)
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseBusy | DatabaseLocked)
    )
}

/// Why a store cannot be opened: where a file cannot be written, SQLite does not say which or why.
fn cannot_open(path: &Path, error: rusqlite::Error) -> StoreError {
    use rusqlite::{
        ErrorCode::{CannotOpen, DiskFull, ReadOnly, SystemIoFailure},
        ffi::{SQLITE_IOERR_SHMMAP, SQLITE_IOERR_SHMOPEN, SQLITE_IOERR_SHMSIZE},
    };
    let code = error.sqlite_error_code();
    let tried = match code {
        Some(CannotOpen | DiskFull | ReadOnly | SystemIoFailure) => {
            disk::try_writing(path.parent().unwrap_or(Path::new(".")))
        }
        _ => Ok(()),
    };
    let extended = error.sqlite_error().map(|error| error.extended_code);
    let failed = failed(error);
    let Err(reason) = tried else {
        return failed;
    };
    let file = match extended {
        Some(SQLITE_IOERR_SHMMAP | SQLITE_IOERR_SHMOPEN | SQLITE_IOERR_SHMSIZE) => "-shm",
        _ => "",
    };
    StoreError::Broken(format!("cannot write {}{file}: {reason}", path.display()))
}

/// The error for the component: the full reason goes to the log, a short one to the component.
fn failed(error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase, ReadOnly, SystemIoFailure};
    let text = error.to_string();
    if let Some(left_out) = LOGGED.is_due(&text, Instant::now()) {
        let left_out = (left_out > 0).then_some(left_out);
        tracing::error!(error = %text, left_out, "the store failed");
    }
    let broken = match error.sqlite_error_code() {
        Some(DiskFull) => "the store's disk is full",
        Some(ReadOnly) => "the store is read-only",
        Some(DatabaseCorrupt | NotADatabase) => "the store's file is damaged: restore a copy of it",
        Some(SystemIoFailure) => "the store's file cannot be read or written",
        _ => return StoreError::Unavailable("the store failed".into()),
    };
    StoreError::Broken(broken.into())
}

#[cfg(test)]
mod tests;
