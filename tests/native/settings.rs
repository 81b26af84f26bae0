use std::{cell::RefCell, collections::BTreeSet};

use anonymous_domains::settings::{Settings, catalogue};
use anonymous_domains_protocol::jwk::KeyType;

use crate::support::{ca_params, self_signed, settings};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/settings.md");

/// Set to anything, it has the test write the page instead of comparing it.
const REWRITE: &str = "UPDATE_SETTINGS_MD";

#[test]
fn the_documented_settings_are_the_catalogue() {
    let entry = |setting: &anonymous_domains::settings::Described| {
        let secret = if setting.is_secret { ", secret" } else { "" };
        let (name, values, text) = (setting.name, &setting.values, setting.text);
        format!("- `{name}` ({values}{secret}): {text}\n")
    };
    let list: String = catalogue().iter().map(entry).collect();
    let (begin, end) = ("<!-- begin settings -->\n", "<!-- end settings -->");
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let generated = format!("{before}{begin}\n{list}\n{end}{after}");
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(PAGE, generated).unwrap();
        return;
    }
    assert!(
        page == generated,
        "{PAGE} is not what the catalogue says: run this test with {REWRITE}=1 to write it"
    );
}

#[test]
fn every_setting_of_the_catalogue_is_read_and_no_other() {
    let asked = RefCell::new(BTreeSet::new());
    let read = Settings::read(|name| {
        asked.borrow_mut().insert(name.to_owned());
        let key = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        (name == "auth_jwks").then(|| key.to_owned())
    });
    assert!(read.is_err(), "there is no CA");
    let names: BTreeSet<_> = catalogue().iter().map(|s| s.name.to_owned()).collect();
    assert_eq!(asked.into_inner(), names);
    let key_types = catalogue()
        .into_iter()
        .find(|s| s.name == "domain_key_type");
    let key_types = key_types.unwrap().values;
    for key_type in KeyType::ALL {
        assert!(key_types.contains(key_type.as_str()), "{key_type}");
    }
}

/// They differ in the component, how it is built, and the comment at the top.
#[test]
fn spins_two_manifests_are_the_same() {
    let rest = |manifest: &'static str| -> Vec<&str> {
        let differ = ["#", "source = ", "command = "];
        let lines = manifest.lines();
        lines
            .filter(|line| !differ.iter().any(|start| line.starts_with(start)))
            .collect()
    };
    let manifest = rest(include_str!("../../spin.toml"));
    assert_eq!(manifest, rest(include_str!("../../spin-p3.toml")));
}

/// Each is a variable of the application, empty by default, and is passed on to the component.
#[test]
fn spins_manifest_has_every_setting() {
    let manifest = include_str!("../../spin.toml");
    let lines_of = |section: &str| -> BTreeSet<&str> {
        let (_, rest) = manifest.split_once(&format!("[{section}]\n")).unwrap();
        rest.lines().take_while(|line| !line.is_empty()).collect()
    };
    let declared: Vec<_> = catalogue()
        .iter()
        .map(|setting| {
            let secret = if setting.is_secret {
                ", secret = true"
            } else {
                ""
            };
            format!("{} = {{ default = \"\"{secret} }}", setting.name)
        })
        .collect();
    let passed: Vec<_> = catalogue()
        .iter()
        .map(|setting| format!("{0} = \"{{{{ {0} }}}}\"", setting.name))
        .collect();
    for (section, lines) in [
        ("variables", &declared),
        ("component.server.variables", &passed),
    ] {
        let expected: BTreeSet<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(lines_of(section), expected, "{section}");
    }
}

