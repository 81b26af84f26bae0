//! How often a client may ask, and how often devices may ask for one domain: token buckets.

use std::{
    hash::{BuildHasher as _, Hash, RandomState},
    num::NonZeroU32,
    sync::{Mutex, PoisonError, RwLock},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::keyed::HashMapStateStore,
};
use tokio::time::Instant;

use crate::{
    client::Client,
    limits::{RateLimit, Rates},
};

/// The prefix of the path of every device's request.
const DEVICES: &str = "/flashaccess/domainserver/";

/// How many buckets a limit has. Keys that fall into one share it, which is rare, and bounds the
/// memory whatever clients ask for.
const BUCKETS: u64 = 1 << 18;

/// How often buckets that are full again are dropped.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// How often the log says at most that a limit refused something.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// A request that came too early.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The limit: `client` or `domain`.
    pub limit: &'static str,
    /// How many requests may come at once.
    pub quota: u32,
    /// In how long these are earned again, in seconds.
    pub window_s: u32,
    /// When a request may be sent again, in seconds.
    pub retry_after_s: u32,
}

/// The limits of rates, which may change.
pub(super) struct RateLimits {
    limits: RwLock<Limits>,
    last_logged: Mutex<Option<Instant>>,
}

struct Limits {
    rates: Rates,
    client: Option<Buckets>,
    domain: Option<Buckets>,
}

impl RateLimits {
    pub(super) fn new(rates: Rates) -> Self {
        Self {
            limits: RwLock::new(Limits::new(rates)),
            last_logged: Mutex::new(None),
        }
    }

    /// Sets other rates; what was used up is forgotten then.
    pub(super) fn set(&self, rates: Rates) {
        let mut limits = self.limits.write().unwrap_or_else(PoisonError::into_inner);
        if limits.rates != rates {
            *limits = Limits::new(rates);
        }
    }

    /// Counts a request of a client.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if there were too many.
    pub(super) fn admit_client(&self, client: Client) -> Result<(), Refusal> {
        let limits = self.limits.read().unwrap_or_else(PoisonError::into_inner);
        self.result(limits.client.as_ref().map(|buckets| buckets.take(client)))
    }

    /// Counts a request with this path, below the path prefix, if it is a device's to a domain.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if there were too many for the domain.
    pub(super) fn admit_path(&self, path: &str) -> Result<(), Refusal> {
        let Some(domain) = domain_of(path) else {
            return Ok(());
        };
        let limits = self.limits.read().unwrap_or_else(PoisonError::into_inner);
        self.result(limits.domain.as_ref().map(|buckets| buckets.take(domain)))
    }

    fn result(&self, taken: Option<Result<(), Refusal>>) -> Result<(), Refusal> {
        let Some(Err(refusal)) = taken else {
            return Ok(());
        };
        let now = Instant::now();
        let mut last = self
            .last_logged
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| now - last >= LOG_INTERVAL) {
            *last = Some(now);
            tracing::warn!(
                limit = refusal.limit,
                "there are more requests than --rate-limit-{} allows; if a proxy sends them, name \
                 it with --trusted-proxy",
                refusal.limit
            );
        }
        Err(refusal)
    }
}

impl Limits {
    fn new(rates: Rates) -> Self {
        Self {
            rates,
            client: Buckets::new("client", rates.client, DefaultClock::default()),
            domain: Buckets::new("domain", rates.domain, DefaultClock::default()),
        }
    }
}

/// The domain's name in the path of a device's request, as it is written there.
pub(super) fn domain_of(path: &str) -> Option<&str> {
    let (domain, action) = path.strip_prefix(DEVICES)?.split_once('/')?;
    let is_action = matches!(action, "register" | "deregister");
    (is_action && !domain.is_empty()).then_some(domain)
}

/// The buckets of one limit.
struct Buckets<C: Clock = DefaultClock> {
    limit: &'static str,
    per_second: NonZeroU32,
    burst: NonZeroU32,
    /// Secret, so that nobody can choose whom to share a bucket with.
    hasher: RandomState,
    clock: C,
    limiter: RateLimiter<u32, HashMapStateStore<u32>, C, NoOpMiddleware<C::Instant>>,
    last_sweep: Mutex<C::Instant>,
}

