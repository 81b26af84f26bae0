//! The cost of a join with many members, key versions or domains.

use anonymous_domains_bench::{
    load::{self, Pace, Requests},
    machines::{machines, registrations},
    seed::{self, Seed},
};
use anonymous_domains_protocol::{jwk::KeyType, request::MEDIA_TYPE};

use super::{
    Plan, Report, number,
    race::{Effort, Results, Rival, race},
    state_directory,
    steady::{CONNECTIONS, MACHINES},
};
use crate::server::{Build, Server};

/// Machines that join for the first time in one round.
const NEWCOMERS: usize = 500;

/// How many of the many domains are used in turn.
const DOMAINS_ASKED: usize = 32;

pub fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let seed = if plan.quick {
        Seed {
            members: 1000,
            versions: 100,
            domains: 100,
        }
    } else {
        Seed {
            members: 1_000_000,
            versions: 100,
            domains: 100_000,
        }
    };
    let (large_state, small_state) = (state_directory()?, state_directory()?);
    eprintln!("bench: filling a store");
    seed::seed(large_state.path(), &seed::store_of(None)?, &seed)?;
    let large = plan
        .programs
        .gateway(Build::Wide, large_state.path(), &[])?;
    let small = plan
        .programs
        .gateway(Build::Wide, small_state.path(), &[])?;
    report.section(
        "Large stores",
        &format!(
            "One gateway with {} members in one domain, {} key versions (RSA-2048) in another and {} \
             more domains; another with one small domain. Wide build, EC machine keys. Cost is the \
             inverse of the rate.",
            seed.members, seed.versions, seed.domains
        ),
    );
    report.table(&["", "joins/s", "p50 ms", "p99 ms", "relative cost"]);

    let few = machines(10, KeyType::EcP256);
    let many = machines(MACHINES, KeyType::EcP256);
    let compare = |report: &mut Report, rivals: [Rival<'_>; 2], goal: (&str, f64)| {
        let results = race(&rivals, CONNECTIONS, plan.effort())?;
        rows(
            report,
            rivals.each_ref().map(|it| it.name.as_str()),
            &results,
            goal,
        );
        anyhow::Ok(())
    };
    let these = |machines, name: &str, server: &Server, domain: &str, known| {
        let url = server.domain(domain);
        Rival::new(name, move || registrations(machines, &url, known))
    };
    let again = |name: &str, server: &Server, domain: &str, known| {
        these(&many, name, server, domain, known)
    };
    compare(
        report,
        [
            these(&few, "a member of 10 asks again", &small, "ten", None),
            again(
                "a member of the large domain asks again",
                &large,
                "large",
                None,
            ),
        ],
        ("a steady join, 10^6 members by 10", 1.2),
    )?;
    newcomers(plan.effort(), report, &small, &large)?;
    compare(
        report,
        [
            again("1 key version", &large, "one", None),
            again("100 key versions, all delivered", &large, "old", None),
        ],
        ("a steady join, 100 key versions by 1", 3.0),
    )?;
    compare(
        report,
        [
            again(
                "1 key version, with `knownKeyVersion`",
                &large,
                "one",
                Some(1),
            ),
            again(
                "100 key versions, with `knownKeyVersion`",
                &large,
                "old",
                Some(100),
            ),
        ],
        ("the same with `knownKeyVersion`", 1.1),
    )?;
    let in_turn = |name: &str, server: &Server| {
        let urls: Vec<_> = (0..DOMAINS_ASKED)
            .map(|nth| server.domain(&format!("d{}", nth * 3)))
            .collect();
        let machine = &many[..1];
        Rival::new(name, move || Requests {
            media_type: MEDIA_TYPE,
            posts: urls
                .iter()
                .flat_map(|url| registrations(machine, url, None).posts)
                .collect(),
        })
    };
    compare(
        report,
        [
            in_turn("several domains in turn, small store", &small),
            in_turn("several domains in turn, large store", &large),
        ],
        ("a steady join, 10^5 domains by some", 1.2),
    )
}

/// Machines that join for the first time.
fn newcomers(
    effort: Effort,
    report: &mut Report,
    small: &Server,
    large: &Server,
) -> anyhow::Result<()> {
    let mut samples = vec![Vec::new(), Vec::new()];
    for round in 0..effort.rounds {
        // A new domain for each round, because a small domain would grow.
        let small_domain = small.domain(&format!("round-{round}"));
        let large_domain = large.domain("large");
        for (samples, domain) in samples.iter_mut().zip([small_domain, large_domain]) {
            load::post(&registrations(&machines(1, KeyType::EcP256), &domain, None))?;
            let newcomers = machines(NEWCOMERS, KeyType::EcP256);
            let requests = registrations(&newcomers, &domain, None);
            samples.push(load::run(&requests, CONNECTIONS, Pace::Once)?);
        }
    }
    let names = [
        "a machine joins a new domain",
        "a machine joins the large domain",
    ];
    let goal = ("a new member, 10^6 members by some", 1.2);
    rows(report, names, &Results(samples), goal);
    Ok(())
}

/// A row for each of two rivals, and the goal for the relative cost of the second.
fn rows(report: &mut Report, names: [&str; 2], results: &Results, (what, goal): (&str, f64)) {
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
