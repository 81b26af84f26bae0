//! Where many rows are written at a time.

use std::sync::Arc;

use anonymous_domains_gateway::store::Store;
use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

/// How many rows are written at a time.
const AT_A_TIME: usize = 256;

/// Writes the rows of a batch in one statement.
const INSERT: &str = "\
INSERT INTO anonymous_domains (key, version, value)
SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bytea[])
ON CONFLICT (key) DO UPDATE SET version = excluded.version, value = excluded.value";

/// A store that is written by nobody else meanwhile.
pub enum Sink {
    /// Any store. It puts concurrent writes into one transaction, or sends them one after the other
    /// without waiting.
    Store(Arc<dyn Store>),
    /// The table of a PostgreSQL, where each of the store's own writes is a transaction.
    Postgres(Client),
}

impl Sink {
    /// The way into `store`, which has this URL if it is no file.
    pub async fn into(store: Arc<dyn Store>, url: Option<&str>) -> Self {
        let is_postgres = |url: &&str| url.starts_with("postgres://");
        let Some(url) = url.filter(is_postgres) else {
            return Self::Store(store);
        };
        // One that wants TLS, or a password that the URL does not have, is reached by the store.
        match tokio_postgres::connect(url, NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                Self::Postgres(client)
            }
            Err(_) => Self::Store(store),
        }
    }

    /// Writes rows, and calls `told` with the length of each value.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub async fn write(
        &self,
        mut rows: impl Iterator<Item = (String, Vec<u8>)>,
        told: impl FnMut(u64),
    ) -> anyhow::Result<()> {
        match self {
            Self::Store(store) => write_each(store, rows, told).await,
            Self::Postgres(client) => {
                let mut told = told;
                loop {
                    let batch: Vec<_> = rows.by_ref().take(AT_A_TIME).collect();
                    if batch.is_empty() {
                        return Ok(());
                    }
                    told(write_batch(client, batch).await?);
                }
            }
        }
    }
}

async fn write_each(
    store: &Arc<dyn Store>,
    mut rows: impl Iterator<Item = (String, Vec<u8>)>,
    mut told: impl FnMut(u64),
) -> anyhow::Result<()> {
    let mut writes = JoinSet::new();
    loop {
        while writes.len() < AT_A_TIME
            && let Some((key, value)) = rows.next()
        {
            let store = Arc::clone(store);
            let length = value.len() as u64;
            writes.spawn(async move { store.set(&key, value).await.map(|()| length) });
        }
        match writes.join_next().await {
            Some(written) => told(written?.context("the store cannot be written")?),
            None => return Ok(()),
        }
    }
}

async fn write_batch(client: &Client, batch: Vec<(String, Vec<u8>)>) -> anyhow::Result<u64> {
    let length = batch.iter().map(|(_, value)| value.len() as u64).sum();
    let versions = batch
        .iter()
        .map(|_| random())
        .collect::<Result<Vec<_>, _>>()?;
    let (keys, values): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .map(|(key, value)| (key.into_bytes(), value))
        .unzip();
    let written = client.execute(INSERT, &[&keys, &versions, &values]).await;
    written.context("the store cannot be written")?;
    Ok(length)
}

/// A version that no other write has, as the store makes them.
fn random() -> anyhow::Result<i64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(i64::from_ne_bytes(bytes))
}
