//! Requests, and runs of several.

use store_check::{
    answer::{Request, Response, answer},
    finding::Finding,
};

use crate::model::{
    Defect::{Closed, CreatorsOverwrite, InMemory, SaysFailed, StaleReads, WritesNothing},
    Model,
};

/// What the tests of this file find.
pub const FINDINGS: &[Finding] = &[
    Finding::InstancesFresh,
    Finding::InstancesStale,
    Finding::InstancesUntested,
    Finding::RestartKept,
    Finding::RestartLost,
    Finding::RestartUntested,
];

fn get(host: &Model, path_and_query: &str) -> Response {
    let request = Request {
        method: "GET".into(),
        origin: Some("http://h:1".into()),
        path_and_query: path_and_query.into(),
        accept: Some("*/*".into()),
    };
    answer(host, &request)
}

/// The report of a request with this query.
fn report(host: &Model, query: &str) -> serde_json::Value {
    let response = get(host, &format!("/check?format=json&{query}"));
    assert_eq!(response.status, 200, "{}", response.body);
    serde_json::from_str(&response.body).unwrap()
}

fn finding(report: &serde_json::Value, check: &str) -> String {
    let mut checks = report["checks"].as_array().unwrap().iter();
    let found = checks.find(|outcome| outcome["check"] == check).unwrap();
    found["finding"].as_str().unwrap().into()
}

/// The query of the next call, the nth.
fn next(report: &serde_json::Value, nth: usize) -> String {
    let call = report["next"][nth]["call"].as_str().unwrap();
    assert!(call.starts_with("http://h:1/check?"), "{call}");
    call.split_once('?').unwrap().1.into()
}

#[test]
fn a_whole_run() {
    for defects in [&[][..], &[SaysFailed], &[CreatorsOverwrite]] {
        let host = Model::with(defects);
        let first = report(&host, "");
        assert_eq!(first["complete"], false);
        assert_eq!(finding(&first, "instances"), "not-yet");
        assert_eq!(finding(&first, "restart"), "not-yet");

        // The same instance shows nothing, after a restart neither.
        let same = report(&host, &next(&first, 0));
        assert_eq!(finding(&same, "instances"), "not-yet");
        let same = report(&host, &next(&same, 1));
        assert_eq!(finding(&same, "restart"), "not-yet");

        let other = report(&host.other_instance(), &next(&same, 0));
        assert_eq!(finding(&other, "instances"), "fresh");
        assert_eq!(finding(&other, "restart"), "not-yet");
        assert_eq!(other["complete"], false);
        assert_eq!(other["next"].as_array().unwrap().len(), 1);

        let last = report(&host.restarted(), &next(&other, 0));
        assert_eq!(finding(&last, "instances"), "fresh");
        assert_eq!(finding(&last, "restart"), "kept");
        assert_eq!(last["complete"], true);
        let expected = if defects == [SaysFailed] {
            "conditions"
        } else {
            "yes"
        };
        assert_eq!(last["verdict"], expected);
        assert_eq!(last["next"], serde_json::json!([]));
        assert_eq!(host.keys().len(), 1);
    }
}

#[test]
fn a_row_that_cannot_be_changed_was_seen_all_the_same() {
    let host = Model::with(&[WritesNothing]);
    let first = report(&host, "");
    let other = report(&host.other_instance(), &next(&first, 0));
    assert_eq!(finding(&other, "instances"), "fresh");
    assert!(next(&other, 0).contains(".1&"), "{other}");
}

#[test]
fn a_row_that_another_instance_does_not_see() {
    let host = Model::with(&[StaleReads]);
    let first = report(&host, "");
    let other = report(&host.other_instance(), &next(&first, 0));
    assert_eq!(finding(&other, "instances"), "stale");
    assert_eq!(other["verdict"], "no");
    assert_eq!(other["next"], serde_json::json!([]));
}

#[test]
fn a_row_that_a_restart_loses() {
    let host = Model::with(&[InMemory]);
    let first = report(&host, "");
    assert_eq!(first["verdict"], "yes");
    let last = report(&host.restarted(), &next(&first, 1));
    assert_eq!(finding(&last, "restart"), "lost");
    assert_eq!(last["verdict"], "no");
}

#[test]
fn a_row_that_is_older_than_the_token() {
    let host = Model::with(&[]);
    let first = report(&host, "");
    let token = next(&first, 0).replace(".1", ".2");
    let other = report(&host.other_instance(), &token);
    assert_eq!(finding(&other, "instances"), "stale");
}

#[test]
fn a_store_that_cannot_be_opened() {
    let report = report(&Model::with(&[Closed]), "");
    assert_eq!(report["verdict"], "no");
    assert_eq!(finding(&report, "bucket"), "not-opened");
    assert_eq!(finding(&report, "instances"), "error");
}

#[test]
fn text_and_json() {
    let host = Model::with(&[SaysFailed]);
    let accepting = |accept: Option<&str>, query: &str| {
        let request = Request {
            method: "GET".into(),
            origin: None,
            path_and_query: format!("/below/check{query}"),
            accept: accept.map(str::to_owned),
        };
        let response = answer(&host, &request);
        assert_eq!(response.status, 200);
        (response.headers[0].1, response.body)
    };
    let text = "text/plain; charset=utf-8";
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (accept, query, expected) in [
        (None, "", text),
        (Some("*/*"), "", text),
        (Some("text/plain"), "", text),
        (Some(browser), "", text),
        (Some("application/json"), "", "application/json"),
        (Some("application/json"), "?format=text", text),
        (Some(browser), "?format=json", "application/json"),
    ] {
        let (media_type, body) = accepting(accept, query);
        assert_eq!(media_type, expected, "{accept:?} {query}");
        let starts = if expected == text {
            "Safe for Anonymous Domains: yes, with conditions, as far as it was tested\n"
        } else {
            "{\n  \"verdict\": \"conditions\",\n  \"complete\": false,\n"
        };
        assert!(body.starts_with(starts), "{body}");
        assert!(body.contains("/below/check?token="), "{body}");
    }
}

#[test]
fn lines_are_short_and_checks_begin_where_they_should() {
    let body = get(&Model::with(&[SaysFailed]), "/check").body;
    for line in body.lines() {
        assert!(line.len() <= 100, "{line}");
    }
    assert!(
        body.contains("\ncondition  swap         says-failed. It wrote"),
        "{body}"
    );
}

#[test]
fn other_requests() {
    let host = Model::with(&[]);
    for path in ["/", "/check", "/a/b/", "/a/check"] {
        assert_eq!(get(&host, path).status, 200, "{path}");
    }
    for path in ["/favicon.ico", "/checks", ""] {
        assert_eq!(get(&host, path).status, 404, "{path}");
    }
    for query in [
        "token=",
        "token=1.1",
        "token=0123456789abcdef",
        "token=0123456789ABCDEF.1",
        "token=0123456789abcdef.+1",
        "restarted",
        "restarted=",
        "format=xml",
    ] {
        assert_eq!(
            get(&host, &format!("/check?{query}")).status,
            400,
            "{query}"
        );
    }
    let request = Request {
        method: "POST".into(),
        path_and_query: "/check".into(),
        ..Request::default()
    };
    let response = answer(&host, &request);
    assert_eq!(response.status, 405);
    assert!(response.headers.contains(&("allow", "GET")));
}
