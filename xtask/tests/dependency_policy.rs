//! Every dependency keeps the policy of deny.toml: its licence, and where it comes from. cargo-deny
//! checks the same, and more, where it is installed; it takes too long to build for every test run.

use std::{collections::BTreeSet, path::Path, process::Command};

use serde_json::Value;
use spdx::{Expression, ParseMode};

/// The crate registry, as Cargo.lock names it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

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

/// The licences that deny.toml allows.
fn allowed() -> BTreeSet<String> {
    let policy = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    let policy: toml::Table = policy.parse().unwrap();
    let allowed = policy["licenses"]["allow"].as_array().unwrap();
    let names = allowed.iter().map(|name| name.as_str().unwrap().to_owned());
    names.collect()
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

#[test]
fn dependencies_keep_the_policy() {
    let allowed = allowed();
    let mut wrong = Vec::new();
    let (mut own, mut foreign) = (0, 0);
    for package in packages() {
        let name = format!("{} {}", package["name"], package["version"]);
        let Some(source) = package["source"].as_str() else {
            own += 1;
            for dependency in package["dependencies"].as_array().unwrap() {
                if dependency["req"] == "*" && dependency["path"].is_null() {
                    wrong.push(format!(
                        "{name} takes any version of {}",
                        dependency["name"]
                    ));
                }
            }
            continue;
        };
        foreign += 1;
        if source != REGISTRY {
            wrong.push(format!("{name} comes from {source}"));
        }
        let license = package["license"].as_str().unwrap_or_default();
        if !permits(&allowed, license) {
            wrong.push(format!("{name} has the licence `{license}`"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(own > 10 && foreign > 100, "{own} and {foreign} packages");
}
