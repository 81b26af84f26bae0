//! Turns between processes that write to one file.
//!
//! SQLite lets a process that writes without a pause take its lock again and again, while
//! another, which polls for it, starves. Two locks make them take turns: whoever wants to write
//! holds the gate while it waits for the turn, so whoever just had the turn waits at the gate.
//! The system lets go of both when a process ends, however it ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// One process's place in the queue.
pub(super) struct Turns {
    gate: File,
    turn: File,
}

/// The right to write, until it is dropped.
pub(super) struct Turn<'a>(&'a File);

impl Turns {
    /// Opens the lock files beside the store's file, and makes them (mode 0600) where there are
    /// none.
    pub(super) fn open(store: &Path) -> io::Result<Self> {
        let open = |extension| {
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(store.with_extension(extension))
        };
        Ok(Self {
            gate: open("gate")?,
            turn: open("turn")?,
        })
    }

    /// Waits for its turn.
    pub(super) fn wait(&self) -> io::Result<Turn<'_>> {
        self.gate.lock()?;
        let turn = self.turn.lock();
        self.gate.unlock()?;
        turn.map(|()| Turn(&self.turn))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::error!(reason = %error, "cannot let another process write");
        }
    }
}
