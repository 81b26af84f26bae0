//! cfssl, a common server for issuing credentials over HTTP.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anonymous_domains_bench::{
    load::{Post, Requests},
    machines::machines,
};
use anonymous_domains_protocol::jwk::KeyType;
use anonymous_domains_testkit::free_port;
use anyhow::{Context as _, ensure};

use super::{
    Plan, Report, number,
    race::{Rival, race},
    state_directory,
    steady::{CONNECTIONS, MACHINES, members},
};
use crate::server::{Build, Server, start_at};

/// A type of key, as cfssl names it.
struct Kind {
    name: &'static str,
    algorithm: &'static str,
    size: u32,
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "RSA-2048",
        algorithm: "rsa",
        size: 2048,
    },
    Kind {
        name: "P-256",
        algorithm: "ecdsa",
        size: 256,
    },
];

pub fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    report.section(
        "Against cfssl",
        "Debian's `golang-cfssl`, an old version, issues certificates over HTTP: *sign* signs a client's \
         CSR, *newcert* also generates the key. A steady join delivers an existing key and certificate; \
         it verifies a signature and encrypts, which cfssl does not. Wide build.",
    );
    let version = Command::new("cfssl").arg("version").output();
    let version = version.context("cannot run cfssl; on Debian: apt-get install golang-cfssl")?;
    let version = String::from_utf8_lossy(&version.stdout)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    report.line(format!("cfssl: {version}.\n"));

    let state = state_directory()?;
    let gateway = plan.programs.gateway(Build::Wide, state.path(), &[])?;
    report.table(&[
        "",
        "responses/s",
        "p50 ms",
        "p99 ms",
        "EC-P256 join : it",
        "RSA-2048 join : it",
    ]);
    for kind in &KINDS {
        let directory = state_directory()?;
        let cfssl = cfssl(kind, directory.path())?;
        let csr = signing_request(kind, directory.path())?;
        let [ec, rsa] = [KeyType::EcP256, KeyType::Rsa2048].map(|key| machines(MACHINES, key));
        let post = |path: &str, body: String| {
            let url = format!("{}/api/v1/cfssl/{path}", cfssl.origin);
            Requests::posts("application/json", vec![Post::new(&url, body)])
        };
        let sign = serde_json::json!({ "certificate_request": csr }).to_string();
        let newcert = serde_json::json!({ "request": {
            "CN": "living-room",
            "hosts": ["living-room.example"],
            "names": [{ "O": "Bench" }],
            "key": { "algo": kind.algorithm, "size": kind.size },
        }})
        .to_string();
        let rivals = [
            Rival::new(format!("cfssl sign, {}", kind.name), || {
                post("sign", sign.clone())
            }),
            Rival::new(format!("cfssl newcert, {}", kind.name), || {
                post("newcert", newcert.clone())
            }),
            members("steady join, EC-P256 machine", &gateway, &ec),
            members("steady join, RSA-2048 machine", &gateway, &rsa),
        ];
        let results = race(&rivals, CONNECTIONS, plan.effort())?;
        for (nth, rival) in rivals.iter().enumerate() {
            let ratio = |join| match nth {
                0 | 1 => number(results.ratio(join, nth)),
                _ => String::new(),
            };
            report.row(&[
                rival.name.clone(),
                number(results.rate(nth)),
                number(results.percentile_ms(nth, 0.5)),
                number(results.percentile_ms(nth, 0.99)),
                ratio(2),
                ratio(3),
            ]);
        }
        let (nth, call, goal) = match kind.algorithm {
            "rsa" => (0, "sign", 3.0),
            _ => (1, "newcert", 1.0),
        };
        for (join, machine) in [(2, "EC-P256"), (3, "RSA-2048")] {
            let what = format!("{machine}: a join by cfssl {call}, {}", kind.name);
            report.at_least(what, goal, results.ratio(join, nth));
        }
    }
    Ok(())
}

/// Starts cfssl with a CA of this type.
fn cfssl(kind: &Kind, directory: &Path) -> anyhow::Result<Server> {
    let (certificate, key) = (directory.join("ca.pem"), directory.join("ca-key.pem"));
    openssl(kind, "req", |command| {
        command
            .args(["-x509", "-days", "30", "-subj", "/CN=Bench CA"])
            .args(["-addext", "keyUsage=critical,keyCertSign"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate);
    })?;
    let port = free_port()?;
    let mut command = Command::new("cfssl");
    command
        .args(["serve", "-loglevel", "4", "-address", "127.0.0.1"])
        .args(["-port", &port.to_string()])
        .arg("-ca")
        .arg(&certificate)
        .arg("-ca-key")
        .arg(&key)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    start_at(command, port, "/api/v1/cfssl/health")
}

/// A certificate signing request, PEM.
fn signing_request(kind: &Kind, directory: &Path) -> anyhow::Result<String> {
    let request = directory.join("request.pem");
    openssl(kind, "req", |command| {
        command
            .args(["-subj", "/CN=living-room", "-keyout", "/dev/null"])
            .args(["-addext", "subjectAltName=DNS:living-room.example"])
            .arg("-out")
            .arg(&request);
    })?;
    Ok(std::fs::read_to_string(request)?)
}

/// Runs `openssl` with a new key of this type, and the arguments that `configure` adds.
fn openssl(kind: &Kind, what: &str, configure: impl FnOnce(&mut Command)) -> anyhow::Result<()> {
    let mut command = Command::new("openssl");
    command.args([what, "-new", "-nodes", "-newkey"]);
    match kind.algorithm {
        "rsa" => command.arg(format!("rsa:{}", kind.size)),
        _ => command.args(["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    };
    configure(&mut command);
    let output = command.output().context("cannot run openssl")?;
    ensure!(
        output.status.success(),
        "openssl failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
