//! Large stores, made by the component's own tables in memory and written to a store on the way, so
//! that any number of rows fits into some memory.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use anonymous_domains::{
    domain::insertion,
    environment::Environment as _,
    error::Error,
    journal::{Actor, Journal},
    membership::join,
    settings::Settings,
    store::rows::Limits,
    tables::{
        Tables, domain_keys,
        domain_membership::{Entry, Machine, Member, roster},
        domain_server_info::{self, Domain},
    },
};
use anonymous_domains_gateway::{
    cli::StoreArguments,
    settings::Settings as GatewaySettings,
    state::StateDirectory,
    storage::{self, Location, MAX_CALL},
};
use anonymous_domains_protocol::ids::{DomainName, MachineGuid};
use anyhow::{anyhow, ensure};

use crate::{
    buffered::{Buffered, Sizes},
    environment::{self, Native},
    progress::Progress,
    sink::Sink,
};

/// Rows that need more memory than this are written to the store, in bytes.
const MEMORY_BYTES: usize = 512 * 1024 * 1024;

/// So many members, which are neighbours by their GUIDs, are made before others.
const NEIGHBOURS: u64 = 32_768;

/// So many of them are put in at a time, in the order of their GUIDs. Each leaf gets a few, so it
/// grows and is split as if machines joined one by one.
const TOGETHER: u64 = 2_048;

/// What to put into an empty store.
#[derive(Debug, Clone, Default, clap::Args)]
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

/// What was put into a store.
#[derive(Debug)]
pub struct Seeded {
    /// The rows of each table.
    pub sizes: BTreeMap<String, Sizes>,
    /// The size of the store's file in bytes, if it is one.
    pub file_bytes: Option<u64>,
}

/// The arguments for the store of this URL; without one, for the file in the state directory.
///
/// # Errors
///
/// If the environment has arguments that cannot be used.
pub fn store_of(url: Option<&str>) -> anyhow::Result<StoreArguments> {
    #[derive(clap::Parser)]
    struct Only {
        #[command(flatten)]
        store: StoreArguments,
    }
    let arguments = ["bench", "--store", url.unwrap_or_default()];
    Ok(<Only as clap::Parser>::try_parse_from(arguments)?.store)
}

/// Fills a store that must be empty, and shows how far that is. Its secrets are those of a state
/// directory, where its file is if `store` names no other one.
///
/// # Errors
///
/// If the store is in use already, or cannot be written.
pub fn seed(directory: &Path, store: &StoreArguments, seed: &Seed) -> anyhow::Result<Seeded> {
    seed_within(MEMORY_BYTES, directory, store, seed)
}

