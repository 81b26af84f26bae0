//! Names, times and URLs.

use anonymous_domains::{http::route::Route, settings::origin};
use anonymous_domains_client::HttpUrl;
use anonymous_domains_device::domain_url::DomainUrl;
use anonymous_domains_domainctl::ServerUrl;
use anonymous_domains_protocol::{
    base64url,
    ids::{DomainName, MachineGuid},
    time,
};

use super::Target;

/// A text as each kind of name.
pub const NAMES: Target = Target {
    name: "names",
    about: "domain names, GUIDs, path segments, times, base64",
    run: names,
    seeds: names_seeds,
    mutations: 20_000,
};

/// A text as each kind of URL.
pub const URLS: Target = Target {
    name: "urls",
    about: "URLs as devices, operators and the server read them; paths",
    run: urls,
    seeds: urls_seeds,
    mutations: 20_000,
};

fn names(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(name) = DomainName::parse(text) {
            assert_eq!(name.as_str(), text);
            assert_eq!(DomainName::from_path_segment(text).as_ref(), Ok(&name));
            let all: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            assert_eq!(DomainName::from_path_segment(&all).as_ref(), Ok(&name));
            let json = serde_json::to_string(&name).expect("a text");
            assert_eq!(serde_json::from_str::<DomainName>(&json).ok(), Some(name));
        }
        if let Ok(name) = DomainName::from_path_segment(text) {
            assert_eq!(DomainName::parse(name.as_str()), Ok(name));
        }
        if let Ok(guid) = MachineGuid::parse(text) {
            assert_eq!(guid.to_string(), text.to_ascii_lowercase());
            assert_eq!(MachineGuid::parse(&guid.to_string()), Ok(guid));
        }
        if let Some(seconds) = time::unix_seconds(text) {
            assert_eq!(time::rfc3339(seconds), text);
        }
        if let Ok(value) = serde_json::from_str::<serde_json::Value>(text)
            && let Some(ms) = time::numeric_date_ms(&value)
        {
            assert!((0..=253_402_300_799_000).contains(&ms));
        }
        // There is one text for some bytes.
        for (read, write) in [
            (
                base64url::decode(text),
                base64url::encode as fn(&[u8]) -> String,
            ),
            (base64url::decode_standard(text), base64url::encode_standard),
        ] {
            if let Ok(decoded) = read {
                assert_eq!(write(&decoded), text);
            }
        }
        assert_eq!(
            base64url::decode(text).ok(),
            base64url::decode_secret(text).ok().map(|it| it.to_vec())
        );
    }
    assert_eq!(
        base64url::decode(&base64url::encode(bytes)).as_deref(),
        Ok(bytes)
    );
    let standard = base64url::encode_standard(bytes);
    assert_eq!(base64url::decode_standard(&standard).as_deref(), Ok(bytes));
}

fn names_seeds() -> Vec<Vec<u8>> {
    let longest = "z".repeat(128);
    let texts = [
        "living-room",
        "a%2Eb",
        "%61",
        "%",
        "ca.pem",
        &longest,
        "01010101-0101-0101-0101-010101010101",
        "FFFFFFFF-ffff-ffff-ffff-ffffffffffff",
        "2026-11-22T19:41:28Z",
        "179537648817953765",
        "9999-12-31T23:59:60Z",
        "1795376488.5",
        "1e308",
        "AAEC_w",
        "AAEC/w==",
        "AAF=",
        "",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

fn urls(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(url) = HttpUrl::parse(text) {
        let printed = url.to_string();
        assert_eq!(HttpUrl::parse(&printed).as_ref(), Ok(&url), "{printed}");
        assert!(!printed.contains(['?', '#']), "{printed}");
        assert!(!url.origin().contains('@'), "{printed}");
        assert!(!printed.ends_with('/'), "{printed}");
    }
    if let Ok(url) = ServerUrl::parse(text) {
        assert_eq!(ServerUrl::parse(&url.to_string()), Ok(url));
    }
    if let Ok(url) = DomainUrl::parse(text) {
        let again = DomainUrl::parse(&url.to_string()).expect("what was printed reads");
        assert_eq!(again, url);
        assert_eq!(again.exposes_tokens(), url.exposes_tokens());
        // Where a device registers is what the server takes for a registration in that domain.
        let uri: http::Uri = url.register().parse().expect("a URL");
        let name = url.domain().as_str();
        if uri.path() == format!("/flashaccess/domainserver/{name}/register") {
            assert_eq!(Route::of(uri.path()), Some(Route::Register(name)));
        }
    }
    if let Ok(uri) = text.parse::<http::Uri>() {
        if let Some(found) = origin::of_url(&uri) {
            let again: http::Uri = found.parse().expect("an origin is a URL");
            assert_eq!(origin::of_url(&again).as_ref(), Some(&found));
            assert!(!found.bytes().any(|byte| byte.is_ascii_uppercase()));
        }
        if let Some(route) = Route::of(uri.path()) {
            assert!(route.allow().is_empty() || !route.allow().ends_with(' '));
        }
    }
}

fn urls_seeds() -> Vec<Vec<u8>> {
    [
        "https://example.org/flashaccess/domainserver/living-room/",
        "HTTP://Example.ORG:80/a%2Db//",
        "http://[::1]:3000/flashaccess/domainserver/a",
        "http://user:password@a/b",
        "http://a:/b",
        "https://a:443",
        "https://a:65536",
        "http://a?b#c",
        "/admin/v1/domains/a/members/b",
        "/flashaccess/domainserver/a//flashaccess/dereg/v6/",
        "/healthz/",
        "http://%61/",
        "http://a.b_c/",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