impl<C: Clock + Clone> Buckets<C> {
    fn new(limit: &'static str, rate: RateLimit, clock: C) -> Option<Self> {
        let RateLimit::Rate { per_second, burst } = rate else {
            return None;
        };
        let quota = Quota::per_second(per_second).allow_burst(burst);
        Some(Self {
            limit,
            per_second,
            burst,
            hasher: RandomState::new(),
            limiter: RateLimiter::new(quota, HashMapStateStore::default(), clock.clone()),
            last_sweep: Mutex::new(clock.now()),
            clock,
        })
    }

    fn take(&self, key: impl Hash) -> Result<(), Refusal> {
        self.sweep();
        let bucket = (self.hasher.hash_one(key) % BUCKETS) as u32;
        let refused = match self.limiter.check_key(&bucket) {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        let wait = refused.wait_time_from(self.clock.now());
        let retry_after_s = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Err(Refusal {
            limit: self.limit,
            quota: self.burst.get(),
            window_s: self.burst.get().div_ceil(self.per_second.get()),
            retry_after_s: u32::try_from(retry_after_s).unwrap_or(u32::MAX).max(1),
        })
    }

    /// Drops the buckets that are full again, from time to time.
    fn sweep(&self) {
        use governor::clock::Reference as _;
        let now = self.clock.now();
        let Ok(mut last) = self.last_sweep.try_lock() else {
            return;
        };
        if Duration::from(now.duration_since(*last)) >= SWEEP_INTERVAL {
            *last = now;
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn buckets(rate: &str) -> (Buckets<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let rate = rate.parse().unwrap();
        (Buckets::new("client", rate, clock.clone()).unwrap(), clock)
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let (buckets, clock) = buckets("2/s:5");
        for _ in 0..5 {
            assert_eq!(buckets.take("one"), Ok(()));
        }
        let refusal = Refusal {
            limit: "client",
            quota: 5,
            window_s: 3,
            retry_after_s: 1,
        };
        assert_eq!(buckets.take("one"), Err(refusal));
        assert_eq!(buckets.take("other"), Ok(()));
        clock.advance(Duration::from_millis(500));
        assert_eq!(buckets.take("one"), Ok(()));
        assert_eq!(buckets.take("one"), Err(refusal));
    }

    #[test]
    fn a_slow_rate_says_how_long_to_wait() {
        let (buckets, clock) = buckets("1/s:1");
        assert_eq!(buckets.take("one"), Ok(()));
        clock.advance(Duration::from_millis(1));
        assert_eq!(buckets.take("one").unwrap_err().retry_after_s, 1);
    }

    #[test]
    fn idle_keys_are_dropped_and_the_others_are_bounded() {
        let (buckets, clock) = buckets("10/s");
        for key in 0..2 * BUCKETS {
            let _ = buckets.take(key);
        }
        assert!(buckets.limiter.len() <= BUCKETS as usize);
        clock.advance(SWEEP_INTERVAL);
        let _ = buckets.take("one");
        assert_eq!(buckets.limiter.len(), 1);
    }

    #[test]
    fn only_devices_requests_are_to_a_domain() {
        assert_eq!(domain_of("/flashaccess/domainserver/d/register"), Some("d"));
        assert_eq!(
            domain_of("/flashaccess/domainserver/d%20/deregister"),
            Some("d%20")
        );
        for path in [
            "/healthz",
            "/flashaccess/domainserver/d",
            "/flashaccess/domainserver//register",
            "/flashaccess/domainserver/d/other",
            "/flashaccess/domainserver/d/register/",
            "/x/flashaccess/domainserver/d/register",
        ] {
            assert_eq!(domain_of(path), None, "{path}");
        }
    }

    #[tokio::test]
    async fn limits_may_change_and_be_off() {
        let limits = RateLimits::new(Rates::OFF);
        let client = Client::Local(1);
        assert!((0..100).all(|_| limits.admit_client(client).is_ok()));
        let rates = Rates {
            client: "1/s".parse().unwrap(),
            domain: "1/s".parse().unwrap(),
        };
        limits.set(rates);
        assert!(limits.admit_client(client).is_ok());
        limits.set(rates);
        assert!(limits.admit_client(client).is_err(), "it was not forgotten");
        for (path, number) in [("/healthz", 9), ("/flashaccess/domainserver/d/register", 1)] {
            let admitted = (0..9).filter(|_| limits.admit_path(path).is_ok()).count();
            assert_eq!(admitted, number);
        }
        limits.set(Rates::OFF);
        assert!(limits.admit_client(client).is_ok());
    }
}
