//! What has nothing to do at the moment and is kept for a while, since making a new one costs
//! more: instances of the component.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::host::memory::Reclaim;

/// A stack: the one that was used last is used next. So those that are not needed are not used,
/// and end.
pub(crate) struct Idle<T> {
    max_idle: Duration,
    kept: Mutex<Kept<T>>,
}

struct Kept<T> {
    /// Each with the time since when it is idle; the oldest first.
    stack: Vec<(T, Instant)>,
    /// Whether a task looks after those that are idle for too long.
    is_swept: bool,
}

impl<T: Send + 'static> Idle<T> {
    /// Keeps each for so long.
    pub(crate) fn new(max_idle: Duration) -> Arc<Self> {
        Arc::new(Self {
            max_idle,
            kept: Mutex::new(Kept {
                stack: Vec::new(),
                is_swept: false,
            }),
        })
    }

    /// The one that was used last, if there is one.
    pub(crate) fn take(&self) -> Option<T> {
        self.lock().stack.pop().map(|(one, _)| one)
    }

    /// Keeps one.
    pub(crate) fn put(self: &Arc<Self>, one: T) {
        let mut kept = self.lock();
        kept.stack.push((one, Instant::now()));
        if !std::mem::replace(&mut kept.is_swept, true) {
            tokio::spawn(Arc::clone(self).sweep());
        }
    }

    /// Ends those that are idle for too long, until there are none.
    async fn sweep(self: Arc<Self>) {
        while let Some(next) = self.end_expired() {
            tokio::time::sleep_until(next).await;
        }
    }

    /// Ends those that have expired. Gives the time when the next one will have.
    fn end_expired(&self) -> Option<Instant> {
        let mut kept = self.lock();
        let now = Instant::now();
        let alive = kept
            .stack
            .partition_point(|(_, since)| *since + self.max_idle <= now);
        let expired: Vec<_> = kept.stack.drain(..alive).collect();
        let next = kept.stack.first().map(|(_, since)| *since + self.max_idle);
        kept.is_swept = next.is_some();
        // To end an instance takes a moment, and others want to take and put.
        drop(kept);
        drop(expired);
        next
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Reclaim for Idle<T> {
    /// Ends the one that has been idle for longest.
    fn reclaim(&self) -> bool {
        let mut kept = self.lock();
        if kept.stack.is_empty() {
            return false;
        }
        let oldest = kept.stack.remove(0);
        drop(kept);
        drop(oldest);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_one_that_was_used_last_is_used_next() {
        let idle = Idle::new(Duration::from_secs(3600));
        assert_eq!(idle.take(), None);
        for one in [1, 2, 3] {
            idle.put(one);
        }
        assert_eq!(idle.take(), Some(3));
        assert!(idle.reclaim(), "1 gives way");
        idle.put(4);
        assert_eq!(idle.take(), Some(4));
        assert_eq!(idle.take(), Some(2));
        assert!(!idle.reclaim());
    }

    #[tokio::test]
    async fn those_that_are_not_used_end_and_so_do_later_ones() {
        let idle = Idle::new(Duration::from_millis(10));
        let alive = Arc::new(());
        for _ in 0..2 {
            for _ in 0..3 {
                idle.put(Arc::clone(&alive));
            }
            let ended = async {
                while Arc::strong_count(&alive) > 1 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            let ended = tokio::time::timeout(Duration::from_secs(60), ended).await;
            ended.expect("they stay");
        }
    }

    #[tokio::test]
    async fn only_those_that_have_expired_end() {
        let idle = Idle::new(Duration::from_secs(3600));
        idle.put(1);
        idle.put(2);
        let since = Instant::now() - Duration::from_secs(3600);
        idle.lock().stack[0].1 = since;
        let next = idle.end_expired().expect("one is left");
        assert!(next > Instant::now());
        assert_eq!(idle.take(), Some(2));
        assert_eq!(idle.end_expired(), None);
    }
}
