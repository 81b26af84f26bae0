//! What is counted and measured. The names and labels are those of `docs/reference/operations.md`.
//! No label has a value that a client chooses.

use std::{
    collections::BTreeSet,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, prometheus_text, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};

use super::process::Process;

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

/// How many values a label may have that the component names: its errors, key types and limits.
const MAX_WORDS: usize = 64;

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

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    http_request_method: &'static str,
    http_route: &'static str,
    http_response_status_code: u16,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    outcome: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct KeyType {
    r#type: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Limit {
    limit: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct State {
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct StoreLabels {
    operation: Operation,
    outcome: StoreOutcome,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct FailureLabels {
    reason: Reason,
}

/// What a call of the store does.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Operation {
    /// Reads a value.
    Get,
    /// Writes a value.
    Set,
    /// Removes a value.
    Delete,
    /// Asks whether there is a value.
    Exists,
    /// Lists keys.
    ListKeys,
    /// Adds to a number.
    Increment,
    /// Replaces a value if nobody else did.
    CompareAndSwap,
}

impl Operation {
    /// Its name in metrics and traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Delete => "delete",
            Self::Exists => "exists",
            Self::ListKeys => "list_keys",
            Self::Increment => "increment",
            Self::CompareAndSwap => "compare_and_swap",
        }
    }
}

/// How a call of the store ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StoreOutcome {
    /// It did what it should.
    Ok,
    /// Somebody else had changed the value.
    Conflict,
    /// It failed.
    Error,
}

impl StoreOutcome {
    /// Its name in metrics and traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Conflict => "conflict",
            Self::Error => "error",
        }
    }
}

/// Why the component gave no response.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// There was no memory for it.
    NoRoom,
    /// It took too long.
    Timeout,
    /// It trapped, or answered nothing.
    Failed,
}

macro_rules! label_by_name {
    ($($label:ty),*) => {$(
        impl EncodeLabelValue for $label {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                EncodeLabelValue::encode(&self.name(), encoder)
            }
        }
    )*};
}

label_by_name!(Operation, StoreOutcome, Reason);

impl Reason {
    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoRoom => "no_room",
            Self::Timeout => "timeout",
            Self::Failed => "failed",
        }
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
        let open = super::exposition::prefers_open_metrics(accept);
        // Writing to a text cannot fail.
        let _ = if open {
            text::encode(&mut text, &self.registry)
        } else {
            prometheus_text::encode(&mut text, &self.registry)
        };
        let kind = if open {
            super::exposition::OPEN_METRICS
        } else {
            super::exposition::PROMETHEUS
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

/// Counts by words that the component chose. More words than it can have, and what is no word, are
/// `other`: a label must not become what a client wrote.
struct Words<L> {
    counters: Family<L, Counter>,
    known: Arc<Mutex<BTreeSet<String>>>,
}

// Not derived: that would need a label that is `Default`.
impl<L: Clone + Eq + Hash> Default for Words<L> {
    fn default() -> Self {
        Self {
            counters: Family::default(),
            known: Arc::default(),
        }
    }
}

impl<L> Clone for Words<L> {
    fn clone(&self) -> Self {
        Self {
            counters: self.counters.clone(),
            known: Arc::clone(&self.known),
        }
    }
}

impl<L: Clone + Eq + Hash> Words<L> {
    fn count(&self, word: &str, label: impl FnOnce(String) -> L) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = known.contains(word);
        let is_new = !is_known && known.len() < MAX_WORDS && is_word(word);
        if is_new {
            known.insert(word.to_owned());
        }
        drop(known);
        let word = if is_known || is_new { word } else { "other" };
        self.counters.get_or_create(&label(word.to_owned())).inc();
    }
}

fn is_word(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=40).contains(&text.len()) && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used() -> Metrics {
        let metrics = Metrics::default();
        let took = Duration::from_millis(7);
        drop(metrics.begin_request());
        metrics.request("GET", "/healthz", 200, took);
        metrics.store_operation(Operation::Get, StoreOutcome::Ok, took);
        metrics.store_operation(Operation::CompareAndSwap, StoreOutcome::Conflict, took);
        metrics.registration("joined");
        metrics.registration("joined");
        metrics.deregistration("DEREG_DENIED");
        metrics.key_generated("RSA-2048", Some(0.087));
        metrics.rate_limited("key-versions");
        metrics.component_failure(Reason::Timeout);
        metrics.set_idle(3);
        metrics.set_ca_expiry(2_000_000_000);
        metrics
    }

    const LINES: [&str; 12] = [
        r#"http_server_request_duration_seconds_count{http_request_method="GET",http_route="/healthz",http_response_status_code="200"} 1"#,
        "http_server_active_requests 0",
        r#"anonymous_domains_registrations_total{outcome="joined"} 2"#,
        r#"anonymous_domains_deregistrations_total{outcome="DEREG_DENIED"} 1"#,
        r#"anonymous_domains_keys_generated_total{type="RSA-2048"} 1"#,
        "anonymous_domains_key_generation_duration_seconds_count 1",
        r#"anonymous_domains_store_operation_duration_seconds_count{operation="compare_and_swap",outcome="conflict"} 1"#,
        "anonymous_domains_store_conflicts_total 1",
        r#"anonymous_domains_rate_limited_total{limit="key-versions"} 1"#,
        r#"anonymous_domains_component_instances{state="idle"} 3"#,
        r#"anonymous_domains_component_failures_total{reason="timeout"} 1"#,
        "anonymous_domains_ca_certificate_expiry_timestamp_seconds 2000000000",
    ];

    #[test]
    fn both_forms_have_the_same_samples() {
        let metrics = used();
        let (plain_kind, plain) = metrics.page("text/plain");
        let (open_kind, open) = metrics.page("application/openmetrics-text;version=1.0.0");
        assert!(plain_kind.starts_with("text/plain; version=0.0.4"));
        assert!(open_kind.starts_with("application/openmetrics-text; version=1.0.0"));
        for line in LINES {
            assert!(plain.lines().any(|found| found == line), "{line}\n{plain}");
            assert!(open.lines().any(|found| found == line), "{line}\n{open}");
        }
        assert!(open.ends_with("# EOF\n") && !plain.contains("# EOF"));
        let build = concat!(
            "anonymous_domains_build_info{version=\"",
            env!("CARGO_PKG_VERSION")
        );
        assert!(plain.contains(build) && open.contains(build), "{plain}");
        // The name of a counter's family differs.
        assert!(plain.contains("# TYPE anonymous_domains_registrations_total counter\n"));
        assert!(open.contains("# TYPE anonymous_domains_registrations counter\n"));
        assert!(
            plain.contains("# TYPE anonymous_domains_build_info gauge\n"),
            "{plain}"
        );
        assert!(
            open.contains("# TYPE anonymous_domains_build info\n"),
            "{open}"
        );
    }

    #[test]
    fn what_is_no_word_is_another() {
        let metrics = Metrics::default();
        for word in ["", "two words", "\"", &"x".repeat(41)] {
            metrics.registration(word);
        }
        for number in 0..2 * MAX_WORDS {
            metrics.registration(&format!("word-{number}"));
        }
        let (_, page) = metrics.page("");
        let lines = page
            .lines()
            .filter(|line| line.starts_with("anonymous_domains_registrations"));
        assert_eq!(lines.count(), MAX_WORDS + 1);
    }
}
