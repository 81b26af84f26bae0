//! The document against the code. What the server answers is held against it over HTTP, by the
//! contract suite.

mod documents;
mod limits;

use std::collections::{BTreeMap, BTreeSet};

use anonymous_domains_protocol::problem::{ErrorName, MEDIA_TYPE};
use serde_json::{Value, json};

use super::{
    super::route::{AdminRoute, Route},
    DOCUMENT, SOURCE,
};

const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

fn document() -> Value {
    serde_json::from_slice(&DOCUMENT).unwrap()
}

/// What a `$ref` names; the value itself where it is none.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => document
            .pointer(reference.strip_prefix('#').unwrap())
            .unwrap_or_else(|| panic!("{reference} is missing")),
        None => value,
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value))
}

/// Each operation, with its path and method.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    members(&document["paths"]).flat_map(|(path, item)| {
        members(item)
            .filter(|(name, _)| METHODS.contains(name))
            .map(move |(method, operation)| (path, method, operation))
    })
}

#[test]
fn only_white_space_between_tokens_is_left_out() {
    let source: Value = serde_json::from_slice(SOURCE).unwrap();
    assert_eq!(document(), source);
    assert_eq!(DOCUMENT.len(), serde_json::to_vec(&source).unwrap().len());
    let text = br#"{ "a \" b\\" : [ 1 , "c" ] }"#;
    let (compact, length) = super::compact::<32>(text);
    assert_eq!(&compact[..length], br#"{"a \" b\\":[1,"c"]}"#);
}

/// The paths that a template stands for: one for each version that a path has.
fn instances(document: &Value, template: &str) -> Vec<String> {
    let path = template
        .replace("{domain}", "living-room")
        .replace("{machineGuid}", "0d4f3a52-6f0e-4a8e-9d6a-2f1d1c2b3a4f");
    if !path.contains("{version}") {
        return vec![path];
    }
    let versions = &document["components"]["parameters"]["version"]["schema"]["enum"];
    let versions = versions.as_array().unwrap().iter();
    versions
        .map(|version| path.replace("{version}", version.as_str().unwrap()))
        .collect()
}

/// The template of a route, without its aliases'. Here the compiler asks for every new route.
fn template(route: Route<'_>) -> &'static str {
    match route {
        Route::Register(_) => "/flashaccess/domainserver/{domain}/register",
        Route::Deregister(_) => "/flashaccess/domainserver/{domain}/deregister",
        Route::Domain(_) => "/flashaccess/domainserver/{domain}",
        Route::CaCertificate => "/flashaccess/domainserver/ca.pem",
        Route::NextCaCertificate => "/flashaccess/domainserver/ca-next.pem",
        Route::Health => "/healthz",
        Route::OpenApi => "/openapi.json",
        Route::Admin(None) => panic!("not a path of its own"),
        Route::Console(_) | Route::ConsoleWithoutSlash => panic!("a page for people"),
        Route::Admin(Some(route)) => match route {
            AdminRoute::Domains => "/admin/v1/domains",
            AdminRoute::Domain(_) => "/admin/v1/domains/{domain}",
            AdminRoute::Members(_) => "/admin/v1/domains/{domain}/members",
            AdminRoute::Member(..) => "/admin/v1/domains/{domain}/members/{machineGuid}",
            AdminRoute::BlockedMachines(_) => "/admin/v1/domains/{domain}/blocked",
            AdminRoute::BlockedMachine(..) => "/admin/v1/domains/{domain}/blocked/{machineGuid}",
            AdminRoute::Rollover(_) => "/admin/v1/domains/{domain}/rollover",
            AdminRoute::Keys(_) => "/admin/v1/domains/{domain}/keys",
            AdminRoute::Reissue(_) => "/admin/v1/domains/{domain}/reissue",
            AdminRoute::Reseal => "/admin/v1/reseal",
            AdminRoute::Check => "/admin/v1/check",
            AdminRoute::ExportHeader => "/admin/v1/export",
            AdminRoute::Export(_) => "/admin/v1/domains/{domain}/export",
            AdminRoute::Import(_) => "/admin/v1/domains/{domain}/import",
        },
    }
}

#[test]
fn every_route_is_there_with_its_methods_and_nothing_else() {
    let document = document();
    let mut templates = BTreeSet::new();
    for (path, item) in members(&document["paths"]) {
        let methods: BTreeSet<String> = members(item)
            .filter(|(name, _)| METHODS.contains(name))
            .map(|(method, _)| method.to_uppercase())
            .collect();
        for instance in instances(&document, path) {
            let route = Route::of(&instance).unwrap_or_else(|| panic!("{instance} is no route"));
            let allowed = route.allow().split(", ").map(str::to_owned).collect();
            assert_eq!(methods, allowed, "{instance}");
            templates.insert((template(route), path.contains("{version}")));
            if path == template(route) {
                continue;
            }
            let alias_of = &document["paths"][template(route)];
            for method in members(item).map(|(name, _)| name) {
                if METHODS.contains(&method) {
                    assert_eq!(
                        item[method]["requestBody"], alias_of[method]["requestBody"],
                        "{path}"
                    );
                }
            }
        }
    }
    // 21 routes, two of which have aliases; the compiler asks `template` for more of them.
    assert_eq!(templates.len(), 21 + 2, "{templates:?}");
    assert!(
        templates
            .iter()
            .all(|(template, is_alias)| { *is_alias || document["paths"].get(template).is_some() })
    );
}

#[test]
fn every_alias_has_its_versions() {
    let document = document();
    let versions = &document["components"]["parameters"]["version"]["schema"]["enum"];
    assert_eq!(*versions, json!(["v3", "v4", "v5", "v6"]));
}

#[test]
fn what_an_operator_asks_takes_the_admin_token_alone() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        let expected = match (path.starts_with("/admin/v1/"), method) {
            (true, _) => json!([{ "adminToken": [] }]),
            (false, "post") => json!([{}, { "authenticationToken": [] }]),
            (false, _) => Value::Null,
        };
        assert_eq!(operation["security"], expected, "{method} {path}");
    }
}

