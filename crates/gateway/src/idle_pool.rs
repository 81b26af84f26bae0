//! Idle instances of the component, kept for a while because creating one is expensive.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::host::memory::Reclaim;

/// A stack: the instance that was used last is used next. So instances that are not needed stay
/// unused, and are dropped.
pub(crate) struct IdlePool<T> {
    max_idle: Duration,
    kept: Mutex<Kept<T>>,
}

struct Kept<T> {
    /// Each with the time since when it is idle. The oldest comes first.
    stack: Vec<(T, Instant)>,
    /// Whether a task drops the expired ones.
    has_sweeper: bool,
}

impl<T: Send + 'static> IdlePool<T> {
    /// Keeps each idle item for `max_idle`.
    pub(crate) fn new(max_idle: Duration) -> Arc<Self> {
        Arc::new(Self {
            max_idle,
            kept: Mutex::new(Kept {
                stack: Vec::new(),
                has_sweeper: false,
            }),
        })
    }

    /// The item that was used last, if there is one.
    pub(crate) fn take(&self) -> Option<T> {
        self.lock().stack.pop().map(|(item, _)| item)
    }

    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().stack.len()
    }

    /// Keeps an item.
    pub(crate) fn put(self: &Arc<Self>, item: T) {
        let mut kept = self.lock();
        kept.stack.push((item, Instant::now()));
        if !std::mem::replace(&mut kept.has_sweeper, true) {
            tokio::spawn(Arc::clone(self).sweep());
        }
    }

    /// Drops all items.
    pub(crate) fn clear(&self) {
        let dropped = std::mem::take(&mut self.lock().stack);
        // Dropping an instance takes a moment, so it happens without the lock.
        drop(dropped);
    }

    /// Drops expired items until there are no more items.
    async fn sweep(self: Arc<Self>) {
        while let Some(next) = self.drop_expired() {
            tokio::time::sleep_until(next).await;
        }
    }

    /// Drops the expired items. Returns when the next one expires.
    fn drop_expired(&self) -> Option<Instant> {
        let mut kept = self.lock();
        let now = Instant::now();
        let expired = kept
            .stack
            .partition_point(|(_, since)| *since + self.max_idle <= now);
        let expired: Vec<_> = kept.stack.drain(..expired).collect();
        let next = kept.stack.first().map(|(_, since)| *since + self.max_idle);
        kept.has_sweeper = next.is_some();
        // Dropping an instance takes a moment, so it happens without the lock.
        drop(kept);
        drop(expired);
        next
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Reclaim for IdlePool<T> {
    /// Drops the item that has been idle for longest.
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
    async fn the_item_that_was_used_last_is_used_next() {
        let idle = IdlePool::new(Duration::from_secs(3600));
        assert_eq!(idle.take(), None);
        for item in [1, 2, 3] {
            idle.put(item);
        }
        assert_eq!(idle.take(), Some(3));
        assert!(idle.reclaim(), "1 is dropped");
        idle.put(4);
        assert_eq!(idle.take(), Some(4));
        assert_eq!(idle.take(), Some(2));
        assert!(!idle.reclaim());
    }

    #[tokio::test]
    async fn all_items_are_dropped_at_once() {
        let idle = IdlePool::new(Duration::from_secs(3600));
        let alive = Arc::new(());
        for _ in 0..3 {
            idle.put(Arc::clone(&alive));
        }
        idle.clear();
        assert_eq!((idle.len(), Arc::strong_count(&alive)), (0, 1));
    }

    #[tokio::test]
    async fn unused_items_are_dropped_and_so_are_later_ones() {
        let idle = IdlePool::new(Duration::from_millis(10));
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
    async fn only_expired_items_are_dropped() {
        let idle = IdlePool::new(Duration::from_secs(3600));
        idle.put(1);
        idle.put(2);
        let since = Instant::now() - Duration::from_secs(3600);
        idle.lock().stack[0].1 = since;
        let next = idle.drop_expired().expect("one is left");
        assert!(next > Instant::now());
        assert_eq!(idle.take(), Some(2));
        assert_eq!(idle.drop_expired(), None);
    }
}
