//! The metrics, as a scraper reads them.

use super::{words::MAX_WORDS, *};

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
