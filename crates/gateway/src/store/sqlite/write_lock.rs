//! A fair lock between the processes that write to one file.
//!
//! SQLite's own lock is not fair: a process that writes without a pause can take it again and
//! again, while another process, which polls for it, starves. Two file locks make the order fair. A
//! process that wants to write holds the gate while it waits for the write lock. So the process that
//! just had the write lock has to wait at the gate. The system releases both when a process ends,
//! however it ends.
//!
//! A process that is stopped keeps what it holds, so waiting must have a limit. But a wait for a
//! file lock cannot be cancelled, and polling would lose the progress in the shared. So if a lock is not
//! free at once, another thread waits for it. After a timeout that thread goes on waiting, and
//! releases what it gets. Until then every write is refused at once.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// One process's side of the lock.
pub(super) struct WriteLock(Arc<Shared>);

/// The right to write, until it is dropped.
pub(super) struct WriteGuard<'a>(&'a Shared);

/// What a [`WriteLock`] shares with the thread that waits for it.
struct Shared {
    gate: File,
    write_lock: File,
    progress: Mutex<Progress>,
    changed: Condvar,
}

struct Progress {
    state: State,
    /// Whether somebody waits for the write lock. If not, the thread gets it too late.
    is_wanted: bool,
    /// Whether there is a thread that waits for the locks.
    has_thread: bool,
    is_closed: bool,
}

enum State {
    /// Neither holds nor waits for a lock.
    Idle,
    /// The thread waits for the write lock, and first for the gate if that is not held yet.
    Waiting { holds_gate: bool },
    /// The thread has got the write lock.
    Ready,
    /// There is a [`WriteGuard`].
    Taken,
    /// The thread could not wait.
    Failed(io::Error),
}

