//! The thread that writes.
//!
//! The operations that wait in the queue become one transaction, up to [`MAX_BATCH`] of them, and
//! are applied in their order. Each makes at most one change, by one statement, and SQLite rolls
//! back a statement that fails. So an operation that is refused changes nothing, and the others in
//! its transaction are not affected. Nothing is answered before the `COMMIT`, and thus the `fsync`,
//! is done.
//!
//! An operation that cannot begin in time, because another process does not release the file, is
//! refused ([`StoreError::Busy`]) and not done.

use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::{
    Entry, StoreError, Swap, Version, failed, is_busy, select,
    write_lock::{WriteGuard, WriteLock},
};

/// The most operations in one transaction. Limits how long the first of them waits.
const MAX_BATCH: usize = 256;

/// How long a transaction waits for the file if the one before it waited in vain.
const SHORT_BUSY_TIMEOUT: Duration = Duration::from_millis(50);

/// A write in the queue.
pub(super) struct Command {
    pub key: String,
    pub operation: Operation,
    /// By when it must begin. After that it is refused.
    pub deadline: Instant,
    pub answer: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// What to write.
pub(super) enum Operation {
    Set(Vec<u8>),
    Delete,
    Increment(i64),
    Swap {
        expected: Option<Version>,
        value: Vec<u8>,
    },
}

/// Its result.
pub(super) enum Outcome {
    Done,
    Number(i64),
    Swap(Swap),
}

/// Serves until all senders are gone and the queue is empty.
pub(super) fn run(mut db: Connection, lock: &WriteLock, mut commands: mpsc::Receiver<Command>) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    let mut busy_timeout = Duration::MAX;
    while commands.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
        let Some(guard) = acquire(lock, &mut batch) else {
            continue;
        };
        let applied = apply(&mut db, &batch, busy_timeout);
        drop(guard);
        // A process that holds the file for so long may do so for longer: do not wait again.
        busy_timeout = match &applied {
            Err(StoreError::Busy) => SHORT_BUSY_TIMEOUT,
            _ => Duration::MAX,
        };
        match applied {
            Ok(results) => {
                for (command, result) in batch.drain(..).zip(results) {
                    // If the request was cancelled nobody receives this. Its write stands.
                    let _ = command.answer.send(result);
                }
            }
            Err(error) => refuse(batch.drain(..), &error),
        }
    }
}

/// Acquires the write lock. Refuses those of the batch that have waited for too long, or all of them
/// if the lock cannot be acquired.
fn acquire<'a>(lock: &'a WriteLock, batch: &mut Vec<Command>) -> Option<WriteGuard<'a>> {
    let now = Instant::now();
    let late = batch.extract_if(.., |command| command.deadline <= now);
    refuse(late, &StoreError::Busy);
    let error = match lock.acquire(earliest_deadline(batch)?) {
        Ok(Some(guard)) => return Some(guard),
        // Later ones might wait longer, but when the lock will be free is unknown.
        Ok(None) => StoreError::Busy,
        Err(error) => {
            tracing::error!(reason = %error, "cannot wait for other processes");
            StoreError::Unavailable("the store failed".into())
        }
    };
    refuse(batch.drain(..), &error);
    None
}

/// By when the first of them must begin.
fn earliest_deadline(batch: &[Command]) -> Option<Instant> {
    batch.iter().map(|command| command.deadline).min()
}

fn refuse(commands: impl IntoIterator<Item = Command>, error: &StoreError) {
    for command in commands {
        let _ = command.answer.send(Err(error.clone()));
    }
}

/// Applies a batch in one transaction. After an error it is unknown whether any of it was applied;
/// after [`StoreError::Busy`] none of it was.
fn apply(
    db: &mut Connection,
    batch: &[Command],
    busy_timeout: Duration,
) -> Result<Vec<Result<Outcome, StoreError>>, StoreError> {
    // A program that does not use the write lock (an operator's `sqlite3`) may hold the file.
    let left = earliest_deadline(batch).map_or(Duration::ZERO, |deadline| {
        deadline.saturating_duration_since(Instant::now())
    });
    let begun = db
        .busy_timeout(left.min(busy_timeout))
        .and_then(|()| db.transaction_with_behavior(TransactionBehavior::Immediate));
    let transaction = match begun {
        Err(error) if is_busy(&error) => {
            tracing::error!("something else keeps the gateway from writing to the store");
            return Err(StoreError::Busy);
        }
        begun => begun.map_err(failed)?,
    };
    let mut results = Vec::with_capacity(batch.len());
    for command in batch {
        let result = match perform(&transaction, &command.key, &command.operation) {
            Ok(result) => result,
            // Some errors, such as a full disk, make SQLite roll back the whole transaction.
            Err(error) if transaction.is_autocommit() => return Err(failed(error)),
            Err(error) => Err(failed(error)),
        };
        results.push(result);
    }
    transaction.commit().map_err(failed)?;
    Ok(results)
}

fn perform(
    db: &Connection,
    key: &str,
    operation: &Operation,
) -> rusqlite::Result<Result<Outcome, StoreError>> {
    match operation {
        Operation::Set(value) => {
            put(db, key, value)?;
            Ok(Ok(Outcome::Done))
        }
        Operation::Delete => {
            db.prepare_cached("DELETE FROM kv WHERE key = ?1")?
                .execute([key])?;
            Ok(Ok(Outcome::Done))
        }
        Operation::Increment(delta) => {
            let sum = match number(select(db, key)?) {
                Ok(number) => number.checked_add(*delta).ok_or(StoreError::Overflow),
                Err(error) => Err(error),
            };
            match sum {
                Ok(sum) => {
                    put(db, key, sum.to_string().as_bytes())?;
                    Ok(Ok(Outcome::Number(sum)))
                }
                Err(error) => Ok(Err(error)),
            }
        }
        Operation::Swap { expected, value } => {
            let changed = match expected {
                Some(Version(version)) => db
                    .prepare_cached(
                        "UPDATE kv SET value = ?3, version = random()
                         WHERE key = ?1 AND version = ?2",
                    )?
                    .execute((key, version, value))?,
                None => db
                    .prepare_cached(
                        "INSERT INTO kv (key, value, version) VALUES (?1, ?2, random())
                         ON CONFLICT (key) DO NOTHING",
                    )?
                    .execute((key, value))?,
            };
            Ok(Ok(Outcome::Swap(if changed == 1 {
                Swap::Swapped
            } else {
                Swap::Conflict(select(db, key)?)
            })))
        }
    }
}

/// Writes unconditionally. Versions are 64 random bits: processes need not share a counter, and a
/// key that was deleted and created again does not repeat its old versions.
fn put(db: &Connection, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO kv (key, value, version) VALUES (?1, ?2, random())
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = excluded.version",
    )?
    .execute((key, value))?;
    Ok(())
}

/// The number that a counter holds.
fn number(entry: Option<Entry>) -> Result<i64, StoreError> {
    let Some(entry) = entry else { return Ok(0) };
    str::from_utf8(&entry.value)
        .ok()
        // `parse` also accepts "+1" and "01", which no sum is written as.
        .and_then(|text| text.parse().ok().filter(|n: &i64| n.to_string() == text))
        .ok_or(StoreError::NotANumber)
}
