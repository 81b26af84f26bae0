//! The documents that the code reads and writes against their schemas and examples.

use std::collections::BTreeSet;

use anonymous_domains_protocol::{
    admin::{
        BlockedMachine, BlockedPage, Domain, DomainKeyDescription, DomainKeyList, DomainPage,
        DomainSettings, Member, MemberPage, Reissued, ResealPage,
    },
    check::{CheckPage, Finding, FindingKind},
    ids::{DomainName, MachineGuid},
    problem::{ErrorName, Problem},
    request::{DeregisterRequest, RegisterRequest, SignedRequest},
    response::{Credential, DeregisterResponse, DomainDescription, Health, RegisterResponse},
    transfer::{self, EndPart, ExportPage, Header, ImportState, Imported, Part},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{document, members, resolve};

const GUID: &str = "0d4f3a52-6f0e-4a8e-9d6a-2f1d1c2b3a4f";

fn text(text: &str) -> String {
    text.to_owned()
}

fn time() -> String {
    text("2026-11-22T19:41:28Z")
}

fn guid() -> MachineGuid {
    MachineGuid::parse(GUID).unwrap()
}

fn name() -> DomainName {
    DomainName::parse("living-room").unwrap()
}

fn x5c() -> Vec<String> {
    vec![text("MIIB"), text("MIIC")]
}

/// The members that a schema names, and those of them that it requires.
fn shape<'a>(document: &'a Value, schema: &'a str) -> (BTreeSet<&'a str>, BTreeSet<&'a str>) {
    let schema = &document["components"]["schemas"][schema];
    let named = members(&schema["properties"])
        .map(|(name, _)| name)
        .collect();
    let required = match schema.get("required") {
        Some(required) => required.as_array().unwrap().iter(),
        None => [].iter(),
    };
    (named, required.map(|name| name.as_str().unwrap()).collect())
}

/// Whether a value's type is one that a schema takes.
fn fits(document: &Value, schema: &Value, value: &Value) -> bool {
    if let Some(alternatives) = schema.get("oneOf") {
        let mut alternatives = alternatives.as_array().unwrap().iter();
        return alternatives.any(|schema| fits(document, schema, value));
    }
    if let Some(values) = schema.get("enum") {
        return values.as_array().unwrap().contains(value);
    }
    let types = &resolve(document, schema)["type"];
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    *types == kind
        || types
            .as_array()
            .is_some_and(|types| types.iter().any(|one| one == kind))
}

/// Holds a document with every member, and one with as few as it may have, against its schema.
#[track_caller]
fn check<T: Serialize>(schema: &str, full: &T, least: &T) {
    let document = document();
    let (named, required) = shape(&document, schema);
    for (sample, expected) in [(full, &named), (least, &required)] {
        let sample = serde_json::to_value(sample).unwrap();
        let present: BTreeSet<&str> = members(&sample).map(|(name, _)| name).collect();
        assert_eq!(present, *expected, "{schema}");
        for (name, value) in members(&sample) {
            let member = &document["components"]["schemas"][schema]["properties"][name];
            assert!(fits(&document, member, value), "{schema}.{name}: {value}");
        }
    }
}

#[test]
fn what_a_device_is_answered() {
    let registered: RegisterResponse = RegisterResponse {
        domain: name(),
        machine_guid: guid(),
        new_member: true,
        registered_at: time(),
        key_version: 1,
        credentials: vec![],
        encrypted_keys: Some(text("a..b.c.d")),
    };
    let nothing_new = RegisterResponse {
        encrypted_keys: None,
        ..registered.clone()
    };
    check("RegisterResponse", &registered, &nothing_new);
    let credential = Credential {
        key_version: 1,
        kid: text("living-room/1"),
        x5c: x5c(),
        not_before: time(),
        not_after: time(),
    };
    check("Credential", &credential, &credential);
    let deregistered = DeregisterResponse {
        domain: name(),
        machine_guid: guid(),
        preview: false,
        deregistered: true,
    };
    check("DeregisterResponse", &deregistered, &deregistered);
}

#[test]
fn what_anyone_is_answered() {
    let full = DomainDescription {
        domain: name(),
        authentication_required: true,
        auth_namespace: Some(text("ns")),
        key_version: Some(1),
        kid: Some(text("living-room/1")),
        x5c: Some(x5c()),
        key_rollover_required: false,
    };
    let least = DomainDescription {
        auth_namespace: None,
        key_version: None,
        kid: None,
        x5c: None,
        ..full.clone()
    };
    check("DomainDescription", &full, &least);
    let full = Health {
        status: text("error"),
        store: text("ok"),
        ca: text("error"),
        detail: Some(text("ca_certificate is not in date")),
    };
    let least = Health {
        detail: None,
        ..full.clone()
    };
    check("Health", &full, &least);
    let full = Problem {
        instance: Some(text("urn:request:a")),
        ..Problem::new(ErrorName::DomLimitReached, "no")
    };
    check("Problem", &full, &Problem::new(ErrorName::NotFound, "no"));
}

