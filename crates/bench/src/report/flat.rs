//! The cost of what devices and operators do in a store with many members, key versions and domains,
//! beside that in a small one.

use anonymous_domains_bench::{
    load::Requests,
    machines::{Machine, machines, registrations},
    seed::Seed,
};
use anonymous_domains_protocol::jwk::KeyType;

use super::{
    Plan, Report, growth,
    large::{GOAL, Kind, Store, rows},
    race::{Rival, race},
    steady::{CONNECTIONS, MACHINES},
};

/// How many of the many domains are used in turn.
const DOMAINS_ASKED: usize = 32;

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
        false => (seed(plan.large, plan.large / 10), seed(100_000, 1_000)),
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
        ("a steady join, the large domain by 10 members", GOAL),
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
        ("a steady join, many domains by 1000", GOAL),
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
