//! A gateway on a store that was seeded, beside another one.

use anonymous_domains_bench::{
    load::Requests,
    seed::{self, Seed},
};
use anonymous_domains_testkit::{Authentication, PostgresServer};
use tempfile::TempDir;

use super::{Plan, Report, number, operator, race::Results, state_directory};
use crate::server::{Build, Server};

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
pub enum Kind {
    Sqlite,
    Postgres,
}

impl Store {
    /// Fills a store, and starts the gateway.
    pub fn start(plan: &Plan, kind: Kind, seed: Seed) -> anyhow::Result<Self> {
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

    /// Fetches a page of an operator's lists.
    pub fn pages(&self, path: &str) -> anyhow::Result<Requests> {
        let url = format!("{}/admin/v1/domains{path}", self.server.origin);
        Requests::pages(&operator::token(self.state.path())?, &[url])
    }
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