#[test]
fn what_an_operator_is_answered() {
    let full = Domain {
        domain: text("living-room"),
        authentication_required: true,
        auth_namespace: Some(text("ns")),
        max_membership: Some(7),
        key_rollover_required: false,
        member_count: Some(2),
        key_version: Some(1),
        created_at: time(),
    };
    let least = Domain {
        auth_namespace: None,
        max_membership: None,
        member_count: None,
        key_version: None,
        ..full.clone()
    };
    check("Domain", &full, &least);
    let member = Member {
        machine_guid: guid(),
        registered_at: time(),
        key_thumbprint: text("oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"),
    };
    check("Member", &member, &member);
    let blocked = BlockedMachine {
        machine_guid: guid(),
        blocked_at: time(),
    };
    check("BlockedMachine", &blocked, &blocked);
    let key = DomainKeyDescription {
        key_version: 1,
        kid: text("living-room/1"),
        created_at: time(),
        x5c: x5c(),
    };
    check("DomainKeyDescription", &key, &key);
    let reissued = Reissued { reissued: 1 };
    check("Reissued", &reissued, &reissued);
    let keys = DomainKeyList { keys: vec![key] };
    check("DomainKeyList", &keys, &keys);
    for next in [None, Some(text("a"))] {
        let (domains, members, blocked) = (vec![], vec![], vec![]);
        let page = DomainPage {
            domains,
            next: next.clone(),
        };
        check("DomainPage", &page, &page);
        let page = MemberPage {
            members,
            next: next.clone(),
        };
        check("MemberPage", &page, &page);
        let page = BlockedPage { blocked, next };
        check("BlockedPage", &page, &page);
        let page = ResealPage {
            resealed: 1,
            remaining: 0,
            next: page.next,
        };
        check("ResealPage", &page, &page);
    }
}

#[test]
fn what_a_check_finds() {
    let finding = Finding {
        domain: Some(text("living-room")),
        finding: FindingKind::CountWrong,
        detail: text("why"),
        mended: false,
    };
    check("Finding", &finding, &finding);
    let page = CheckPage {
        findings: vec![finding],
        domains: 1,
        members: 2,
        next: None,
    };
    check("CheckPage", &page, &page);
}

#[test]
fn what_moves_domains() {
    let header = Header {
        format: text(transfer::FORMAT),
        version: transfer::VERSION,
        created_at: time(),
        key_encryption_keys: vec![text("AAAA")],
    };
    check("ExportHeader", &header, &header);
    let schema = &document()["components"]["schemas"]["ExportHeader"]["properties"];
    assert_eq!(schema["format"]["const"], transfer::FORMAT);
    assert_eq!(schema["version"]["const"], transfer::VERSION);
    let part = Part::End(EndPart {
        domain: name(),
        keys: 1,
        members: 2,
        blocked: 0,
        departures: 0,
        departures_by_operators: 0,
    });
    for next in [None, Some(text("a"))] {
        let part = part.clone();
        let page = ExportPage { part, next };
        check("ExportPage", &page, &page);
    }
    for state in [ImportState::Importing, ImportState::Imported] {
        check("Imported", &Imported { state }, &Imported { state });
    }
}

#[test]
fn what_an_operator_sets() {
    let document = document();
    let (named, required) = shape(&document, "DomainSettings");
    let defaults = serde_json::to_value(DomainSettings::default()).unwrap();
    assert_eq!(named, members(&defaults).map(|(name, _)| name).collect());
    assert!(required.is_empty());
    let schema = &document["components"]["schemas"]["DomainSettings"];
    assert_eq!(schema["additionalProperties"], false);
    for (name, default) in members(&defaults) {
        assert_eq!(schema["properties"][name]["default"], *default, "{name}");
    }
}

/// Reads an example as the code does, and writes it again.
#[track_caller]
fn round_trip<T: Serialize + DeserializeOwned>(example: &Value) {
    let read: T = serde_json::from_value(example.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), *example);
}

#[test]
fn examples_are_documents() {
    let document = document();
    let response = |name: &str| {
        let response = &document["components"]["responses"][name];
        &response["content"]["application/json"]["example"]
    };
    round_trip::<RegisterResponse>(response("Registered"));
    round_trip::<DeregisterResponse>(response("Deregistered"));
    round_trip::<Domain>(response("Domain"));
    let healthz = &document["paths"]["/healthz"]["get"]["responses"];
    for status in ["200", "503"] {
        round_trip::<Health>(&healthz[status]["content"]["application/json"]["example"]);
    }
    let put = &document["paths"]["/admin/v1/domains/{domain}"]["put"];
    round_trip::<DomainSettings>(&put["requestBody"]["content"]["application/json"]["example"]);
    let example = |name: &str| &document["components"]["schemas"][name]["examples"][0];
    round_trip::<DomainDescription>(example("DomainDescription"));
    round_trip::<DomainPage>(example("DomainPage"));
    round_trip::<MemberPage>(example("MemberPage"));
    round_trip::<BlockedPage>(example("BlockedPage"));
    round_trip::<DomainKeyList>(example("DomainKeyList"));
    round_trip::<CheckPage>(example("CheckPage"));
    let problem = example("Problem");
    round_trip::<Problem>(problem);
    let error: ErrorName = problem["error"].as_str().unwrap().parse().unwrap();
    let detail = problem["detail"].as_str().unwrap();
    let instance = problem["instance"].as_str().map(text);
    let expected = Problem {
        instance,
        ..Problem::new(error, detail)
    };
    assert_eq!(serde_json::to_value(expected).unwrap(), *problem);
}

#[test]
fn examples_of_requests_are_signed() {
    let document = document();
    let payload = |body: &str| {
        let body = &document["components"]["requestBodies"][body]["content"];
        let example = &body["application/jose+json"]["example"];
        let request = SignedRequest::parse(example.to_string().as_bytes()).unwrap();
        request.verify().unwrap().payload().to_vec()
    };
    let register = RegisterRequest::from_payload(&payload("Register")).unwrap();
    assert_eq!(register.machine_guid, guid());
    let deregister = DeregisterRequest::from_payload(&payload("Deregister")).unwrap();
    assert!(deregister.preview);
}