/// [`seed`] with rows of so many bytes in memory.
fn seed_within(
    memory: usize,
    directory: &Path,
    store: &StoreArguments,
    seed: &Seed,
) -> anyhow::Result<Seeded> {
    let state = StateDirectory::open(directory)?;
    let address = store.address()?;
    let file = address.is_none().then(|| state.store());
    let location = match (address, &file) {
        (Some(address), _) => Location::Shared(Box::new(address), store.connect_timeout),
        (None, _) => {
            let file = state.store();
            ensure!(!file.exists(), "{} is there already", file.display());
            Location::File(file)
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let sizes = runtime.block_on(async {
        let opened =
            storage::open(Some(&state), location, GatewaySettings::default(), MAX_CALL).await?;
        let keys = opened.store.list_keys(None).await?.keys;
        ensure!(keys.is_empty(), "the store is in use already");
        let settings = environment::read(&opened.settings)?;
        let sink = Sink::into(Arc::clone(&opened.store), store.url()).await;
        let seeder = Seeder {
            tables: Tables::new(
                Buffered::new(opened.store, sink),
                Native,
                settings.key_digests(),
                Limits::default(),
            ),
            settings,
            memory,
        };
        let mut progress = Progress::new(&[
            ("members", Some(seed.members)),
            ("key versions", Some(seed.versions)),
            ("domains", Some(seed.domains)),
            ("bytes written", None),
        ]);
        seeder.fill(seed, &mut progress).await?;
        seeder.write(&mut progress).await?;
        progress.end();
        Ok::<_, anyhow::Error>(seeder.tables.store.sizes())
    })?;
    // The store is closed by now, and its file has all.
    let file_bytes = file.map(|file| file.metadata()).transpose()?;
    Ok(Seeded {
        sizes,
        file_bytes: file_bytes.map(|metadata| metadata.len()),
    })
}

struct Seeder {
    tables: Tables<Buffered, Native>,
    settings: Settings,
    memory: usize,
}

impl Seeder {
    async fn fill(&self, seed: &Seed, progress: &mut Progress) -> anyhow::Result<()> {
        if seed.members > 0 {
            let domain = self.with_key("large").await?;
            self.members(&domain, seed.members, progress).await?;
        }
        for version in 0..seed.versions {
            let domain = self.with_key("old").await?;
            if version + 1 < seed.versions {
                let raised = domain_server_info::require_rollover(&self.tables, &domain).await;
                raised.map_err(failed)?;
            }
            progress.add("key versions", 1);
        }
        for number in 0..seed.domains {
            let domain = self.domain(&format!("d{number}")).await?;
            let machine = Machine {
                guid: MachineGuid::random(),
                key_thumbprint: self.thumbprint(),
                iat_ms: 0,
            };
            let joined = join::find_or_add(&self.tables, domain, &machine).await;
            joined.map_err(failed)?;
            progress.add("domains", 1);
            self.write_if_much(progress).await?;
        }
        Ok(())
    }

    async fn domain(&self, name: &str) -> anyhow::Result<Domain> {
        let name = DomainName::parse(name)?;
        let inserted = insertion::find_or_insert(&self.tables, &name, None).await;
        Ok(inserted.map_err(failed)?.0)
    }

    /// A domain, with the key that it should have.
    async fn with_key(&self, name: &str) -> anyhow::Result<Domain> {
        let domain = self.domain(name).await?;
        let url = "http://seed.example/flashaccess/domainserver/seed/";
        let journal = Journal::new(&self.tables.env, "seed", Actor::Machine);
        let ca = &self.settings.ca;
        let made = domain_keys::read_or_roll_over(&self.tables, &domain, url, ca, journal).await;
        made.map_err(failed)?;
        Ok(domain)
    }

    /// Adds members: neighbours after neighbours, so that rows which were written to the store are not
    /// needed again.
    async fn members(
        &self,
        domain: &Domain,
        number: u64,
        progress: &mut Progress,
    ) -> anyhow::Result<()> {
        let roster = roster(&self.tables, domain);
        let neighbourhoods = number.div_ceil(NEIGHBOURS);
        for neighbourhood in 0..neighbourhoods {
            let mut left = NEIGHBOURS.min(number - neighbourhood * NEIGHBOURS);
            while left > 0 {
                let together = left.min(TOGETHER);
                let mut entries: Vec<_> = (0..together)
                    .map(|_| (guid_in(neighbourhood, neighbourhoods), self.member()))
                    .collect();
                entries.sort_unstable_by_key(|(guid, _)| *guid);
                let filled = roster.fill(&entries, |_| true, |_, _| true).await;
                ensure!(filled.map_err(failed)?, "a leaf refused members");
                left -= together;
                progress.add("members", together);
            }
            self.write_if_much(progress).await?;
        }
        Ok(())
    }

    /// A random one: what is stored is as hard to compress as what machines have.
    fn thumbprint(&self) -> [u8; 32] {
        let mut thumbprint = [0; 32];
        self.tables.env.fill_random(&mut thumbprint);
        thumbprint
    }

    fn member(&self) -> Entry {
        Entry::Member(Member {
            key_thumbprint: self.thumbprint(),
            registered_at_s: self.tables.env.now_s(),
            joined_iat_ms: self.tables.env.now_ms(),
            registration: self.tables.env.random_u64(),
        })
    }

    async fn write_if_much(&self, progress: &mut Progress) -> anyhow::Result<()> {
        if self.tables.store.bytes() < self.memory {
            return Ok(());
        }
        self.write(progress).await
    }

    async fn write(&self, progress: &mut Progress) -> anyhow::Result<()> {
        let store = &self.tables.store;
        store
            .flush(|bytes| progress.add("bytes written", bytes))
            .await
    }
}

fn failed(error: Error) -> anyhow::Error {
    anyhow!("{error}")
}

/// A random GUID of a part of all, which are as large as one another and ascend.
fn guid_in(part: u64, parts: u64) -> MachineGuid {
    let mut bytes = *MachineGuid::random().as_bytes();
    let (from, to) = ((part << 32) / parts, ((part + 1) << 32) / parts);
    let random = u64::from(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let first = from + random * (to - from) / (1 << 32);
    // The part has less than 2^32 of them, so this is a number of 32 bits.
    bytes[..4].copy_from_slice(&first.to_be_bytes()[4..]);
    MachineGuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use anonymous_domains::inspection::Inspection;
    use anonymous_domains_gateway::store::sqlite::SqliteStore;

    use super::*;
    use crate::stores::Sqlite;

    #[tokio::test]
    async fn what_was_written_on_the_way_is_whole() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().to_owned();
        let seed = Seed {
            members: 2 * NEIGHBOURS + 10,
            versions: 0,
            domains: 300,
        };
        let seeding = tokio::task::spawn_blocking(move || {
            let store = store_of(None).unwrap();
            let seeded = seed_within(100_000, &path, &store, &seed).unwrap();
            assert!(
                seed_within(100_000, &path, &store, &seed).is_err(),
                "a store in use"
            );
            seeded
        });
        let seeded = seeding.await.unwrap();
        assert_eq!(seeded.sizes["DomainServerInfo"].rows, 301);
        let bytes: usize = seeded.sizes.values().map(|sizes| sizes.bytes).sum();
        assert!(seeded.file_bytes.unwrap() > bytes as u64);

        let (directory, settings) = environment::settings(state.path()).unwrap();
        let store = Sqlite(Arc::new(SqliteStore::open(&directory.store()).unwrap()));
        let tables = Tables::new(store, Native, settings.key_digests(), Limits::default());
        let inspection = Inspection {
            tables: &tables,
            ca: &settings.ca,
            mend: false,
        };
        let page = inspection.page(None, usize::MAX).await.unwrap();
        assert_eq!(page.findings, []);
        assert_eq!((page.domains, page.next), (301, None));
        assert_eq!(page.members, 300 + 2 * NEIGHBOURS + 10);
    }

    #[test]
    fn parts_of_the_guids_ascend_and_are_whole() {
        for parts in [1, 3, 306] {
            for part in 0..parts {
                let guid = *guid_in(part, parts).as_bytes();
                let first = u64::from(u32::from_be_bytes(guid[..4].try_into().unwrap()));
                assert!(first >= (part << 32) / parts && first < ((part + 1) << 32) / parts);
                assert_eq!(guid[6] >> 4, 4, "still a random UUID");
            }
        }
    }
}
