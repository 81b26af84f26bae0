//! How many WebAssembly instructions the main flows take.

use std::path::Path;

use anonymous_domains_gateway::engine::{P2, PORTABLE, WIDE};
use anonymous_domains_protocol::{jwk::KeyType, request::MEDIA_TYPE};
use anyhow::Context as _;
use bytes::Bytes;

use crate::{
    guest::Guest,
    machines::{Machine, machines},
};

/// How much a flow may differ from its recorded count: compilers differ a little.
pub const TOLERANCE: f64 = 0.1;

/// The builds of the component, in the order of their counts.
const BUILDS: [&str; 3] = [PORTABLE, WIDE, P2];

/// What each flow took in each build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts(Vec<(String, [u64; 3])>);

impl Counts {
    /// Counts in the builds of the component in a directory.
    ///
    /// # Errors
    ///
    /// If a request is refused.
    pub fn count(components: &Path) -> anyhow::Result<Self> {
        let [portable, wide, p2] = BUILDS.map(|file| count(&components.join(file)));
        let counts = portable?.into_iter().zip(wide?).zip(p2?);
        Ok(Self(
            counts
                .map(|(((flow, portable), (_, wide)), (_, p2))| {
                    (flow.to_owned(), [portable, wide, p2])
                })
                .collect(),
        ))
    }

    /// Each flow, and what it took in the portable, the wide and the WASI 0.2 build.
    pub fn each(&self) -> impl Iterator<Item = (&str, [u64; 3])> {
        self.0.iter().map(|(flow, counts)| (flow.as_str(), *counts))
    }

    /// The text that [`from_text`](Self::from_text) reads: a line for each flow, with tabs.
    pub fn to_text(&self) -> String {
        let lines = self.each();
        lines
            .map(|(flow, [portable, wide, p2])| format!("{flow}\t{portable}\t{wide}\t{p2}\n"))
            .collect()
    }

    /// Reads recorded counts.
    ///
    /// # Errors
    ///
    /// If a line is not a flow and three numbers.
    pub fn from_text(text: &str) -> anyhow::Result<Self> {
        let line = |line: &str| {
            let mut fields = line.split('\t');
            let flow = fields.next()?.to_owned();
            let counts = [
                fields.next()?.parse().ok()?,
                fields.next()?.parse().ok()?,
                fields.next()?.parse().ok()?,
            ];
            fields.next().is_none().then_some((flow, counts))
        };
        let lines = text.lines().map(|text| {
            line(text).with_context(|| format!("`{text}` is no flow with three numbers"))
        });
        Ok(Self(lines.collect::<Result<_, _>>()?))
    }

    /// What differs from the recorded counts by more than [`TOLERANCE`], one sentence each.
    pub fn differences(&self, noted: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        for ((flow, counts), (noted_flow, noted)) in self.each().zip(noted.each()) {
            if flow != noted_flow {
                differences.push(format!("{flow}: noted is {noted_flow}"));
            }
            for (nth, build) in BUILDS.iter().enumerate() {
                let ratio = counts[nth] as f64 / noted[nth] as f64;
                if (ratio - 1.0).abs() > TOLERANCE {
                    differences.push(format!(
                        "{flow}, {build}: {} instructions, {ratio:.2} times the {} that were noted",
                        counts[nth], noted[nth]
                    ));
                }
            }
        }
        if self.0.len() != noted.0.len() {
            differences.push("not the flows that were noted".to_owned());
        }
        differences
    }
}

/// How many times a flow is counted. The median is used, because random values (nonces, prime
/// numbers, the lengths of numbers in DER) make the counts differ a little.
const TIMES: usize = 5;

const DOMAINS: &str = "http://127.0.0.1/flashaccess/domainserver";

/// Key versions of the old domain.
const VERSIONS: u64 = 100;

const SETTINGS: [&str; 1] = ["domain_key_type=EC-P256"];

