//! The thread that writes.
//!
//! What waits in the queue becomes one transaction, up to [`MAX_BATCH`] operations, applied in
//! the order in which they came. Each operation makes at most one change, by one statement, and
//! SQLite undoes a statement that fails: an operation that is refused leaves no trace, and its
//! neighbours stand. Nothing is answered before the `COMMIT`, and thus the `fsync`, is done.
//!
//! What cannot be begun in time, because another process does not let go of the file, is refused
//! ([`StoreError::Busy`]) and not done.

use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::turns::{Turn, Turns};
use super::{Entry, StoreError, Swap, Version, failed, is_busy, select};

/// Operations in one transaction at most, so that the first to come need not wait for ever.
const MAX_BATCH: usize = 256;

/// How long a transaction waits for the file after the one before it has waited in vain.
const IMPATIENCE: Duration = Duration::from_millis(50);

/// A write that waits for its turn.
pub(super) struct Command {
    pub key: String,
    pub operation: Operation,
    /// When it must have begun; afterwards it is not done.
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

/// What came of it.
pub(super) enum Outcome {
    Done,
    Number(i64),
    Swap(Swap),
}

/// Serves until all senders are gone and the queue is empty.
pub(super) fn run(mut db: Connection, turns: &Turns, mut commands: mpsc::Receiver<Command>) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    let mut patience = Duration::MAX;
    while commands.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
        let Some(turn) = wait(turns, &mut batch) else {
            continue;
        };
        let applied = apply(&mut db, &batch, patience);
        drop(turn);
        // Whoever holds the file for so long may do so for longer: the next ones are told soon.
        patience = match &applied {
            Err(StoreError::Busy) => IMPATIENCE,
            _ => Duration::MAX,
        };
        match applied {
            Ok(results) => {
                for (command, result) in batch.drain(..).zip(results) {
                    // Nobody waits any more for a request that was given up; its write stands.
                    let _ = command.answer.send(result);
                }
            }
            Err(error) => refuse(batch.drain(..), &error),
        }
    }
}

/// Waits for the turn to write, and refuses those of the batch that have waited for too long: all of
/// them where there is no turn.
fn wait<'a>(turns: &'a Turns, batch: &mut Vec<Command>) -> Option<Turn<'a>> {
    let now = Instant::now();
    let late = batch.extract_if(.., |command| command.deadline <= now);
    refuse(late, &StoreError::Busy);
    let error = match turns.wait(earliest(batch)?) {
        Ok(Some(turn)) => return Some(turn),
        // Who came later might wait longer, but nobody knows for what.
        Ok(None) => StoreError::Busy,
        Err(error) => {
            tracing::error!(reason = %error, "cannot wait for other processes");
            StoreError::Unavailable("the store failed".into())
        }
    };
    refuse(batch.drain(..), &error);
    None
}

/// When the first of them must have begun.
fn earliest(batch: &[Command]) -> Option<Instant> {
    batch.iter().map(|command| command.deadline).min()
}

fn refuse(commands: impl IntoIterator<Item = Command>, error: &StoreError) {
    for command in commands {
        let _ = command.answer.send(Err(error.clone()));
    }
}

/// Applies a batch in one transaction: an error means that none of it is known to have happened,
/// and [`StoreError::Busy`] that none of it has.
fn apply(
    db: &mut Connection,
    batch: &[Command],
    patience: Duration,
) -> Result<Vec<Result<Outcome, StoreError>>, StoreError> {
    // A process that takes no turns (an operator's `sqlite3`) may hold the file.
    let left = earliest(batch).map_or(Duration::ZERO, |deadline| {
        deadline.saturating_duration_since(Instant::now())
    });
    let begun = db
        .busy_timeout(left.min(patience))
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
            // A full disk, say, makes SQLite roll the whole transaction back, not the statement.
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

/// Writes unconditionally. Versions are 64 random bits: no counter to share between processes,
/// and a key that was deleted and made anew does not take its old versions up again.
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
        // `parse` alone also takes "+1" and "01", which is not how a sum is written.
        .and_then(|text| text.parse().ok().filter(|n: &i64| n.to_string() == text))
        .ok_or(StoreError::NotANumber)
}
