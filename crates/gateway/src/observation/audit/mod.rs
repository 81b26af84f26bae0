//! The audit log: the component's events in a file, as JSON lines that are chained.
//!
//! ```text
//! mod -> file -> chain
//! ```

mod chain;
mod file;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use file::LogFile;

use super::{RequestId, event::Event};

/// An audit log. Clones share it.
///
/// A record is with the system before the answer goes out: it survives the end of the gateway. It
/// is on the disk when [`sync`](Self::sync) was called after that.
#[derive(Clone, Debug)]
pub struct AuditLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// Whether the server goes on without the log.
    fail_open: bool,
    file: Mutex<LogFile>,
    is_dirty: AtomicBool,
}

impl AuditLog {
    /// Opens the log, and goes on with its chain if there is one. With `fail_open` requests are
    /// answered as usual if it cannot be written.
    ///
    /// # Errors
    ///
    /// If it cannot be opened, if another process writes it, or if its end is not that of an audit
    /// log.
    pub fn open(path: &Path, fail_open: bool) -> anyhow::Result<Self> {
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            fail_open,
            file: Mutex::new(LogFile::open(path)?),
            is_dirty: AtomicBool::new(false),
        })))
    }

    /// Records an event of a request. Returns whether the request may be answered.
    pub(super) fn record(&self, event: &Event<'_>, request: Option<&RequestId>) -> bool {
        let text = event.text();
        let missing = request.filter(|_| !event.has("request_id"));
        let result = match missing {
            _ if event.has("seq") || event.has("prev") => {
                Err(io::Error::other("an event has a member that the log adds"))
            }
            None => self.file().append(text),
            Some(id) => {
                let rest = text.strip_prefix('{').unwrap_or(text);
                // An id has no character that JSON escapes.
                let text = format!("{{\"request_id\":\"{id}\",{rest}");
                self.file().append(&text)
            }
        };
        self.0.is_dirty.store(true, Ordering::Relaxed);
        self.judge(result, "an event could not be written to the audit log")
    }

    /// Whether a request may be passed on that changes something.
    pub(super) fn may_change(&self) -> bool {
        let result = self.file().resume();
        self.judge(result, "the audit log still cannot be written")
    }

    fn judge(&self, result: io::Result<()>, message: &'static str) -> bool {
        match result {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(file = %self.0.path.display(), reason = %error, "{message}");
                self.0.fail_open
            }
        }
    }

    /// Goes on in a new file if the old one was renamed.
    pub fn reopen(&self) {
        let file = self.0.path.display();
        match self.file().reopen(&self.0.path) {
            Ok(true) => tracing::info!(%file, "the audit log goes on in a new file"),
            Ok(false) => {}
            Err(error) => tracing::error!(%file, reason = %format!("{error:#}"),
                "the audit log goes on in the old file"),
        }
    }

    /// Waits until what was recorded is on the disk. Blocks.
    pub fn sync(&self) {
        if !self.0.is_dirty.swap(false, Ordering::Relaxed) {
            return;
        }
        let handle = self.file().handle();
        if let Err(error) = handle.and_then(|file| file.sync_data()) {
            self.0.is_dirty.store(true, Ordering::Relaxed);
            tracing::error!(file = %self.0.path.display(), reason = %error,
                "the audit log cannot be written to the disk");
        }
    }

    fn file(&self) -> MutexGuard<'_, LogFile> {
        self.0.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
