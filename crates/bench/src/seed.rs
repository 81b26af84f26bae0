//! Large stores, made by the component's own tables in memory and then written to a file.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use anonymous_domains::{
    domain::insertion,
    journal::{Actor, Journal},
    membership::join,
    settings::Settings,
    store::rows::Limits,
    tables::{Tables, domain_keys, domain_membership::Machine, domain_server_info},
};
use anonymous_domains_gateway::store::{Store as _, sqlite::SqliteStore};
use anonymous_domains_protocol::ids::{DomainName, MachineGuid};
use anyhow::{Context as _, anyhow, ensure};
use tokio::task::JoinSet;

use crate::{
    environment::{self, Native},
    stores::Memory,
};

/// Values that are written at a time.
const BATCH: usize = 512;

/// What to put into an empty store.
#[derive(Debug, Clone, clap::Args)]
pub struct Seed {
    /// Members of the domain `large`
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub members: u64,
    /// Key versions of the domain `old`
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub versions: u64,
    /// Domains besides: `d0`, `d1`, ... with one member and no key yet
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub domains: u64,
}

/// The rows of one table.
#[derive(Debug, Default)]
pub struct Sizes {
    /// How many there are.
    pub rows: usize,
    /// All together, in bytes.
    pub bytes: usize,
    /// The largest, in bytes.
    pub largest: usize,
}

/// Seeds the store of a state directory, which must have none, and tells the sizes of the rows of
/// each table.
///
/// # Errors
///
/// If there is a store already, or it cannot be written.
pub fn seed(directory: &Path, seed: &Seed) -> anyhow::Result<BTreeMap<String, Sizes>> {
    let (state, settings) = environment::settings(directory)?;
    let path = state.store();
    ensure!(!path.exists(), "{} is there already", path.display());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let rows = Tables::new(
            Memory::default(),
            Native,
            Some(settings.owner()),
            Limits::default(),
        );
        fill(&rows, &settings, seed)
            .await
            .map_err(|error| anyhow!("{error}"))?;
        let values = rows.store.0.take();
        let mut sizes = BTreeMap::<String, Sizes>::new();
        for (key, value) in &values {
            let table = key.split(':').nth(1).unwrap_or_default();
            let sizes = sizes.entry(table.to_owned()).or_default();
            sizes.rows += 1;
            sizes.bytes += value.len();
            sizes.largest = sizes.largest.max(value.len());
        }
        write(Arc::new(SqliteStore::open(&path)?), values).await?;
        Ok(sizes)
    })
}

async fn fill(
    rows: &Tables<Memory, Native>,
    settings: &Settings,
    seed: &Seed,
) -> Result<(), anonymous_domains::error::Error> {
    let name = |name: &str| DomainName::parse(name).expect("a domain name");
    let machine = || Machine {
        guid: MachineGuid::random(),
        key_thumbprint: [7; 32],
        iat_ms: 0,
    };
    let url = "http://seed.example/flashaccess/domainserver/seed/";
    let journal = Journal::new(&rows.env, "seed", Actor::Machine);
    let with_key = async |domain: &DomainName| {
        let (domain, _) = insertion::find_or_insert(rows, domain, None).await?;
        domain_keys::read_or_roll_over(rows, &domain, url, &settings.ca, journal).await?;
        Ok::<_, anonymous_domains::error::Error>(domain)
    };
    if seed.members > 0 {
        let domain = with_key(&name("large")).await?;
        for _ in 0..seed.members {
            join::find_or_add(rows, domain.clone(), &machine()).await?;
        }
    }
    for version in 0..seed.versions {
        let domain = with_key(&name("old")).await?;
        if version + 1 < seed.versions {
            domain_server_info::require_rollover(rows, &domain).await?;
        }
    }
    for number in 0..seed.domains {
        let name = name(&format!("d{number}"));
        let (domain, _) = insertion::find_or_insert(rows, &name, None).await?;
        join::find_or_add(rows, domain, &machine()).await?;
    }
    Ok(())
}

async fn write(
    store: Arc<SqliteStore>,
    values: BTreeMap<String, Vec<u8>>,
) -> Result<(), anyhow::Error> {
    let mut values = values.into_iter();
    loop {
        // Together: concurrent writes share a transaction.
        let mut batch = JoinSet::new();
        for (key, value) in values.by_ref().take(BATCH) {
            let store = Arc::clone(&store);
            batch.spawn(async move { store.set(&key, value).await });
        }
        if batch.is_empty() {
            return Ok(());
        }
        while let Some(written) = batch.join_next().await {
            written?.context("the store cannot be written")?;
        }
    }
}
