//! Memory limits: of each instance, and of all together.

use std::sync::{
    Arc, OnceLock, Weak,
    atomic::{AtomicUsize, Ordering},
};

use thiserror::Error;
use wasmtime::ResourceLimiter;

/// The most memory that one instance may have, in bytes.
const MAX_INSTANCE_BYTES: usize = 256 * 1024 * 1024;

/// The most entries that a table of an instance may have.
const MAX_TABLE_ELEMENTS: usize = 20_000;

/// All instances together use as much memory as they may. The instance that needed more is ended.
#[derive(Clone, Copy, Debug, Error)]
#[error("the instances of the component have all the memory that they may have together")]
pub struct OutOfMemory;

/// Something that can free memory when there is none left.
pub trait Reclaim: Send + Sync {
    /// Frees some memory. False if it has nothing to free.
    fn reclaim(&self) -> bool;
}

/// The memory that all instances share.
pub struct Memory {
    max_bytes: usize,
    used_bytes: AtomicUsize,
    reclaim: OnceLock<Weak<dyn Reclaim>>,
}

impl Memory {
    /// A limit of `max_bytes`.
    pub fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            max_bytes,
            used_bytes: AtomicUsize::new(0),
            reclaim: OnceLock::new(),
        })
    }

    /// Sets what can free memory when there is none left. Only the first call has an effect.
    pub fn set_reclaim(&self, reclaim: Weak<dyn Reclaim>) {
        let _ = self.reclaim.set(reclaim);
    }

    /// What the instances use now, in bytes.
    pub fn used_bytes(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> Result<(), OutOfMemory> {
        loop {
            let taken = self
                .used_bytes
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                    used.checked_add(bytes).filter(|sum| *sum <= self.max_bytes)
                });
            if taken.is_ok() {
                return Ok(());
            }
            let reclaim = self.reclaim.get().and_then(Weak::upgrade);
            if !reclaim.is_some_and(|reclaim| reclaim.reclaim()) {
                return Err(OutOfMemory);
            }
        }
    }

    fn give_back(&self, bytes: usize) {
        self.used_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }
}

/// Limits one instance, and counts its memory until it is dropped.
pub struct Limiter {
    memory: Arc<Memory>,
    /// The memory that was granted: no less than the instance has.
    held_bytes: usize,
}

impl Limiter {
    /// The limits of a new instance, which has no memory yet.
    pub(super) fn new(memory: Arc<Memory>) -> Self {
        Self {
            memory,
            held_bytes: 0,
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > MAX_INSTANCE_BYTES.min(maximum.unwrap_or(usize::MAX)) {
            return Ok(false);
        }
        let more = desired.saturating_sub(current);
        // An error ends the instance at once, with a reason. The guest itself could only abort.
        self.memory.take(more)?;
        self.held_bytes += more;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.memory.give_back(self.held_bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wasmtime::{Engine, Instance, Module, Store};

    use super::*;
    use crate::idle_pool::IdlePool;

    const PAGE: usize = 64 * 1024;

    /// `(module (memory (export "m") 1) (func (export "f") (param i32) (result i32)
    /// local.get 0 memory.grow))`
    const GROWS: &[u8] = b"\0asm\x01\0\0\0\
        \x01\x06\x01\x60\x01\x7f\x01\x7f\
        \x03\x02\x01\x00\
        \x05\x03\x01\x00\x01\
        \x07\x09\x02\x01m\x02\x00\x01f\x00\x00\
        \x0a\x08\x01\x06\x00\x20\x00\x40\x00\x0b";

    /// An instance of [`GROWS`], which starts with one page.
    struct Guest {
        store: Store<Limiter>,
        instance: Instance,
    }

    impl Guest {
        fn new(module: &Module, memory: &Arc<Memory>) -> wasmtime::Result<Self> {
            let mut store = Store::new(module.engine(), Limiter::new(Arc::clone(memory)));
            store.limiter(|limiter| limiter);
            let instance = Instance::new(&mut store, module, &[])?;
            Ok(Self { store, instance })
        }

        /// Grows the memory. Returns the previous number of pages, or -1.
        fn grow(&mut self, pages: usize) -> wasmtime::Result<i32> {
            let grow = self
                .instance
                .get_typed_func::<i32, i32>(&mut self.store, "f")?;
            grow.call(&mut self.store, i32::try_from(pages).unwrap())
        }
    }

    fn module() -> Module {
        Module::new(&Engine::default(), GROWS).unwrap()
    }

    #[test]
    fn instances_share_the_memory_and_give_it_back() {
        let (module, memory) = (module(), Memory::new(10 * PAGE));
        let mut one = Guest::new(&module, &memory).unwrap();
        let mut other = Guest::new(&module, &memory).unwrap();
        assert_eq!(memory.used_bytes(), 2 * PAGE);
        assert_eq!(one.grow(7).unwrap(), 1);
        let error = other.grow(2).unwrap_err();
        assert!(error.is::<OutOfMemory>(), "{error:?}");
        assert_eq!(other.grow(1).unwrap(), 1);
        let error = Guest::new(&module, &memory).err().unwrap();
        assert!(error.is::<OutOfMemory>(), "{error:?}");
        drop(one);
        assert_eq!(memory.used_bytes(), 2 * PAGE);
        assert_eq!(other.grow(8).unwrap(), 2);
        drop(other);
        assert_eq!(memory.used_bytes(), 0);
    }

    #[test]
    fn one_instance_has_a_limit_of_its_own() {
        let memory = Memory::new(usize::MAX);
        let mut guest = Guest::new(&module(), &memory).unwrap();
        let most = MAX_INSTANCE_BYTES / PAGE;
        // The guest sees that there is no more memory.
        assert_eq!(guest.grow(most).unwrap(), -1);
        assert_eq!(guest.grow(usize::from(u16::MAX)).unwrap(), -1);
        assert_eq!(guest.grow(most - 1).unwrap(), 1);
        assert_eq!(memory.used_bytes(), MAX_INSTANCE_BYTES);
    }

    #[tokio::test]
    async fn idle_instances_are_dropped_as_needed() {
        let (module, memory) = (module(), Memory::new(10 * PAGE));
        let idle = IdlePool::new(Duration::from_secs(3600));
        let reclaim: Arc<dyn Reclaim> = Arc::clone(&idle) as _;
        memory.set_reclaim(Arc::downgrade(&reclaim));
        for _ in 0..6 {
            idle.put(Guest::new(&module, &memory).unwrap());
        }
        let mut guest = Guest::new(&module, &memory).unwrap();
        assert_eq!(guest.grow(5).unwrap(), 1);
        // Of the six four are left.
        assert_eq!(memory.used_bytes(), 10 * PAGE);
        assert_eq!(guest.grow(4).unwrap(), 6);
        assert_eq!(memory.used_bytes(), 10 * PAGE);
        assert!(idle.take().is_none());
        assert!(guest.grow(1).unwrap_err().is::<OutOfMemory>());
    }
}
