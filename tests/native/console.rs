//! The operator's console as it is served.

use http::{HeaderMap, Request, Response};

use crate::{
    callers::{assert_refused, working_app},
    support::{TestApp, app, ca_params, self_signed, send, settings},
};

const URL: &str = "http://127.0.0.1:3000/console";

fn ask(app: &TestApp, method: &str, path: &str, if_none_match: Option<&str>) -> Response<Vec<u8>> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{URL}{path}"));
    if let Some(tag) = if_none_match {
        request = request.header("if-none-match", tag);
    }
    send(app, request.body(String::new()).unwrap())
}

/// What every answer with a file says, 304 too.
fn assert_guarded(headers: &HeaderMap) {
    for (name, value) in [
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
             connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
        ),
        ("cache-control", "no-cache"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(headers[name], value);
    }
}

#[test]
fn a_file_is_sent_once_and_then_known() {
    let app = working_app();
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/main.js", "text/javascript; charset=utf-8"),
        ("/vendor/preact.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let sent = ask(&app, "GET", path, None);
        assert_eq!(sent.status(), 200, "{path}");
        assert_eq!(sent.headers()["content-type"], kind, "{path}");
        let length = sent.headers()["content-length"].to_str().unwrap();
        assert_eq!(length, sent.body().len().to_string());
        assert!(!sent.body().is_empty());
        assert_guarded(sent.headers());
        let tag = sent.headers()["etag"].to_str().unwrap();
        assert!(tag.starts_with('"'), "{tag} is strong");

        let head = ask(&app, "HEAD", path, None);
        assert_eq!((head.status().as_u16(), head.body().len()), (200, 0));
        assert_eq!(head.headers()["etag"], tag);
        assert_eq!(head.headers()["content-type"], kind);
        assert_guarded(head.headers());

        for names in [tag, "*", &format!("\"other\", W/{tag}")] {
            let known = ask(&app, "GET", path, Some(names));
            assert_eq!((known.status().as_u16(), known.body().len()), (304, 0));
            assert_eq!(known.headers()["etag"], tag);
            for absent in ["content-type", "content-length"] {
                assert_eq!(known.headers().get(absent), None, "{absent}");
            }
            assert_guarded(known.headers());
        }
        assert_eq!(ask(&app, "GET", path, Some("\"other\"")).status(), 200);
    }
}

#[test]
fn without_a_slash_it_leads_to_the_page() {
    let app = working_app();
    let answer = ask(&app, "GET", "", None);
    assert_eq!(answer.status(), 308);
    // Relative: also below a path that is a proxy's.
    assert_eq!(answer.headers()["location"], "console/");
    assert_eq!(answer.headers()["cache-control"], "no-cache");
}

#[test]
fn other_paths_and_methods_are_refused() {
    let app = working_app();
    for path in [
        "/index.html",
        "/main.js/",
        "/vendor",
        "/vendor/",
        "//",
        "/x",
    ] {
        assert_refused(&ask(&app, "GET", path, None), "NOT_FOUND");
    }
    for path in ["", "/", "/main.js"] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let answer = ask(&app, method, path, None);
            assert_refused(&answer, "METHOD_NOT_ALLOWED");
            assert_eq!(answer.headers()["allow"], "GET, HEAD");
        }
    }
    assert_refused(&ask(&app, "GET", "/", Some("\"")), "INVALID_REQUEST");
}

#[test]
fn where_nobody_operates_there_is_none() {
    let ca = self_signed(ca_params("Domain CA"));
    for settings in [
        settings(&ca, &[("admin_token", "")]),
        settings(&ca, &[("domain_key_type", "none")]),
    ] {
        let app = app(settings);
        for path in ["", "/", "/main.js"] {
            for method in ["GET", "POST"] {
                assert_refused(&ask(&app, method, path, None), "NOT_FOUND");
            }
        }
    }
    let read_token = ("admin_read_token", "fedcba9876543210fedcba9876543210");
    let app = app(settings(&ca, &[("admin_token", ""), read_token]));
    assert_eq!(ask(&app, "GET", "/", None).status(), 200);
}
