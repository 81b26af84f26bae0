//! The gateway's own answers to web pages of other origins (CORS). The component says of its answers
//! who may read them; here the same is said of refusals that it knows nothing of, so that a page can
//! see how long it has to wait.

use http::{
    HeaderMap, HeaderValue,
    header::{ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ORIGIN, VARY},
};

use crate::settings::{CORS_ORIGINS, Settings};

/// What the template of every device's path begins with.
const DEVICES: &str = "/flashaccess/domainserver/";

/// What a page may read besides what every page may; the component says the same.
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "date, link, ratelimit, ratelimit-policy, retry-after, www-authenticate, x-request-id",
);

/// The page that sent a device's request, or none.
#[derive(Debug)]
pub(super) struct Page(Option<HeaderValue>);

impl Page {
    /// The page that sent a request with these headers to a path of this template.
    pub(super) fn of(headers: &HeaderMap, route: &str) -> Self {
        let is_devices = route.starts_with(DEVICES);
        let mut origins = headers.get_all(ORIGIN).iter().filter(|_| is_devices);
        let origin = origins.next().filter(|_| origins.next().is_none());
        Self(origin.cloned())
    }

    /// Lets it read a response of the gateway's own, if its origin is one of `cors_origins`.
    pub(super) fn let_read(&self, response: &mut HeaderMap, settings: &Settings) {
        let allowed = settings.get(CORS_ORIGINS).unwrap_or_default();
        let Some(origin) = self.0.as_ref().filter(|_| !allowed.trim().is_empty()) else {
            return;
        };
        response.append(VARY, HeaderValue::from_static("origin"));
        let mut allowed = allowed.split(|c: char| c == ',' || c.is_ascii_whitespace());
        if allowed.any(|allowed| canonical(allowed).as_bytes() == origin.as_bytes()) {
            response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
        }
    }
}

/// An origin of the setting, which the component has found to be one, as browsers write it: in lower
/// case, without a slash at the end and without a default port.
fn canonical(origin: &str) -> String {
    let origin = origin.trim_end_matches('/').to_ascii_lowercase();
    let port = match origin.starts_with("https:") {
        true => ":443",
        false => ":80",
    };
    let without_port = origin.strip_suffix(port).unwrap_or(&origin);
    without_port.trim_end_matches(':').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(route: &str, origins: &[&'static str], setting: &str) -> HeaderMap {
        let mut request = HeaderMap::new();
        for origin in origins {
            request.append(ORIGIN, HeaderValue::from_static(origin));
        }
        let settings = [format!("{CORS_ORIGINS}={setting}")];
        let settings = Settings::from_arguments(&settings).unwrap();
        let mut response = HeaderMap::new();
        Page::of(&request, route).let_read(&mut response, &settings);
        response
    }

    const REGISTER: &str = "/flashaccess/domainserver/{domain}/register";

    #[test]
    fn an_allowed_page_may_read_a_refusal() {
        let setting = "https://tv.example HTTP://A.example:80/,https://b.example:8443";
        for origin in [
            "https://tv.example",
            "http://a.example",
            "https://b.example:8443",
        ] {
            let response = answered(REGISTER, &[origin], setting);
            assert_eq!(response[ACCESS_CONTROL_ALLOW_ORIGIN], origin);
            assert_eq!(response[ACCESS_CONTROL_EXPOSE_HEADERS], RESPONSE_HEADERS);
            assert_eq!(response[VARY], "origin");
        }
        for origins in [
            &["https://evil.example"][..],
            &["null"],
            &["https://tv.example", "https://tv.example"],
            &[""],
        ] {
            let response = answered(REGISTER, origins, setting);
            assert_eq!(response.get(ACCESS_CONTROL_ALLOW_ORIGIN), None);
        }
    }

    #[test]
    fn otherwise_nothing_is_said() {
        let page = "https://tv.example";
        assert!(answered(REGISTER, &[page], "").is_empty());
        for route in ["/admin/v1/domains", "/healthz", "other"] {
            assert!(answered(route, &[page], page).is_empty(), "{route}");
        }
    }
}
