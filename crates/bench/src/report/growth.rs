//! What changes a domain, and what its size decides: joins, departures, a first maximum, deletion.

use std::time::Duration;

use anonymous_domains_bench::{
    load::{self, Pace, Requests, Sample},
    machines::{Machine, deregistrations, machines, registrations},
};
use anonymous_domains_domainctl::Admin;
use anonymous_domains_protocol::jwk::KeyType;

use super::{
    Plan, Report,
    large::{GOAL, Store, rows},
    number, operator,
    race::Results,
    steady::CONNECTIONS,
};

/// Machines that join or leave in one round.
const NEWCOMERS: usize = 500;

/// A version that no key has: nothing is delivered, so that joins differ in what they do with the
/// store.
const KNOWN: Option<u64> = Some(1000);

/// The same in a domain that is small and new in each round, and in the large one, in turns.
struct Rounds<'a> {
    /// The URLs of the small and the large domain of each round, and the machines that are new there.
    rounds: Vec<[(String, Vec<Machine>); 2]>,
    what: &'a str,
}

impl<'a> Rounds<'a> {
    fn new(plan: &Plan, small: &Store, large: &Store, what: &'a str) -> Self {
        let round = |number| {
            let small = small.server.domain(&format!("{what}-{number}"));
            let large = large.server.domain("large");
            [small, large].map(|url| (url, machines(NEWCOMERS, KeyType::EcP256)))
        };
        let rounds = (0..plan.effort().rounds).map(round).collect();
        Self { rounds, what }
    }

    /// Sends what `requests` makes for each machine of a round.
    fn run(
        &self,
        requests: impl Fn(&[Machine], &str) -> Requests,
    ) -> anyhow::Result<Vec<Vec<Sample>>> {
        let mut samples = vec![Vec::new(), Vec::new()];
        for round in &self.rounds {
            for (samples, (url, machines)) in samples.iter_mut().zip(round) {
                let requests = requests(machines, url);
                samples.push(load::run(&requests, CONNECTIONS, Pace::Once)?);
            }
        }
        Ok(samples)
    }

    /// Has each domain made, and a key for it.
    fn prepare(&self) -> anyhow::Result<()> {
        for (url, _) in self.rounds.iter().flatten() {
            load::post(&registrations(&machines(1, KeyType::EcP256), url, KNOWN))?;
        }
        Ok(())
    }

    /// The small domains' names.
    fn small(&self) -> impl Iterator<Item = String> {
        (0..self.rounds.len()).map(|number| format!("{}-{number}", self.what))
    }
}

pub fn measure(
    plan: &Plan,
    report: &mut Report,
    small: &Store,
    large: &Store,
) -> anyhow::Result<()> {
    let join = |machines: &[Machine], url: &str| registrations(machines, url, KNOWN);
    let rounds = Rounds::new(plan, small, large, "round");
    rounds.prepare()?;
    let names = [
        "a machine joins a new domain",
        "a machine joins the large domain",
    ];
    let goal = ("a new member, the large domain by a small one", GOAL);
    rows(report, names, &Results(rounds.run(join)?), goal);
    let names = [
        "a machine leaves a small domain",
        "a machine leaves the large domain",
    ];
    let goal = ("a departure, the large domain by a small one", GOAL);
    rows(report, names, &Results(rounds.run(deregistrations)?), goal);

    let small_admin = operator::admin(&small.server, small.state.path())?;
    let large_admin = operator::admin(&large.server, large.state.path())?;
    let counts = [
        first_maximum(&small_admin, small)?,
        first_maximum(&large_admin, large)?,
    ];
    let rounds = Rounds::new(plan, small, large, "counted");
    rounds.prepare()?;
    for name in rounds.small() {
        operator::set_maximum(&small_admin, &name, Some(1_000_000))?;
    }
    let names = [
        "under a maximum: a machine joins a new domain",
        "under a maximum: a machine joins the large domain",
    ];
    let goal = (
        "a new member under a maximum, the large domain by a small one",
        GOAL,
    );
    rows(report, names, &Results(rounds.run(join)?), goal);

    let deletions = [
        operator::delete(&small_admin, "large")?,
        operator::delete(&large_admin, "large")?,
    ];
    by_size(report, [small, large], counts, deletions);
    Ok(())
}

fn first_maximum(admin: &Admin, store: &Store) -> anyhow::Result<Duration> {
    let (took, _) = operator::set_maximum(admin, "large", Some(2 * store.seed.members))?;
    Ok(took)
}

/// What walks through all of a domain.
fn by_size(
    report: &mut Report,
    stores: [&Store; 2],
    counts: [Duration; 2],
    deletions: [Duration; 2],
) {
    report.line("\nWhat goes through all members, by one operator without other load:\n");
    report.table(&[
        "members",
        "first maximum, s",
        "s for 10^6 members",
        "deletion, s",
        "s for 10^6 members",
    ]);
    let per_million =
        |store: &Store, took: Duration| took.as_secs_f64() * 1e6 / store.seed.members as f64;
    for (nth, store) in stores.into_iter().enumerate() {
        report.row(&[
            store.seed.members.to_string(),
            number(counts[nth].as_secs_f64()),
            number(per_million(store, counts[nth])),
            number(deletions[nth].as_secs_f64()),
            number(per_million(store, deletions[nth])),
        ]);
    }
    for (what, took) in [("a first maximum", counts), ("a deletion", deletions)] {
        let [small, large] = [0, 1].map(|nth| per_million(stores[nth], took[nth]));
        report.at_most(format!("{what}, for each member"), GOAL, large / small);
    }
}
