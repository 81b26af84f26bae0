//! What the domain logic needs of the world besides a [`Store`](crate::store::Store).

/// Time, waiting and random numbers. The component takes them from WASI; tests and the simulation decide
/// them.
#[expect(
    async_fn_in_trait,
    reason = "a component has one thread, so no future needs to be Send"
)]
pub trait Environment {
    /// The time, in milliseconds since 1970-01-01T00:00:00Z.
    fn now_ms(&self) -> i64;

    /// Waits for `ms` milliseconds, during which other requests go on.
    async fn sleep_ms(&self, ms: u64);

    /// Fills `bytes` from a cryptographically secure source.
    fn fill_random(&self, bytes: &mut [u8]);

    /// Tells the operator something. Never a secret, never anything of a request's body.
    fn log(&self, line: &str);

    /// The time, in whole seconds since 1970-01-01T00:00:00Z.
    fn now_s(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// A random number.
    fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_random(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}
