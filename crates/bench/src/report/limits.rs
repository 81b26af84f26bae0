//! The operations that a join cannot avoid, at OpenSSL's rate: an upper bound for any server.

use std::process::Command;

use anonymous_domains_bench::machines::machines;
use anonymous_domains_protocol::jwk::KeyType;
use anyhow::{Context as _, ensure};

use super::{
    Plan, Report, number,
    race::race,
    state_directory,
    steady::{CONNECTIONS, MACHINES, members},
};
use crate::server::Build;

/// The operations of a join that `openssl speed` measures, per second on all threads together.
struct Rates {
    ec_verify: f64,
    ec_sign: f64,
    ecdh: f64,
    rsa_verify: f64,
}

pub fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let state = state_directory()?;
    let gateway = plan.programs.gateway(Build::Wide, state.path(), &[])?;
    let rates = openssl(if plan.quick { 1 } else { 3 })?;
    report.section(
        "The limit",
        "A steady join must verify a signature and encrypt: with an EC key an ECDSA verification, an \
         ephemeral key (about an ECDSA signature) and an ECDH agreement; with an RSA key two public-key \
         operations. The rate that `openssl speed -multi` allows for these alone, on all threads:",
    );
    report.table(&[
        "machine's key",
        "joins/s at OpenSSL's rate",
        "joins/s, wide build",
        "ratio",
    ]);
    let ec = 1.0 / (1.0 / rates.ec_verify + 1.0 / rates.ec_sign + 1.0 / rates.ecdh);
    let rsa = rates.rsa_verify / 2.0;
    for (kind, limit, goal) in [(KeyType::EcP256, ec, 0.25), (KeyType::Rsa2048, rsa, 0.12)] {
        let machines = machines(MACHINES, kind);
        let rival = members("gateway", &gateway, &machines);
        let results = race(&[rival], CONNECTIONS, plan.effort())?;
        report.row(&[
            kind.to_string(),
            number(limit),
            number(results.rate(0)),
            number(results.rate(0) / limit),
        ]);
        let what = format!("{kind}: a join by OpenSSL's rate");
        report.at_least(what, goal, results.rate(0) / limit);
    }
    Ok(())
}

fn openssl(seconds: u32) -> anyhow::Result<Rates> {
    let threads = std::thread::available_parallelism()?.get();
    let output = Command::new("openssl")
        .args(["speed", "-mr", "-seconds", &seconds.to_string()])
        .args(["-multi", &threads.to_string()])
        .args(["rsa2048", "ecdsap256", "ecdhp256"])
        .output()
        .context("cannot run openssl")?;
    ensure!(output.status.success(), "openssl speed failed");
    rates(&String::from_utf8_lossy(&output.stdout))
}

/// Reads the lines of `openssl speed -mr -multi`: `+F2:` is RSA, `+F4:` ECDSA, `+F5:` ECDH, each with
/// a number and bits, and then operations per second.
fn rates(text: &str) -> anyhow::Result<Rates> {
    let rate = |line: &str, field: usize| {
        let mut lines = text.lines().filter(|text| text.starts_with(line));
        let rate = lines.next().and_then(|line| line.split(':').nth(field));
        let rate: Option<f64> = rate.and_then(|text| text.parse().ok());
        rate.filter(|rate| *rate > 1.0)
            .with_context(|| format!("openssl speed printed no rate in {line}"))
    };
    Ok(Rates {
        rsa_verify: rate("+F2:", 4)?,
        ec_sign: rate("+F4:", 3)?,
        ec_verify: rate("+F4:", 4)?,
        ecdh: rate("+F5:", 3)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openssls_lines_are_read() {
        let printed = "Forked child 0\nGot: +F2:2:2048:737.0:11881.0 from 0\n\
            +F2:2:2048:1480.5:23488.0\n+F4:3:256:19571.1:6059.4\n+F5:3:256:8118.8:0.000123\n";
        let read = rates(printed).unwrap();
        let read = [read.rsa_verify, read.ec_sign, read.ec_verify, read.ecdh];
        assert_eq!(read, [23488.0, 19571.1, 6059.4, 8118.8]);
        assert!(rates("Forked child 0\n").is_err());
    }
}
