//! Web pages from other origins (CORS).

use http::{Method, Request, Response};

use crate::{
    callers::{Machine, URL, assert_refused, working_app},
    support::{TestApp, app, ca_params, self_signed, send, settings},
};

const PAGE: &str = "https://tv.example";

const EXPOSED: &str =
    "date, link, ratelimit, ratelimit-policy, retry-after, www-authenticate, x-request-id";

fn app_for(origins: &str) -> TestApp {
    let ca = self_signed(ca_params("Domain CA"));
    app(settings(&ca, &[("cors_origins", origins)]))
}

fn ask(app: &TestApp, method: &Method, url: &str, fields: &[(&str, &str)]) -> Response<Vec<u8>> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    send(app, request.body(String::new()).unwrap())
}

fn preflight(app: &TestApp, url: &str, origin: &str) -> Response<Vec<u8>> {
    let fields = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "authorization,content-type",
        ),
    ];
    ask(app, &Method::OPTIONS, url, &fields)
}

fn field<'a>(response: &'a Response<Vec<u8>>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|it| it.to_str().unwrap())
}

/// What every answer says, whatever else it is.
#[track_caller]
fn assert_readable(response: &Response<Vec<u8>>, origin: Option<&str>) {
    assert_eq!(field(response, "access-control-allow-origin"), origin);
    let exposed = field(response, "access-control-expose-headers");
    assert_eq!(exposed, origin.map(|_| EXPOSED));
    assert_eq!(field(response, "vary"), Some("origin"));
    let credentials = field(response, "access-control-allow-credentials");
    assert_eq!(credentials, None);
}

#[test]
fn a_preflight_of_an_allowed_page_is_granted() {
    let app = app_for("https://tv.example, HTTP://127.0.0.1:8080/\n https://other.example:443");
    for page in [PAGE, "http://127.0.0.1:8080", "https://other.example"] {
        let base = "https://domains.example/flashaccess/domainserver";
        for (path, methods) in [
            ("/a/register", "POST"),
            ("/a//flashaccess/dereg/v4", "POST"),
            ("/a/", "GET, HEAD"),
            ("/ca.pem", "GET, HEAD"),
            ("/ca-next.pem", "GET, HEAD"),
        ] {
            let granted = preflight(&app, &format!("{base}{path}"), page);
            assert_eq!(granted.status(), 204, "{path}");
            assert!(granted.body().is_empty());
            assert_readable(&granted, Some(page));
            let say = |name: &str| field(&granted, &format!("access-control-{name}"));
            assert_eq!(say("allow-methods"), Some(methods));
            let headers = "authorization, content-type, traceparent, x-request-id";
            assert_eq!(say("allow-headers"), Some(headers));
            assert_eq!(say("max-age"), Some("7200"));
        }
    }
    assert!(app.tables.env.log.borrow().is_empty(), "it is no event");
}

#[test]
fn answers_and_refusals_can_be_read_by_an_allowed_page() {
    let app = app_for(PAGE);
    let machine = Machine::new();
    let url = format!("{URL}/register");
    let now = anonymous_domains::environment::Environment::now_ms(&app.tables.env);
    let body = machine.joining(now).sign(&url, &machine.key).unwrap();
    let joined = |origin: &str| {
        let request = Request::post(&url)
            .header("content-type", "application/jose+json")
            .header("origin", origin);
        send(&app, request.body(body.clone()).unwrap())
    };
    assert_eq!(joined(PAGE).status(), 200);
    assert_readable(&joined(PAGE), Some(PAGE));
    assert_readable(&joined("https://evil.example"), None);
    let refused = ask(&app, &Method::POST, &url, &[("origin", PAGE)]);
    assert_refused(&refused, "UNSUPPORTED_MEDIA_TYPE");
    assert_readable(&refused, Some(PAGE));
    // A cache must not give one page's answer to another.
    assert_readable(&ask(&app, &Method::GET, URL, &[]), None);
}

#[test]
fn another_page_gets_nothing() {
    let app = app_for(PAGE);
    let url = format!("{URL}/register");
    for origin in [
        "https://evil.example",
        "http://tv.example",
        "https://tv.example:8443",
        "https://tv.example/",
        "https://a.tv.example",
        "https://tv.example.evil.example",
        "HTTPS://TV.EXAMPLE",
        "https://tv.example, https://evil.example",
        "null",
        "*",
        "",
    ] {
        let refused = preflight(&app, &url, origin);
        assert_eq!(refused.status(), 405, "{origin}");
        assert_readable(&refused, None);
        assert_eq!(field(&refused, "access-control-allow-methods"), None);
    }
    let twice = [
        ("origin", PAGE),
        ("origin", PAGE),
        ("access-control-request-method", "POST"),
    ];
    assert_readable(&ask(&app, &Method::OPTIONS, &url, &twice), None);
    let no_preflight = ask(&app, &Method::OPTIONS, &url, &[("origin", PAGE)]);
    assert_eq!(no_preflight.status(), 405);
}

#[test]
fn operators_paths_are_not_opened() {
    let app = app_for(PAGE);
    for path in [
        "/admin/v1/domains",
        "/admin/v1/domains/a/members",
        "/admin/v1",
        "/healthz",
        "/openapi.json",
        "/nothing",
    ] {
        let url = format!("https://domains.example{path}");
        for response in [
            preflight(&app, &url, PAGE),
            ask(&app, &Method::GET, &url, &[("origin", PAGE)]),
        ] {
            let fields = response.headers().keys();
            let mut said = fields.filter(|it| it.as_str().starts_with("access-control"));
            assert_eq!(said.next(), None, "{path}");
            assert_eq!(field(&response, "vary"), None);
        }
    }
}

#[test]
fn it_is_off_by_default() {
    let app = working_app();
    let url = format!("{URL}/register");
    let refused = preflight(&app, &url, PAGE);
    assert_refused(&refused, "METHOD_NOT_ALLOWED");
    assert_eq!(field(&refused, "vary"), None);
    let described = ask(&app, &Method::GET, URL, &[("origin", PAGE)]);
    assert_eq!(field(&described, "access-control-allow-origin"), None);
}
