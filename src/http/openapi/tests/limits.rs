//! The limits and names of the document are the code's constants.

use anonymous_domains_protocol::{
    admin::{self, DEFAULT_PAGE_LIMIT, MAX_PAGE_LIMIT},
    ids::{CA_CERTIFICATE_SEGMENT, DOMAIN_NAME_MAX_BYTES, NEXT_CA_CERTIFICATE_SEGMENT},
    jws::Algorithm,
    request,
    time::{numeric_date_ms, rfc3339},
};
use serde_json::json;

use super::{super::super::problem, document, resolve};

#[test]
fn names_are_as_long_as_they_may_be() {
    let document = document();
    let name = &document["components"]["schemas"]["DomainName"];
    let rest = DOMAIN_NAME_MAX_BYTES - 1;
    assert_eq!(
        name["pattern"],
        format!("^[A-Za-z0-9][A-Za-z0-9._-]{{0,{rest}}}$")
    );
    let reserved = [CA_CERTIFICATE_SEGMENT, NEXT_CA_CERTIFICATE_SEGMENT];
    assert_eq!(name["not"], json!({ "enum": reserved }));
}

#[test]
fn pages_have_their_limits() {
    let document = document();
    let limit = &document["components"]["parameters"]["limit"]["schema"];
    assert_eq!(
        *limit,
        json!({ "type": "integer", "minimum": 1, "maximum": MAX_PAGE_LIMIT, "default": DEFAULT_PAGE_LIMIT })
    );
    for (page, list) in [
        ("DomainPage", "domains"),
        ("MemberPage", "members"),
        ("BlockedPage", "blocked"),
    ] {
        let list = &document["components"]["schemas"][page]["properties"][list];
        assert_eq!(list["maxItems"], MAX_PAGE_LIMIT, "{page}");
    }
    let maximum = &document["components"]["schemas"]["MaxMembership"]["maximum"];
    assert_eq!(*maximum, u64::MAX);
}

#[test]
fn a_devices_request_is_what_the_code_reads() {
    let document = document();
    let header = &document["components"]["schemas"]["DeviceRequestHeader"]["properties"];
    assert_eq!(header["typ"], json!({ "const": request::TYP }));
    let algorithms = header["alg"]["enum"].as_array().unwrap();
    assert_eq!(algorithms.len(), 3);
    for name in algorithms {
        assert!(name.as_str().unwrap().parse::<Algorithm>().is_ok());
    }
    assert_eq!(header["x5c"]["maxItems"], request::X5C_MAX_CERTIFICATES);
    for body in ["Register", "Deregister"] {
        let body = &document["components"]["requestBodies"][body];
        assert_eq!(body["required"], true);
        assert!(body["content"].get(request::MEDIA_TYPE).is_some());
    }
    let date = &document["components"]["schemas"]["NumericDate"];
    assert_eq!(numeric_date_ms(&date["minimum"]), Some(0));
    let last = date["maximum"].as_i64().unwrap();
    assert_eq!(numeric_date_ms(&json!(last)), Some(last * 1000));
    assert_eq!(numeric_date_ms(&json!(last + 1)), None);
    assert_eq!(rfc3339(last), "9999-12-31T23:59:59Z");
}

#[test]
fn bodies_have_their_limits() {
    let document = document();
    let text = resolve(
        &document,
        &json!({ "$ref": "#/components/responses/PayloadTooLarge" }),
    )["description"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(text.contains(&format!("{} KiB", request::MAX_BYTES / 1024)));
    assert!(text.contains(&format!("{} MiB", admin::MAX_BYTES / 1024 / 1024)));
}

#[test]
fn headers_are_what_the_code_sends() {
    let document = document();
    let headers = &document["components"]["headers"];
    let retry_after = headers["RetryAfter"]["schema"]["minimum"].as_u64().unwrap();
    assert!(retry_after <= u64::from(problem::RETRY_AFTER_S));
    let challenges = headers["Challenge"]["schema"]["enum"].as_array().unwrap();
    for challenge in challenges {
        assert!(challenge.as_str().unwrap().starts_with("Bearer"));
    }
}