/// A guest, and the counts of its flows.
struct Flows {
    guest: Guest,
    domain: &'static str,
    counts: Vec<(&'static str, u64)>,
}

/// Counts the main flows in the component in a file, on a new store.
///
/// Domain keys are P-256, because the time to find the prime numbers of an RSA key is random.
///
/// # Errors
///
/// If a request is refused.
fn count(component: &Path) -> anyhow::Result<Vec<(&'static str, u64)>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let directory = tempfile::tempdir()?;
    runtime.block_on(count_in(component, directory.path()))
}

async fn count_in(component: &Path, directory: &Path) -> anyhow::Result<Vec<(&'static str, u64)>> {
    let guest = Guest::new(component, directory, &SETTINGS).await?;
    let mut flows = Flows {
        guest,
        domain: "home",
        counts: Vec::new(),
    };
    for (kind, [again, new, leave]) in [
        (
            KeyType::EcP256,
            [
                "join again, EC-P256 machine",
                "join, EC-P256 machine",
                "leave, EC-P256 machine",
            ],
        ),
        (
            KeyType::Rsa2048,
            [
                "join again, RSA-2048 machine",
                "join, RSA-2048 machine",
                "leave, RSA-2048 machine",
            ],
        ),
    ] {
        let all = machines(2 + TIMES, kind);
        let ([resident, leaver], new_ones) = all.split_at(2) else {
            continue;
        };
        flows.join(resident, None).await?;
        flows
            .median(again, async |flows, _| flows.join(resident, None).await)
            .await?;
        flows
            .median(new, async |flows, nth| {
                flows.join(&new_ones[nth], None).await
            })
            .await?;
        flows
            .median(leave, async |flows, _| {
                flows.join(leaver, None).await?;
                flows.leave(leaver).await
            })
            .await?;
    }
    let all = machines(2, KeyType::EcP256);
    let [resident, leaver] = &all[..] else {
        return Ok(flows.counts);
    };
    let rsa = machines(1, KeyType::Rsa2048);
    // With one key version, as where the later requests were counted.
    flows.domain = "new";
    for (machine, flow) in [
        (
            resident,
            "join again, EC-P256 machine, an instance's first request",
        ),
        (
            &rsa[0],
            "join again, RSA-2048 machine, an instance's first request",
        ),
    ] {
        flows.join(machine, None).await?;
        flows
            .median(flow, async |flows, _| {
                flows.guest = Guest::new(component, directory, &SETTINGS).await?;
                flows.join(machine, None).await
            })
            .await?;
    }
    flows.domain = "home";
    flows
        .median(
            "join after a departure, EC-P256 domain key",
            async |flows, _| {
                flows.join(leaver, None).await?;
                flows.leave(leaver).await?;
                flows.join(resident, None).await
            },
        )
        .await?;
    flows.domain = "old";
    flows.join(resident, None).await?;
    for _ in 1..VERSIONS {
        flows.join(leaver, Some(VERSIONS)).await?;
        flows.leave(leaver).await?;
        flows.join(resident, Some(VERSIONS)).await?;
    }
    flows
        .median("join again, over 100 key versions", async |flows, _| {
            flows.join(resident, None).await
        })
        .await?;
    flows
        .median("the same with knownKeyVersion", async |flows, _| {
            flows.join(resident, Some(VERSIONS)).await
        })
        .await?;
    Ok(flows.counts)
}

impl Flows {
    async fn median(
        &mut self,
        flow: &'static str,
        mut run: impl AsyncFnMut(&mut Self, usize) -> anyhow::Result<u64>,
    ) -> anyhow::Result<()> {
        let mut all = Vec::new();
        for nth in 0..TIMES {
            all.push(run(self, nth).await?);
        }
        all.sort_unstable();
        self.counts.push((flow, all[TIMES / 2]));
        Ok(())
    }

    async fn join(&mut self, machine: &Machine, known: Option<u64>) -> anyhow::Result<u64> {
        let url = format!("{DOMAINS}/{}/register", self.domain);
        let body = machine.registration(&url, known);
        self.post(&url, body).await
    }

    async fn leave(&mut self, machine: &Machine) -> anyhow::Result<u64> {
        let url = format!("{DOMAINS}/{}/deregister", self.domain);
        let body = machine.deregistration(&url);
        self.post(&url, body).await
    }

    async fn post(&mut self, url: &str, body: Bytes) -> anyhow::Result<u64> {
        self.guest.post(url, MEDIA_TYPE, body).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_and_a_difference_shows() {
        let noted = Counts(vec![
            ("join".into(), [1000, 500, 1000]),
            ("leave".into(), [100, 50, 100]),
        ]);
        assert_eq!(Counts::from_text(&noted.to_text()).unwrap(), noted);
        assert!(noted.differences(&noted).is_empty());

        let dearer = Counts(vec![
            ("join".into(), [1090, 560, 1000]),
            ("leave".into(), [100, 50, 100]),
        ]);
        let differences = dearer.differences(&noted);
        assert_eq!(differences.len(), 1, "{differences:?}");
        assert!(differences[0].starts_with("join, anonymous_domains.wide.wasm: 560"));
        // A much cheaper flow must be recorded too, or it could get slower again unnoticed.
        let cheaper = Counts(vec![
            ("join".into(), [1000, 400, 1000]),
            ("leave".into(), [100, 50, 100]),
        ]);
        assert_eq!(cheaper.differences(&noted).len(), 1);
        assert!(!Counts(vec![]).differences(&noted).is_empty());
        for text in ["join\t1\t2\n", "join\t1\t2\tx\n", "join\t1\t2\t3\t4\n"] {
            assert!(Counts::from_text(text).is_err(), "{text}");
        }
    }
}
