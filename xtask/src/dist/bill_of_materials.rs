//! What is in the programs and components, as a CycloneDX document.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{console, dependencies::Dependency, release::Release};

/// The document: CycloneDX 1.6 in JSON.
///
/// `files` are what is shipped, by name. What is compiled into a crate and is no crate itself is
/// listed too: SQLite, what the console has of npm, and Rust's library of the native programs.
///
/// # Errors
/// If the versions of those cannot be found.
pub fn document(
    release: &Release,
    dependencies: &[Dependency],
    files: &[(&str, &[u8])],
    rust: &str,
) -> Result<String> {
    let main = format!("pkg:generic/anonymous-domains@{}", release.version);
    let mut components: Vec<Value> = dependencies.iter().map(component).collect();
    components.push(json!({
        "type": "library",
        "bom-ref": format!("pkg:generic/rust-std@{rust}"),
        "purl": format!("pkg:generic/rust-std@{rust}"),
        "name": "rust-std",
        "version": rust,
        "licenses": [{ "expression": "MIT OR Apache-2.0" }],
    }));
    if let Some(sqlite) = dependencies
        .iter()
        .find(|dependency| dependency.name == "libsqlite3-sys")
    {
        let version = sqlite_version(sqlite)?;
        components.push(json!({
            "type": "library",
            "bom-ref": format!("pkg:generic/sqlite@{version}"),
            "purl": format!("pkg:generic/sqlite@{version}"),
            "cpe": format!("cpe:2.3:a:sqlite:sqlite:{version}:*:*:*:*:*:*:*"),
            "name": "sqlite",
            "version": version,
            "licenses": [{ "expression": "blessing" }],
        }));
    }
    for package in console::PACKAGES {
        components.push(json!({
            "type": "library",
            "bom-ref": package.purl(),
            "purl": package.purl(),
            "name": package.name,
            "version": package.version,
            "licenses": [{ "expression": package.license }],
            "properties": [{ "name": "anonymous-domains:in", "value": "component" }],
        }));
    }
    for (name, data) in files {
        components.push(json!({
            "type": "file",
            "bom-ref": format!("file:{name}"),
            "name": name,
            "hashes": [{ "alg": "SHA-256", "content": sha256(data) }],
        }));
    }
    let uses = |of: &Dependency| -> Vec<String> {
        let mut uses: Vec<_> = of.uses.iter().map(|at| dependencies[*at].purl()).collect();
        uses.sort_unstable();
        uses
    };
    let mut graph = vec![json!({
        "ref": main,
        "dependsOn": dependencies
            .iter()
            .filter(|dependency| dependency.is_ours())
            .map(Dependency::purl)
            .collect::<Vec<_>>(),
    })];
    graph.extend(
        dependencies
            .iter()
            .map(|dependency| json!({ "ref": dependency.purl(), "dependsOn": uses(dependency) })),
    );
    let mut document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": release.timestamp(),
            "component": {
                "type": "application",
                "bom-ref": main,
                "purl": main,
                "name": "anonymous-domains",
                "version": release.version,
                "licenses": [{ "license": { "id": "Apache-2.0" } }],
            },
        },
        "components": components,
        "dependencies": graph,
    });
    // A name that follows from what is named, as all else here does.
    document["serialNumber"] = serial_number(&document).into();
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn component(dependency: &Dependency) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": dependency.purl(),
        "purl": dependency.purl(),
        "name": dependency.name,
        "version": dependency.version,
        "licenses": [{ "expression": dependency.license }],
        "properties": dependency
            .kinds
            .iter()
            .map(|kind| json!({ "name": "anonymous-domains:in", "value": kind }))
            .collect::<Vec<_>>(),
    });
    if let Some(checksum) = &dependency.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if let Some(url) = &dependency.repository {
        component["externalReferences"] = json!([{ "type": "vcs", "url": url }]);
    }
    component
}

/// A UUID (version 8) of the document without one.
fn serial_number(document: &Value) -> String {
    let mut digits = sha256(document.to_string().as_bytes());
    digits.truncate(32);
    digits.replace_range(12..13, "8");
    digits.replace_range(16..17, "8");
    for at in [20, 16, 12, 8] {
        digits.insert(at, '-');
    }
    format!("urn:uuid:{digits}")
}

/// SHA-256 in hexadecimal.
pub fn sha256(data: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(data) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The version of SQLite that the crate compiles.
fn sqlite_version(sqlite: &Dependency) -> Result<String> {
    let header = std::fs::read_to_string(sqlite.directory.join("sqlite3/sqlite3.h"))?;
    header
        .lines()
        .find_map(|line| {
            let version = line.strip_prefix("#define SQLITE_VERSION ")?;
            Some(version.trim().trim_matches('"').to_owned())
        })
        .context("SQLite's header names no version")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_serial_number_is_a_uuid_of_the_content() {
        let one = serial_number(&json!({ "a": 1 }));
        assert_eq!(one, serial_number(&json!({ "a": 1 })));
        assert_ne!(one, serial_number(&json!({ "a": 2 })));
        let uuid = one.strip_prefix("urn:uuid:").unwrap();
        let lengths: Vec<_> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!((&uuid[14..15], &uuid[19..20]), ("8", "8"));
    }
}