#[test]
fn what_is_not_set_has_the_documented_default() {
    let ca = self_signed(ca_params("Domain CA"));
    let settings = settings(&ca, &[("domain_key_type", "")]).unwrap();
    assert_eq!(settings.ca.key_type.to_string(), "RSA-2048");
    assert_eq!(settings.ca.credential_ttl_days, 3650);
    assert_eq!(settings.policy.clock_tolerance_s, 300);
    assert_eq!(settings.policy.public_origin, None);
    assert!(settings.cors_origins.is_empty());
    assert_eq!(settings.policy.max_domains, None);
    assert_eq!(settings.policy.max_key_versions_per_day, 100);
    assert!(settings.policy.auto_create_domains);
    assert!(settings.policy.machine_trust_anchors.is_none());
}

#[test]
fn each_setting_that_cannot_be_used_is_named_and_its_text_is_not_repeated() {
    let ca = self_signed(ca_params("Domain CA"));
    let stranger = self_signed(ca_params("Another CA"));
    let unnamed_ca = {
        let mut params = ca_params("");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.self_signed(&ca.key).unwrap().pem()
    };
    let not_a_ca = {
        let mut params = ca_params("Not a CA");
        params.is_ca = rcgen::IsCa::ExplicitNoCa;
        params.self_signed(&ca.key).unwrap().pem()
    };
    let unsigning = {
        let mut params = ca_params("Not a signer");
        params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
        params.self_signed(&ca.key).unwrap().pem()
    };
    for (name, text) in [
        ("ca_certificate", ""),
        ("ca_certificate", "swordfish"),
        ("ca_certificate", stranger.pem.as_str()),
        ("ca_certificate", not_a_ca.as_str()),
        ("ca_certificate", unnamed_ca.as_str()),
        ("ca_certificate", unsigning.as_str()),
        ("ca_private_key", ""),
        ("ca_private_key", "swordfish"),
        ("key_encryption_key", " "),
        ("key_encryption_key", "swordfish"),
        ("key_encryption_key", &"0".repeat(63)),
        ("key_encryption_key", &"0".repeat(65)),
        ("key_encryption_key", &"g".repeat(64)),
        (
            "key_encryption_key",
            &[&"0".repeat(64), "swordfish"].join("\n"),
        ),
        (
            "key_encryption_key",
            &[&*"0".repeat(64), &"0".repeat(64)].join("\n"),
        ),
        ("ca_certificate_next", "swordfish"),
        ("ca_certificate_next", not_a_ca.as_str()),
        ("ca_certificate_next", unsigning.as_str()),
        ("domain_key_type", "swordfish"),
        ("domain_key_type", "RSA-1024"),
        ("credential_ttl_days", "0"),
        ("credential_ttl_days", "36526"),
        ("credential_ttl_days", "1.5"),
        ("clock_tolerance", "-1"),
        ("clock_tolerance", "86401"),
        ("auto_create_domains", "yes"),
        ("public_origin", "domains.example"),
        ("public_origin", "ftp://domains.example"),
        ("public_origin", "https://domains.example/path"),
        ("public_origin", "https://domains.example/?query"),
        ("public_origin", "https://swordfish@domains.example"),
        ("public_origin", "https://domains.example:swordfish"),
        ("public_origin", "https://[swordfish]"),
        ("public_origin", "https://domains.example:swordfish/"),
        ("public_origin", "https://domains.example:65536"),
        ("public_path_prefix", "domains"),
        ("public_path_prefix", "/"),
        ("public_path_prefix", "//domains"),
        ("public_path_prefix", "/domains//swordfish"),
        ("public_path_prefix", "/domains/../swordfish"),
        ("public_path_prefix", "/sword%20fish"),
        ("public_path_prefix", "/domains?swordfish"),
        ("public_path_prefix", "/admin"),
        ("public_path_prefix", "/flashaccess/swordfish"),
        ("cors_origins", "*"),
        ("cors_origins", "null"),
        ("cors_origins", "https://tv.example, swordfish"),
        ("cors_origins", "https://tv.example/swordfish"),
        ("cors_origins", "https://*.swordfish.example"),
        ("cors_origins", "file://"),
        ("cors_origins", "https://tv.example;https://swordfish"),
        ("max_domains", "-1"),
        ("max_key_versions_per_day", "0"),
        ("request_timeout", "soon"),
        ("machine_trust_anchors", "swordfish"),
    ] {
        let wrong = settings(&ca, &[(name, text)]).expect_err(text);
        assert_eq!(wrong.len(), 1, "{name} {text:?}: {wrong:?}");
        assert!(wrong[0].contains(name), "{name} {text:?}: {wrong:?}");
        assert!(!wrong[0].contains("swordfish"), "{wrong:?}");
    }
}

