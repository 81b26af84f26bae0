//! How long each client's requests computed lately.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::client::Client;

/// After this time half of what a client has used is forgotten.
const HALF_LIFE: Duration = Duration::from_secs(30);

/// What is left of a client's time when the client itself is forgotten.
const NEGLIGIBLE: Duration = Duration::from_millis(1);

/// How many clients there are at least before any is forgotten.
const MIN_SWEPT: usize = 1024;

/// The time of each client, which halves with time.
pub(super) struct Usage {
    clients: HashMap<Client, Used>,
    /// At how many clients those with negligible time are forgotten.
    sweep_at: usize,
}

/// What a client had used at some time.
#[derive(Clone, Copy)]
struct Used {
    time: Duration,
    at: Instant,
}

impl Used {
    /// What counts of it at `now`.
    fn left(self, now: Instant) -> Duration {
        let age = now.saturating_duration_since(self.at);
        self.time.mul_f64((-age.div_duration_f64(HALF_LIFE)).exp2())
    }
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            clients: HashMap::new(),
            sweep_at: MIN_SWEPT,
        }
    }
}

impl Usage {
    /// Adds what a client used.
    pub fn add(&mut self, client: Client, time: Duration, now: Instant) {
        let time = self.of(client, now) + time;
        self.clients.insert(client, Used { time, at: now });
        if self.clients.len() >= self.sweep_at {
            self.clients.retain(|_, used| used.left(now) >= NEGLIGIBLE);
            self.sweep_at = MIN_SWEPT.max(2 * self.clients.len());
        }
    }

    /// What a client used lately.
    pub fn of(&self, client: Client, now: Instant) -> Duration {
        let used = self.clients.get(&client);
        used.map_or(Duration::ZERO, |used| used.left(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_is_forgotten_with_time() {
        let (mut usage, start) = (Usage::default(), Instant::now());
        let client = Client::Local(1);
        assert_eq!(usage.of(client, start), Duration::ZERO);
        usage.add(client, Duration::from_secs(1), start);
        let later = start + HALF_LIFE;
        assert_eq!(usage.of(client, later), Duration::from_millis(500));
        usage.add(client, Duration::from_millis(300), later);
        assert_eq!(
            usage.of(client, later + HALF_LIFE),
            Duration::from_millis(400)
        );
        assert_eq!(usage.of(Client::Local(2), later), Duration::ZERO);
    }

    #[test]
    fn clients_are_forgotten_too() {
        let (mut usage, start) = (Usage::default(), Instant::now());
        for number in 0..100_000 {
            let now = start + Duration::from_millis(10 * number);
            usage.add(Client::Local(number), Duration::from_millis(10), now);
        }
        // 10 ms are negligible after 100 s, in which 10,000 clients come.
        assert!(usage.clients.len() < 25_000, "{}", usage.clients.len());
    }
}