#[test]
fn operations_have_names_of_their_own() {
    let document = document();
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name), "{method} {path}: {name}");
    }
}

/// The errors that a response may carry, by its schema; `None` for what is no problem.
fn errors_of<'a>(document: &'a Value, response: &'a Value) -> Option<Vec<&'a str>> {
    let schema = resolve(document, response)["content"]
        .get(MEDIA_TYPE)?
        .get("schema")?;
    let alternatives = match schema.get("oneOf") {
        Some(alternatives) => alternatives.as_array().unwrap().iter().collect(),
        None => vec![schema],
    };
    Some(
        alternatives
            .into_iter()
            .map(|schema| {
                let reference = schema["$ref"].as_str().unwrap();
                reference.strip_prefix("#/components/schemas/").unwrap()
            })
            .collect(),
    )
}

#[test]
fn the_catalogue_of_errors_is_there_as_it_is() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    for error in ErrorName::ALL {
        let schema = &schemas[error.as_str()];
        assert_eq!(schema["description"], error.description(), "{error}");
        assert_eq!(schema["$ref"], "#/components/schemas/Problem", "{error}");
        let code = match error.code() {
            Some(code) => json!({ "const": code }),
            None => json!(false),
        };
        assert_eq!(
            schema["properties"],
            json!({
                "type": { "const": error.type_uri() },
                "title": { "const": error.title() },
                "status": { "const": error.status() },
                "error": { "const": error.as_str() },
                "code": code,
            })
        );
        let required = error.code().map(|_| json!(["code"]));
        assert_eq!(schema.get("required"), required.as_ref(), "{error}");
    }
    let named = members(schemas).filter(|(name, _)| !name.contains(char::is_lowercase));
    assert_eq!(named.count(), ErrorName::ALL.len(), "an error too many");
}

#[test]
fn every_error_is_an_answer_under_its_own_status() {
    let document = document();
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for (path, method, operation) in operations(&document) {
        for (status, response) in members(&operation["responses"]) {
            for name in errors_of(&document, response).unwrap_or_default() {
                let error: ErrorName = name.parse().unwrap();
                assert_eq!(status, error.status().to_string(), "{method} {path}");
                *found.entry(name).or_default() += 1;
            }
        }
    }
    for error in ErrorName::ALL {
        assert!(found.contains_key(error.as_str()), "nothing gives {error}");
    }
}

#[test]
fn errors_have_the_headers_that_they_owe() {
    let document = document();
    for (name, response) in members(&document["components"]["responses"]) {
        let Some(errors) = errors_of(&document, response) else {
            continue;
        };
        let owed = match errors[..] {
            [
                "DOM_AUTHENTICATION_REQUIRED" | "ADMIN_AUTHENTICATION_REQUIRED" | "ADMIN_FORBIDDEN",
            ] => {
                json!({ "WWW-Authenticate": { "$ref": "#/components/headers/Challenge" } })
            }
            ["METHOD_NOT_ALLOWED"] => json!({ "Allow": { "$ref": "#/components/headers/Allow" } }),
            ["STORE_UNAVAILABLE"] => {
                json!({ "Retry-After": { "$ref": "#/components/headers/RetryAfter" } })
            }
            ["RATE_LIMITED"] => json!({
                "Retry-After": { "$ref": "#/components/headers/RetryAfter" },
                "RateLimit-Policy": { "$ref": "#/components/headers/RateLimitPolicy" },
                "RateLimit": { "$ref": "#/components/headers/RateLimit" },
            }),
            _ => Value::Null,
        };
        assert_eq!(response["headers"], owed, "{name}");
    }
    for (name, header) in members(&document["components"]["headers"]) {
        // What is only there now and then.
        assert_eq!(header["required"], name != "Link", "{name}");
    }
}

/// Walks every object and array of the document.
fn walk<'a>(value: &'a Value, visit: &mut impl FnMut(&'a Value)) {
    visit(value);
    match value {
        Value::Object(members) => members.values().for_each(|value| walk(value, visit)),
        Value::Array(values) => values.iter().for_each(|value| walk(value, visit)),
        _ => {}
    }
}

#[test]
fn nothing_is_referred_to_in_vain_and_nothing_is_left_over() {
    let document = document();
    let mut named = BTreeSet::new();
    walk(&document, &mut |value| {
        if let Some(Value::String(reference)) = value.get("$ref") {
            resolve(&document, value);
            named.insert(reference.clone());
        }
    });
    for (kind, components) in members(&document["components"]) {
        for (name, _) in members(components) {
            let reference = format!("#/components/{kind}/{name}");
            assert!(
                kind == "securitySchemes" || named.contains(&reference),
                "{reference} is left over"
            );
        }
    }
}
