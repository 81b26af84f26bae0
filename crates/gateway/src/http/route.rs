//! The routes of the component as metrics and traces name them: from a fixed set, without what a
//! client chose.

use http::Method;

/// What every path is that is not known.
const OTHER: &str = "other";

/// The template of the path, `{domain}` for any domain. Other spellings of a path have the
/// template of the usual one.
pub(super) fn template(path: &str) -> &'static str {
    let path = path.strip_suffix('/').unwrap_or(path);
    match path {
        "/healthz" => return "/healthz",
        "/openapi.json" => return "/openapi.json",
        "/console" => return "/console/",
        "/flashaccess/domainserver/ca.pem" => return "/flashaccess/domainserver/ca.pem",
        _ => {}
    }
    if let Some(rest) = path.strip_prefix("/flashaccess/domainserver/") {
        return of_a_device(rest);
    }
    if let Some(rest) = path.strip_prefix("/admin/v1/") {
        return of_an_operator(rest);
    }
    if path.starts_with("/console/") {
        return "/console/{file}";
    }
    OTHER
}

fn of_a_device(rest: &str) -> &'static str {
    let Some((_, action)) = rest.split_once('/') else {
        return "/flashaccess/domainserver/{domain}";
    };
    // A client may append a path to a URL with a slash at its end.
    match action.strip_prefix('/').unwrap_or(action) {
        "register"
        | "flashaccess/domain/v3"
        | "flashaccess/domain/v4"
        | "flashaccess/domain/v5"
        | "flashaccess/domain/v6" => "/flashaccess/domainserver/{domain}/register",
        "deregister"
        | "flashaccess/dereg/v3"
        | "flashaccess/dereg/v4"
        | "flashaccess/dereg/v5"
        | "flashaccess/dereg/v6" => "/flashaccess/domainserver/{domain}/deregister",
        _ => OTHER,
    }
}

fn of_an_operator(rest: &str) -> &'static str {
    let mut segments = rest.split('/');
    let mut next = || segments.next();
    match [next(), next(), next(), next(), next()] {
        [Some("domains"), None, ..] => "/admin/v1/domains",
        [Some(_), None, ..] => "/admin/v1/{call}",
        [Some("domains"), Some(_), None, ..] => "/admin/v1/domains/{domain}",
        [Some("domains"), Some(_), Some(part), None, _] => match part {
            "members" => "/admin/v1/domains/{domain}/members",
            "blocked" => "/admin/v1/domains/{domain}/blocked",
            "rollover" => "/admin/v1/domains/{domain}/rollover",
            "keys" => "/admin/v1/domains/{domain}/keys",
            _ => OTHER,
        },
        [Some("domains"), Some(_), Some(part), Some(_), None] => match part {
            "members" => "/admin/v1/domains/{domain}/members/{machineGuid}",
            "blocked" => "/admin/v1/domains/{domain}/blocked/{machineGuid}",
            _ => OTHER,
        },
        _ => OTHER,
    }
}

/// The method's name; `_OTHER` if HTTP has no such method, as OpenTelemetry calls it.
pub(super) fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "_OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_a_template_and_its_other_spellings_the_same() {
        let base = "/flashaccess/domainserver/{domain}";
        for (action, aliases) in [("register", "domain"), ("deregister", "dereg")] {
            let expected = format!("{base}/{action}");
            assert_eq!(template(&expected), expected);
            for path in [
                format!("/flashaccess/domainserver/a/{action}/"),
                format!("/flashaccess/domainserver/a//{action}"),
                format!("/flashaccess/domainserver/a/flashaccess/{aliases}/v3"),
                format!("/flashaccess/domainserver/a//flashaccess/{aliases}/v6/"),
            ] {
                assert_eq!(template(&path), expected, "{path}");
            }
        }
        for path in [
            "/healthz",
            "/openapi.json",
            "/flashaccess/domainserver/ca.pem",
            "/flashaccess/domainserver/{domain}",
            "/admin/v1/domains",
            "/admin/v1/{call}",
            "/admin/v1/domains/{domain}",
            "/admin/v1/domains/{domain}/members",
            "/admin/v1/domains/{domain}/members/{machineGuid}",
            "/admin/v1/domains/{domain}/blocked",
            "/admin/v1/domains/{domain}/blocked/{machineGuid}",
            "/admin/v1/domains/{domain}/rollover",
            "/admin/v1/domains/{domain}/keys",
            "/console/{file}",
        ] {
            let sent = path.replace("{domain}", "a%20b");
            assert_eq!(template(&sent), path);
            assert_eq!(template(&format!("{sent}/")), path);
        }
        assert_eq!(template("/console/"), "/console/");
    }

    #[test]
    fn what_is_not_known_is_other() {
        for path in [
            "/",
            "",
            "/x",
            "/flashaccess/domainserver",
            "/flashaccess/domainserver/a/x",
            "/flashaccess/domainserver/a/flashaccess/domain/v7",
            "/admin",
            "/admin/v1",
            "/admin/v1/x/y",
            "/admin/v1/domains/a/x",
            "/admin/v1/domains/a/members/b/c",
            "/admin/v1/domains/a/rollover/b",
        ] {
            assert_eq!(template(path), OTHER, "{path}");
        }
        assert_eq!(method(&Method::PATCH), "PATCH");
        assert_eq!(method(&Method::from_bytes(b"BREW").unwrap()), "_OTHER");
    }
}
