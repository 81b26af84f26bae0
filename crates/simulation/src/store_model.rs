//! The stores that are modelled, as their sources read and as they behave when they run
//! (docs/internals/hosts.md).

use std::{fmt, str::FromStr};

/// A model of one kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreModel {
    /// What `wasi:keyvalue` specifies, and what the gateway's own stores do: a swap writes if and
    /// only if the row has not been written since it was read. This includes missing rows.
    Contract,
    /// Spin's default. A swap of a missing row always writes. A swap compares bytes. An increment
    /// of anything but eight bytes breaks the whole store permanently.
    SpinSqlite,
    /// Spin on Redis. Every swap is reported as failed, whether it wrote or not.
    SpinRedis,
    /// Spin on Azure Cosmos DB. A number that an increment made cannot be read, and two callers may
    /// get the same number.
    CosmosDb,
    /// Spin on Amazon DynamoDB with `consistent_read = true`. Increments fail under contention. A
    /// plain write removes the row's version.
    DynamoDb,
    /// DynamoDB with Spin's default, `consistent_read = false`: a plain read may return a value that
    /// was replaced a moment ago. **Not supported**. It is here to show that the simulation detects
    /// stale reads.
    DynamoDbStale,
}

impl StoreModel {
    /// The stores that the server supports.
    pub const SUPPORTED: [Self; 5] = [
        Self::Contract,
        Self::SpinSqlite,
        Self::SpinRedis,
        Self::CosmosDb,
        Self::DynamoDb,
    ];

    /// The name on a command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Contract => "contract",
            Self::SpinSqlite => "spin-sqlite",
            Self::SpinRedis => "spin-redis",
            Self::CosmosDb => "cosmos-db",
            Self::DynamoDb => "dynamo-db",
            Self::DynamoDbStale => "dynamo-db-stale",
        }
    }

    /// Whether an error inside a swap is reported as "the row was changed". Then a swap may be
    /// reported as failed although nobody else wrote.
    pub(crate) fn reports_errors_as_failed(self) -> bool {
        !matches!(self, Self::Contract | Self::SpinSqlite)
    }
}

impl fmt::Display for StoreModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for StoreModel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = Self::SUPPORTED.into_iter().chain([Self::DynamoDbStale]);
        let names: Vec<&str> = all.clone().map(Self::as_str).collect();
        all.clone()
            .find(|store| store.as_str() == text)
            .ok_or_else(|| format!("the stores are {}", names.join(", ")))
    }
}
