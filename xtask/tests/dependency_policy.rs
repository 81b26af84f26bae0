//! Every dependency keeps the policy of deny.toml: its licence, where it comes from, and that somebody
//! says which versions will do. The policy is in the words of cargo-deny, of which this checks what
//! deny.toml asks for, in seconds. What it does not know there is an error, and not left unchecked.

use std::{collections::BTreeSet, path::Path, process::Command};

use serde::Deserialize;
use serde_json::{Value, json};
use spdx::{Expression, ParseMode};

/// The crate registry, as Cargo.lock names it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// deny.toml.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Policy {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
    #[serde(rename = "sources")]
    _sources: Sources,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Graph {
    all_features: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Bans {
    #[serde(rename = "multiple-versions")]
    _multiple_versions: Tolerated,
    #[serde(rename = "wildcards")]
    _wildcards: Denied,
    allow_wildcard_paths: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Sources {
    #[serde(rename = "unknown-registry")]
    _unknown_registry: Denied,
    #[serde(rename = "unknown-git")]
    _unknown_git: Denied,
}

/// What is always checked: deny.toml cannot ask for less.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Denied {
    Deny,
}

/// What is never checked: deny.toml cannot ask for more.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Tolerated {
    Allow,
    Warn,
}

impl Policy {
    fn read() -> Self {
        let text = std::fs::read_to_string(root().join("deny.toml")).unwrap();
        toml::from_str(&text).unwrap_or_else(|error| panic!("deny.toml: {error}"))
    }

    /// What is wrong with a package, as `cargo metadata` describes it.
    fn violations(&self, package: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        if let Some(source) = package["source"].as_str() {
            if source != REGISTRY {
                wrong.push(format!("comes from {source}"));
            }
            let license = package["license"].as_str().unwrap_or_default();
            if !permits(&self.licenses.allow, license) {
                wrong.push(format!("has the licence `{license}`"));
            }
        }
        // One that may be published would be published with the wildcard.
        let is_private = package["publish"].as_array().is_some_and(Vec::is_empty);
        let are_paths_free = self.bans.allow_wildcard_paths && is_private;
        for dependency in package["dependencies"].as_array().unwrap() {
            let is_free = are_paths_free && !dependency["path"].is_null();
            if dependency["req"] == "*" && !is_free {
                wrong.push(format!("takes any version of {}", dependency["name"]));
            }
        }
        wrong
    }
}

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask/ is in it")
}

/// Every package that may be built, on any platform and with any feature, as cargo knows it.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--all-features",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo metadata failed");
    let mut metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let Value::Array(packages) = metadata["packages"].take() else {
        panic!("no packages");
    };
    packages
}

/// Whether these licences allow what a package's expression asks for.
fn permits(allowed: &BTreeSet<String>, expression: &str) -> bool {
    // Older packages write a slash for OR.
    let expression = Expression::parse_mode(expression, ParseMode::LAX);
    expression.is_ok_and(|it| it.evaluate(|wanted| allowed.contains(&wanted.to_string())))
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"];
    let allowed = allowed.map(str::to_owned).into_iter().collect();
    for expression in [
        "MIT",
        "MIT OR GPL-3.0-only",
        "MIT/Apache-2.0",
        "(GPL-2.0-only OR MIT) AND Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(permits(&allowed, expression), "{expression}");
    }
    for expression in [
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "",
        "No such licence",
    ] {
        assert!(!permits(&allowed, expression), "{expression}");
    }
}

fn policy(bans: &str, more: &str) -> Result<Policy, toml::de::Error> {
    toml::from_str(&format!(
        "[graph]\nall-features = true\n[licenses]\nallow = ['MIT']\n[bans]\n{bans}\n\
         allow-wildcard-paths = true\n[sources]\nunknown-registry = 'deny'\nunknown-git = 'deny'\n\
         {more}"
    ))
}

#[test]
fn a_policy_that_asks_for_what_is_not_checked_is_an_error() {
    let bans = "wildcards = 'deny'\nmultiple-versions = 'warn'";
    policy(bans, "").unwrap();
    for (bans, more) in [
        (bans, "allow-git = ['https://example.com/x']"),
        (bans, "[advisories]"),
        (&bans.replace("warn", "deny"), ""),
        (&bans.replacen("deny", "warn", 1), ""),
        (&format!("{bans}\ndeny = ['openssl']"), ""),
        ("multiple-versions = 'warn'", ""),
    ] {
        assert!(policy(bans, more).is_err(), "{bans}\n{more}");
    }
}

#[test]
fn what_is_denied_is_found() {
    let policy = policy("wildcards = 'deny'\nmultiple-versions = 'warn'", "").unwrap();
    let package = |source: Value, license: Value, publish: Value, dependency: Value| {
        policy.violations(&json!({
            "source": source, "license": license, "publish": publish, "dependencies": [dependency],
        }))
    };
    let exact = json!({ "name": "x", "req": "^1", "path": null });
    let any = json!({ "name": "x", "req": "*", "path": null });
    let any_of_path = json!({ "name": "x", "req": "*", "path": "/x" });
    let (registry, private) = (json!(REGISTRY), json!([]));

    let keeps = [
        package(registry.clone(), json!("MIT"), json!(null), exact.clone()),
        package(json!(null), json!(null), private.clone(), exact.clone()),
        package(
            json!(null),
            json!(null),
            private.clone(),
            any_of_path.clone(),
        ),
    ];
    assert_eq!(keeps, [const { Vec::<String>::new() }; 3]);
    let git = json!("git+https://example.com/x#0123");
    let other = json!("registry+https://example.com/index");
    for wrong in [
        package(git, json!("MIT"), json!(null), exact.clone()),
        package(other, json!("MIT"), json!(null), exact.clone()),
        package(
            registry.clone(),
            json!("GPL-3.0-only"),
            json!(null),
            exact.clone(),
        ),
        package(registry.clone(), json!(null), json!(null), exact),
        package(registry, json!("MIT"), json!(null), any.clone()),
        package(json!(null), json!(null), private, any),
        package(json!(null), json!(null), json!(null), any_of_path),
    ] {
        assert_eq!(wrong.len(), 1, "{wrong:?}");
    }
}

#[test]
fn dependencies_keep_the_policy() {
    let policy = Policy::read();
    // As `packages` asks for them.
    assert!(policy.graph.all_features);
    let packages = packages();
    let wrong: Vec<String> = packages
        .iter()
        .flat_map(|package| {
            let violations = policy.violations(package).into_iter();
            violations.map(|it| format!("{} {} {it}", package["name"], package["version"]))
        })
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
    let own = packages.iter().filter(|it| it["source"].is_null()).count();
    let foreign = packages.len() - own;
    assert!(own > 10 && foreign > 100, "{own} and {foreign} packages");
}