/// A request that waits for a key whose maker has died must live long enough to make it itself.
#[test]
fn a_request_may_take_longer_than_a_key_is_waited_for() {
    let ca = self_signed(ca_params("Domain CA"));
    for (key_type, takeover_s) in [
        ("EC-P256", 10),
        ("RSA-2048", 10),
        ("RSA-3072", 15),
        ("RSA-4096", 20),
    ] {
        let read = |timeout_s: u32| {
            let timeout_s = timeout_s.to_string();
            settings(
                &ca,
                &[
                    ("domain_key_type", key_type),
                    ("request_timeout", &timeout_s),
                ],
            )
        };
        let wrong = read(takeover_s).expect_err("no longer");
        assert!(wrong[0].contains("request_timeout"), "{wrong:?}");
        assert!(read(takeover_s + 1).is_ok(), "{key_type}");
        // What the gateway lets a request take where nothing else is said.
        assert!(read(30).is_ok(), "{key_type}");
    }
}

#[test]
fn several_key_encryption_keys_are_one_a_line() {
    let ca = self_signed(ca_params("Domain CA"));
    let [old, new] = ["0", "1"].map(|digit| digit.repeat(64));
    let digests = |text: &str| {
        settings(&ca, &[("key_encryption_key", text)])
            .unwrap()
            .key_digests()
    };
    let [old_only, new_only] = [&old, &new].map(|key| digests(key));
    let both = [new_only, old_only].concat();
    for text in [format!("{new}\n{old}"), format!("\n{new} \r\n\n{old}\r\n")] {
        assert_eq!(digests(&text), both);
    }
    let many: String = (0..17).map(|number| format!("{number:064}\n")).collect();
    assert!(settings(&ca, &[("key_encryption_key", &many)]).is_err());
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let ca = self_signed(ca_params("Domain CA"));
    let wrong = settings(
        &ca,
        &[("key_encryption_key", ""), ("clock_tolerance", "soon")],
    );
    assert_eq!(wrong.unwrap_err().len(), 2);
}

#[test]
fn an_origin_is_compared_in_one_form() {
    let ca = self_signed(ca_params("Domain CA"));
    for (text, origin) in [
        ("https://Domains.Example", "https://domains.example"),
        ("HTTPS://domains.example:443/", "https://domains.example"),
        ("http://domains.example:80", "http://domains.example"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("http://[::1]:3000/", "http://[::1]:3000"),
    ] {
        let settings = settings(&ca, &[("public_origin", text)]).unwrap();
        assert_eq!(settings.policy.public_origin.as_deref(), Some(origin));
    }
}

#[test]
fn a_path_prefix_has_no_slash_at_its_end() {
    let ca = self_signed(ca_params("Domain CA"));
    let prefix = |text| {
        let settings = settings(&ca, &[("public_path_prefix", text)]).unwrap();
        settings.policy.public_path_prefix
    };
    assert_eq!(prefix(""), "");
    assert_eq!(prefix("/domains/"), "/domains");
    assert_eq!(prefix("/drm/v1.0/admin"), "/drm/v1.0/admin");
}

#[test]
fn an_admin_token_needs_32_characters() {
    let ca = self_signed(ca_params("Domain CA"));
    let short = settings(&ca, &[("admin_token", &"x".repeat(31))]).unwrap();
    assert!(short.admin_tokens.is_empty());
    let long = settings(&ca, &[("admin_token", &"x".repeat(32))]).unwrap();
    assert!(long.admin_tokens.operator(&"x".repeat(32)).is_some());
}
