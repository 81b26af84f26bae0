//! Turns between processes that write to one file.
//!
//! SQLite lets a process that writes without a pause take its lock again and again, while
//! another, which polls for it, starves. Two locks make them take turns: whoever wants to write
//! holds the gate while it waits for the turn, so whoever just had the turn waits at the gate.
//! The system lets go of both when a process ends, however it ends.
//!
//! A process that is stopped keeps what it has, so nobody waits for ever. Waiting for a lock of the
//! system's cannot be given up, though, and asking again and again would lose the place in the
//! queue. So where a lock is not free at once another thread waits for it. When its process has
//! given up, that thread keeps waiting, and lets go of what it gets. Until then whoever wants to
//! write is refused at once.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// One process's place in the queue.
pub(super) struct Turns(Arc<Queue>);

/// The right to write, until it is dropped.
pub(super) struct Turn<'a>(&'a Queue);

struct Queue {
    gate: File,
    turn: File,
    place: Mutex<Place>,
    changed: Condvar,
}

struct Place {
    state: State,
    /// Whether somebody waits for the turn. If not, what the thread waits for has come too late.
    is_wanted: bool,
    /// Whether there is a thread that waits for the locks.
    has_thread: bool,
    is_closed: bool,
}

enum State {
    /// Neither has nor waits for a lock.
    Away,
    /// The thread waits for the turn, and for the gate before it if that is not held yet.
    Waiting { holds_gate: bool },
    /// The thread has got the turn.
    Ready,
    /// There is a [`Turn`].
    Taken,
    /// The thread could not wait.
    Failed(io::Error),
}

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
        Ok(Self(Arc::new(Queue {
            gate: open("gate")?,
            turn: open("turn")?,
            place: Mutex::new(Place {
                state: State::Away,
                is_wanted: false,
                has_thread: false,
                is_closed: false,
            }),
            changed: Condvar::new(),
        })))
    }

    /// Waits for its turn, but not longer than until `deadline`: then there is none, and none until
    /// whoever has it lets go. Only one may wait at a time.
    pub(super) fn wait(&self, deadline: Instant) -> io::Result<Option<Turn<'_>>> {
        let queue = &*self.0;
        let mut place = queue.lock();
        match place.state {
            State::Away => place.state = queue.queue_up()?,
            // Somebody has waited for long enough.
            State::Waiting { .. } => return Ok(None),
            _ => {}
        }
        if let State::Waiting { holds_gate } = place.state
            && !place.has_thread
        {
            let waits = Arc::clone(&self.0);
            let thread = std::thread::Builder::new()
                .name("store-turns".into())
                .spawn(move || waits.wait_for_locks());
            if let Err(error) = thread {
                place.state = State::Away;
                if holds_gate {
                    queue.gate.unlock()?;
                }
                return Err(error);
            }
            place.has_thread = true;
        }
        place.is_wanted = true;
        queue.changed.notify_all();
        loop {
            match std::mem::replace(&mut place.state, State::Away) {
                State::Ready => {
                    place.state = State::Taken;
                    place.is_wanted = false;
                    return Ok(Some(Turn(queue)));
                }
                State::Failed(error) => {
                    place.is_wanted = false;
                    return Err(error);
                }
                state => place.state = state,
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                place.is_wanted = false;
                tracing::error!(
                    "another process does not let this one write to the store; \
                     writes are refused until it does"
                );
                return Ok(None);
            }
            let waited = queue.changed.wait_timeout(place, left);
            place = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the locks that are free.
    fn queue_up(&self) -> io::Result<State> {
        if !is_free(self.gate.try_lock())? {
            return Ok(State::Waiting { holds_gate: false });
        }
        match is_free(self.turn.try_lock()) {
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
        let mut place = self.lock();
        loop {
            let holds_gate = match place.state {
                State::Waiting { holds_gate } => holds_gate,
                _ if place.is_closed => return,
                _ => {
                    let changed = self.changed.wait(place);
                    place = changed.unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
            };
            drop(place);
            let turn = self.wait_for_turn(holds_gate);
            place = self.lock();
            place.state = match turn {
                Err(error) => State::Failed(error),
                Ok(()) if place.is_wanted => State::Ready,
                // Nobody else may wait for a turn that nobody uses.
                Ok(()) => match self.turn.unlock() {
                    Ok(()) => {
                        tracing::info!("writes to the store are possible again");
                        State::Away
                    }
                    Err(error) => State::Failed(error),
                },
            };
            self.changed.notify_all();
        }
    }

    fn wait_for_turn(&self, holds_gate: bool) -> io::Result<()> {
        if !holds_gate {
            self.gate.lock()?;
        }
        let turn = self.turn.lock();
        let unlocked = self.gate.unlock();
        turn?;
        if unlocked.is_err() {
            self.turn.unlock()?;
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

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().state = State::Away;
        if let Err(error) = self.0.turn.unlock() {
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

    fn two() -> (tempfile::TempDir, [Turns; 2]) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let two = [(); 2].map(|()| Turns::open(&path).unwrap());
        (directory, two)
    }

    #[test]
    fn one_writes_at_a_time_and_who_waits_is_next() {
        let (directory, [one, other]) = two();
        let gate = Turns::open(&directory.path().join("store.db")).unwrap();
        let order = Mutex::new(Vec::new());
        let turn = one.wait(after(LONG)).unwrap().expect("it is free");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _turn = other.wait(after(LONG)).unwrap().expect("the turn");
                order.lock().unwrap().push("other");
            });
            while is_free(gate.0.gate.try_lock()).unwrap() {
                gate.0.gate.unlock().unwrap();
                std::thread::yield_now();
            }
            assert!(order.lock().unwrap().is_empty());
            drop(turn);
            let _turn = one.wait(after(LONG)).unwrap().expect("the turn");
            order.lock().unwrap().push("one");
        });
        assert_eq!(order.into_inner().unwrap(), ["other", "one"]);
    }

    #[test]
    fn waiting_can_be_given_up_and_a_turn_that_comes_too_late_is_passed_on() {
        let (_directory, [one, other]) = two();
        for _ in 0..20 {
            let turn = one.wait(after(LONG)).unwrap().expect("the turn");
            assert!(other.wait(after(Duration::ZERO)).unwrap().is_none());
            drop(turn);
        }
        // Nor does one that is gone keep anything.
        drop(other);
        assert!(one.wait(after(LONG)).unwrap().is_some());
    }

    #[test]
    fn after_one_has_given_up_nobody_waits_until_there_may_be_a_turn() {
        let (_directory, [one, other]) = two();
        let turn = one.wait(after(LONG)).unwrap().expect("the turn");
        assert!(other.wait(after(Duration::ZERO)).unwrap().is_none());
        // That would take the whole time, or more than the test has.
        assert!(other.wait(after(100 * LONG)).unwrap().is_none());
        drop(turn);
        let start = Instant::now();
        while other.wait(after(LONG)).unwrap().is_none() {
            assert!(start.elapsed() < LONG);
            std::thread::yield_now();
        }
    }
}
