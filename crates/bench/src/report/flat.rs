//! The cost of what devices and operators do in a store with many members, key versions and domains,
//! beside that in a small one.

use anonymous_domains_bench::{
    load::Requests,
    machines::{Machine, machines, registrations},
    seed::{self, Seed},
};
use anonymous_domains_protocol::jwk::KeyType;
use anonymous_domains_testkit::{Authentication, PostgresServer};
use tempfile::TempDir;

use super::{
    Plan, Report, growth, number, operator,
    race::{Results, Rival, race},
    state_directory,
    steady::{CONNECTIONS, MACHINES},
};
use crate::server::{Build, Server};

/// How many of the many domains are used in turn.
const DOMAINS_ASKED: usize = 32;

/// How much more anything may cost in a large store than in a small one.
pub const GOAL: f64 = 1.3;

/// A gateway on a store of its own that was seeded.
pub struct Store {
    pub server: Server,
    pub state: TempDir,
    pub seed: Seed,
    /// The database, if the store is not a file.
    _database: Option<PostgresServer>,
}

/// Where the stores are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sqlite,
    Postgres,
}

impl Store {
    fn start(plan: &Plan, kind: Kind, seed: Seed) -> anyhow::Result<Self> {
        let state = state_directory()?;
        let database = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => Some(PostgresServer::start(Authentication::Trust, &[])?),
        };
        let url = database.as_ref().map(PostgresServer::url);
        eprintln!("bench: filling a store");
        seed::seed(state.path(), &seed::store_of(url.as_deref())?, &seed)?;
        let further: Vec<&str> = url.iter().flat_map(|url| ["--store", url]).collect();
        let server = plan.programs.gateway(Build::Wide, state.path(), &further)?;
        Ok(Self {
            server,
            state,
            seed,
            _database: database,
        })
    }

    fn pages(&self, path: &str) -> anyhow::Result<Requests> {
        let url = format!("{}/admin/v1/domains{path}", self.server.origin);
        Requests::pages(&operator::token(self.state.path())?, &[url])
    }
}

pub fn on_sqlite(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    measure(plan, report, Kind::Sqlite)
}

pub fn on_postgres(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    measure(plan, report, Kind::Postgres)
}

fn measure(plan: &Plan, report: &mut Report, kind: Kind) -> anyhow::Result<()> {
    let seed = |members, domains| Seed {
        members,
        versions: 100,
        domains,
    };
    let (large, small) = match plan.quick {
        true => (seed(3_000, 300), seed(600, 100)),
        false => (seed(10_000_000, 1_000_000), seed(100_000, 1_000)),
    };
    let large = Store::start(plan, kind, large)?;
    let small = Store::start(plan, kind, small)?;
    let name = match kind {
        Kind::Sqlite => "SQLite",
        Kind::Postgres => "PostgreSQL",
    };
    report.section(
        &format!("Large stores on {name}"),
        &format!(
            "One gateway with {} members in one domain, 100 key versions (RSA-2048) in another and {} \
             more domains; another with {} members, and {} more domains. Wide build, EC machine keys. \
             Cost is the inverse of the rate.",
            large.seed.members, large.seed.domains, small.seed.members, small.seed.domains
        ),
    );
    report.table(&["", "requests/s", "p50 ms", "p99 ms", "relative cost"]);
    devices(plan, report, &small, &large)?;
    pages(plan, report, &small, &large)?;
    growth::measure(plan, report, &small, &large)
}

/// Two rivals, the second of which may cost so much of the first.
fn compare(
    plan: &Plan,
    report: &mut Report,
    rivals: [Rival<'_>; 2],
    goal: (&str, f64),
) -> anyhow::Result<()> {
    let results = race(&rivals, CONNECTIONS, plan.effort())?;
    let names = rivals.each_ref().map(|rival| rival.name.as_str());
    rows(report, names, &results, goal);
    Ok(())
}

/// Members that ask again.
fn devices(plan: &Plan, report: &mut Report, small: &Store, large: &Store) -> anyhow::Result<()> {
    let few = machines(10, KeyType::EcP256);
    let many = machines(MACHINES, KeyType::EcP256);
    let these = |machines, name: &str, store: &Store, domain: &str, known| {
        let url = store.server.domain(domain);
        Rival::new(name, move || registrations(machines, &url, known))
    };
    let again = |name: &str, domain: &str, known| these(&many, name, large, domain, known);
    compare(
        plan,
        report,
        [
            these(&few, "a member of 10 asks again", small, "ten", None),
            again("a member of the large domain asks again", "large", None),
        ],
        ("a steady join, 10^7 members by 10", GOAL),
    )?;
    compare(
        plan,
        report,
        [
            again("1 key version", "one", None),
            again("100 key versions, all delivered", "old", None),
        ],
        ("a steady join, 100 key versions by 1", 3.0),
    )?;
    compare(
        plan,
        report,
        [
            again("1 key version, with `knownKeyVersion`", "one", Some(1)),
            again("100 key versions, with `knownKeyVersion`", "old", Some(100)),
        ],
        ("the same with `knownKeyVersion`", 1.1),
    )?;
    let in_turn = |name: &str, store: &Store| {
        let urls: Vec<_> = (0..DOMAINS_ASKED)
            .map(|nth| store.server.domain(&format!("d{}", nth * 3)))
            .collect();
        let machine: &[Machine] = &many[..1];
        Rival::new(name, move || {
            let all = urls.iter().map(|url| registrations(machine, url, None));
            all.reduce(Requests::and).expect("there are domains")
        })
    };
    compare(
        plan,
        report,
        [
            in_turn("several domains in turn, small store", small),
            in_turn("several domains in turn, large store", large),
        ],
        ("a steady join, 10^6 domains by 1000", GOAL),
    )
}

/// Pages of an operator's lists, from their middle.
fn pages(plan: &Plan, report: &mut Report, small: &Store, large: &Store) -> anyhow::Result<()> {
    let members = "/large/members?limit=100&after=80000000-0000-4000-8000-000000000000";
    for (what, path) in [("members", members), ("domains", "?limit=100&after=d4")] {
        let page = |name: &str, store: &Store| -> anyhow::Result<Rival<'_>> {
            let page = store.pages(path)?;
            Ok(Rival::new(name, move || page.clone()))
        };
        let (small_page, large_page) = match what {
            "members" => ("100 members, small domain", "100 members, large domain"),
            _ => ("100 domains, small store", "100 domains, large store"),
        };
        let rivals = [page(small_page, small)?, page(large_page, large)?];
        compare(plan, report, rivals, (&format!("a page of {what}"), GOAL))?;
    }
    Ok(())
}

/// A row for each of two rivals, and the goal for the relative cost of the second.
pub fn rows(report: &mut Report, names: [&str; 2], results: &Results, (what, goal): (&str, f64)) {
    for (nth, name) in names.into_iter().enumerate() {
        report.row(&[
            name.to_owned(),
            number(results.rate(nth)),
            number(results.percentile_ms(nth, 0.5)),
            number(results.percentile_ms(nth, 0.99)),
            number(results.ratio(0, nth)),
        ]);
    }
    report.at_most(what, goal, results.ratio(0, 1));
}