impl WriteLock {
    /// Opens the lock files beside the store's file, and creates them (mode 0600) if there are none.
    pub(super) fn open(store: &Path) -> io::Result<Self> {
        let open = |extension| {
            let path = store.with_extension(extension);
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path);
            file.map_err(|e| {
                io::Error::new(e.kind(), format!("cannot write {}: {e}", path.display()))
            })
        };
        Ok(Self(Arc::new(Shared {
            gate: open("gate")?,
            write_lock: open("turn")?,
            progress: Mutex::new(Progress {
                state: State::Idle,
                is_wanted: false,
                has_thread: false,
                is_closed: false,
            }),
            changed: Condvar::new(),
        })))
    }

    /// Acquires the lock. `None` if that takes longer than until `deadline`; from then on also at
    /// once, until the process that holds the lock releases it. Only one caller may wait at a time.
    pub(super) fn acquire(&self, deadline: Instant) -> io::Result<Option<WriteGuard<'_>>> {
        let shared = &*self.0;
        let mut progress = shared.lock();
        match progress.state {
            State::Idle => progress.state = shared.try_acquire()?,
            // The thread is still waiting, and an earlier caller has timed out.
            State::Waiting { .. } => return Ok(None),
            _ => {}
        }
        if let State::Waiting { holds_gate } = progress.state
            && !progress.has_thread
        {
            let waiting = Arc::clone(&self.0);
            let thread = std::thread::Builder::new()
                .name("store-lock".into())
                .spawn(move || waiting.wait_for_locks());
            if let Err(error) = thread {
                progress.state = State::Idle;
                if holds_gate {
                    shared.gate.unlock()?;
                }
                return Err(error);
            }
            progress.has_thread = true;
        }
        progress.is_wanted = true;
        shared.changed.notify_all();
        loop {
            match std::mem::replace(&mut progress.state, State::Idle) {
                State::Ready => {
                    progress.state = State::Taken;
                    progress.is_wanted = false;
                    return Ok(Some(WriteGuard(shared)));
                }
                State::Failed(error) => {
                    progress.is_wanted = false;
                    return Err(error);
                }
                state => progress.state = state,
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                progress.is_wanted = false;
                tracing::error!(
                    "another process does not let this one write to the store; \
                     writes are refused until it does"
                );
                return Ok(None);
            }
            let waited = shared.changed.wait_timeout(progress, left);
            progress = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for WriteLock {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the write lock if both locks are free.
    fn try_acquire(&self) -> io::Result<State> {
        if !is_free(self.gate.try_lock())? {
            return Ok(State::Waiting { holds_gate: false });
        }
        match is_free(self.write_lock.try_lock()) {
            Ok(true) => {
                self.gate.unlock()?;
                Ok(State::Ready)
            }
            Ok(false) => Ok(State::Waiting { holds_gate: true }),
            Err(error) => {
                self.gate.unlock()?;
                Err(error)
            }
        }
    }

    /// The thread that waits.
    fn wait_for_locks(&self) {
        let mut progress = self.lock();
        loop {
            let holds_gate = match progress.state {
                State::Waiting { holds_gate } => holds_gate,
                _ if progress.is_closed => return,
                _ => {
                    let changed = self.changed.wait(progress);
                    progress = changed.unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
            };
            drop(progress);
            let acquired = self.wait_for_write_lock(holds_gate);
            progress = self.lock();
            progress.state = match acquired {
                Err(error) => State::Failed(error),
                Ok(()) if progress.is_wanted => State::Ready,
                // It comes too late. Other processes must not wait for a lock that nobody uses.
                Ok(()) => match self.write_lock.unlock() {
                    Ok(()) => {
                        tracing::info!("writes to the store are possible again");
                        State::Idle
                    }
                    Err(error) => State::Failed(error),
                },
            };
            self.changed.notify_all();
        }
    }

    fn wait_for_write_lock(&self, holds_gate: bool) -> io::Result<()> {
        if !holds_gate {
            self.gate.lock()?;
        }
        let locked = self.write_lock.lock();
        let unlocked = self.gate.unlock();
        locked?;
        if unlocked.is_err() {
            self.write_lock.unlock()?;
        }
        unlocked
    }
}

/// Whether a lock was free, and is held now.
fn is_free(tried: Result<(), TryLockError>) -> io::Result<bool> {
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        self.0.lock().state = State::Idle;
        if let Err(error) = self.0.write_lock.unlock() {
            tracing::error!(reason = %error, "cannot let another process write");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How long anything may take before a test gives up.
    const LONG: Duration = Duration::from_secs(60);

    fn after(time: Duration) -> Instant {
        Instant::now() + time
    }

    fn two() -> (tempfile::TempDir, [WriteLock; 2]) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let two = [(); 2].map(|()| WriteLock::open(&path).unwrap());
        (directory, two)
    }

    #[test]
    fn one_process_writes_at_a_time_and_one_that_waits_is_next() {
        let (directory, [one, other]) = two();
        let gate = WriteLock::open(&directory.path().join("store.db")).unwrap();
        let order = Mutex::new(Vec::new());
        let guard = one.acquire(after(LONG)).unwrap().expect("it is free");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _guard = other.acquire(after(LONG)).unwrap().expect("the lock");
                order.lock().unwrap().push("other");
            });
            while is_free(gate.0.gate.try_lock()).unwrap() {
                gate.0.gate.unlock().unwrap();
                std::thread::yield_now();
            }
            assert!(order.lock().unwrap().is_empty());
            drop(guard);
            let _guard = one.acquire(after(LONG)).unwrap().expect("the lock");
            order.lock().unwrap().push("one");
        });
        assert_eq!(order.into_inner().unwrap(), ["other", "one"]);
    }

    #[test]
    fn waiting_has_a_limit_and_a_lock_that_comes_too_late_is_released() {
        let (_directory, [one, other]) = two();
        for _ in 0..20 {
            let guard = one.acquire(after(LONG)).unwrap().expect("the lock");
            assert!(other.acquire(after(Duration::ZERO)).unwrap().is_none());
            drop(guard);
        }
        // A process that is gone keeps nothing either.
        drop(other);
        assert!(one.acquire(after(LONG)).unwrap().is_some());
    }

    #[test]
    fn after_a_timeout_nobody_waits_until_the_lock_may_be_free() {
        let (_directory, [one, other]) = two();
        let guard = one.acquire(after(LONG)).unwrap().expect("the lock");
        assert!(other.acquire(after(Duration::ZERO)).unwrap().is_none());
        // Waiting until the deadline would take longer than the test may.
        assert!(other.acquire(after(100 * LONG)).unwrap().is_none());
        drop(guard);
        let start = Instant::now();
        while other.acquire(after(LONG)).unwrap().is_none() {
            assert!(start.elapsed() < LONG);
            std::thread::yield_now();
        }
    }
}
