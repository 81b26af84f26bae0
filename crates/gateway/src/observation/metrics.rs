//! What is counted and measured. The names and labels are those of `docs/reference/operations.md`.
//! No label has a value that a client chooses.

mod labels;
mod words;

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{prometheus_text, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};

use labels::{FailureLabels, KeyType, Limit, Outcome, RequestLabels, State, StoreLabels};
pub use labels::{Operation, Reason, StoreOutcome};
use words::Words;

use super::{exposition, process::Process};

/// The upper bounds of the buckets for requests, in seconds.
const REQUEST_BUCKETS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Those for calls of the store: 0.1 ms to 10 s.
const STORE_BUCKETS: [f64; 12] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0,
];

/// Those for the generation of keys: an EC key takes a millisecond, a long RSA key seconds.
const KEY_BUCKETS: [f64; 11] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// The metrics of a server. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    requests: Histograms<RequestLabels>,
    active_requests: Gauge,
    registrations: Words<Outcome>,
    deregistrations: Words<Outcome>,
    keys: Words<KeyType>,
    key_generation: Histogram,
    store: Histograms<StoreLabels>,
    store_conflicts: Counter,
    rate_limited: Words<Limit>,
    instances: Family<State, Gauge>,
    failures: Family<FailureLabels, Counter>,
    ca_expiry: Family<[(&'static str, &'static str); 0], Gauge>,
    registry: Arc<Registry>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            requests: Family::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS)),
            active_requests: Gauge::default(),
            registrations: Words::default(),
            deregistrations: Words::default(),
            keys: Words::default(),
            key_generation: Histogram::new(KEY_BUCKETS),
            store: Family::new_with_constructor(|| Histogram::new(STORE_BUCKETS)),
            store_conflicts: Counter::default(),
            rate_limited: Words::default(),
            instances: Family::default(),
            failures: Family::default(),
            ca_expiry: Family::default(),
            registry: Arc::default(),
        };
        metrics.registry = metrics.registered().into();
        metrics
    }
}

impl Metrics {
    /// A registry of all metrics. To the names of counters it adds `_total`, and to that of the
    /// information `_info`.
    fn registered(&self) -> Registry {
        let mut registry = Registry::default();
        registry.register(
            "http_server_request_duration_seconds",
            "How long requests took, in seconds",
            self.requests.clone(),
        );
        registry.register(
            "http_server_active_requests",
            "Requests that are being answered",
            self.active_requests.clone(),
        );
        let domains = registry.sub_registry_with_prefix("anonymous_domains");
        domains.register(
            "registrations",
            "Registrations, by their outcome",
            self.registrations.counters.clone(),
        );
        domains.register(
            "deregistrations",
            "De-registrations, by their outcome",
            self.deregistrations.counters.clone(),
        );
        domains.register(
            "keys_generated",
            "Domain keys that were made",
            self.keys.counters.clone(),
        );
        domains.register(
            "key_generation_duration_seconds",
            "How long it took to make a domain key, in seconds",
            self.key_generation.clone(),
        );
        domains.register(
            "store_operation_duration_seconds",
            "How long calls of the store took, in seconds",
            self.store.clone(),
        );
        domains.register(
            "store_conflicts",
            "Writes that came second, and were done again",
            self.store_conflicts.clone(),
        );
        domains.register(
            "rate_limited",
            "Requests that were refused because of a limit",
            self.rate_limited.counters.clone(),
        );
        domains.register(
            "component_instances",
            "Instances of the component",
            self.instances.clone(),
        );
        domains.register(
            "component_failures",
            "Requests that the component did not answer",
            self.failures.clone(),
        );
        domains.register(
            "ca_certificate_expiry_timestamp_seconds",
            "When the domain CA's certificate ends, in seconds since 1970",
            self.ca_expiry.clone(),
        );
        domains.register(
            "build",
            "The version of the gateway",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register_collector(Box::new(Process));
        registry
    }

    /// Counts a request that is being answered, until the result is dropped.
    pub fn begin_request(&self) -> Counted {
        self.active_requests.inc();
        Counted(self.active_requests.clone())
    }

    /// Measures a request: a method and a route from a fixed set, and the status of its response.
    pub fn request(
        &self,
        method: &'static str,
        route: &'static str,
        status: u16,
        duration: Duration,
    ) {
        let labels = RequestLabels {
            http_request_method: method,
            http_route: route,
            http_response_status_code: status,
        };
        let histogram = self.requests.get_or_create(&labels);
        histogram.observe(duration.as_secs_f64());
    }

    /// Measures a call of the store.
    pub fn store_operation(&self, operation: Operation, outcome: StoreOutcome, duration: Duration) {
        let labels = StoreLabels { operation, outcome };
        let histogram = self.store.get_or_create(&labels);
        histogram.observe(duration.as_secs_f64());
        if outcome == StoreOutcome::Conflict {
            self.store_conflicts.inc();
        }
    }

    /// Counts a registration with an outcome that the component names.
    pub fn registration(&self, outcome: &str) {
        self.registrations
            .count(outcome, |outcome| Outcome { outcome });
    }

    /// Counts a de-registration with an outcome that the component names.
    pub fn deregistration(&self, outcome: &str) {
        self.deregistrations
            .count(outcome, |outcome| Outcome { outcome });
    }

    /// Counts a domain key that was made, and measures how long it took, if that is known.
    pub fn key_generated(&self, key_type: &str, seconds: Option<f64>) {
        self.keys.count(key_type, |r#type| KeyType { r#type });
        if let Some(seconds) = seconds.filter(|seconds| *seconds >= 0.0) {
            self.key_generation.observe(seconds);
        }
    }

    /// Counts a request that was refused because of the limit of this name.
    pub fn rate_limited(&self, limit: &str) {
        self.rate_limited.count(limit, |limit| Limit { limit });
    }

    /// Counts a request that the component did not answer.
    pub fn component_failure(&self, reason: Reason) {
        self.failures.get_or_create(&FailureLabels { reason }).inc();
    }

    /// Counts an instance of the component that works, until the result is dropped.
    pub fn begin_busy(&self) -> Counted {
        let busy = self.instances.get_or_create_owned(&State { state: "busy" });
        busy.inc();
        Counted(busy)
    }

    /// Says how many instances wait for a request.
    pub fn set_idle(&self, instances: usize) {
        let idle = self.instances.get_or_create(&State { state: "idle" });
        idle.set(i64::try_from(instances).unwrap_or(i64::MAX));
    }

    /// Says when the domain CA's certificate ends, in seconds since 1970.
    pub fn set_ca_expiry(&self, seconds: i64) {
        self.ca_expiry.get_or_create(&[]).set(seconds);
    }

    /// All metrics, as a client wants them that sends this `Accept`: their media type, and a text.
    pub fn page(&self, accept: &str) -> (&'static str, String) {
        let mut text = String::with_capacity(16 * 1024);
        let open = exposition::prefers_open_metrics(accept);
        // Writing to a text cannot fail.
        let _ = if open {
            text::encode(&mut text, &self.registry)
        } else {
            prometheus_text::encode(&mut text, &self.registry)
        };
        let kind = if open {
            exposition::OPEN_METRICS
        } else {
            exposition::PROMETHEUS
        };
        (kind, text)
    }
}

/// Something that is counted until this is dropped.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests;
