//! How the hosts' stores behave, as read in their sources and seen on running ones
//! (docs/internals/hosts.md).

use std::{fmt, str::FromStr};

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Behaviour {
    /// As `wasi:keyvalue` reads, and as the gateway's own stores are: a swap writes if and only if
    /// nobody has written since its row was read, from a missing row too.
    Contract,
    /// Spin's default. A swap from a missing row always writes; a swap compares bytes;
    /// an increment of anything but eight bytes breaks the whole store for ever.
    SpinSqlite,
    /// Spin on Redis. Every swap is reported as failed, whether it wrote or not.
    SpinRedis,
    /// Spin on Azure Cosmos DB. A number made by increment cannot be read, and two callers may be
    /// given the same one.
    CosmosDb,
    /// Spin on Amazon DynamoDB with `consistent_read = true`. Increments fail under contention; a
    /// plain write takes the row's version away.
    DynamoDb,
    /// DynamoDB with Spin's default, `consistent_read = false`: a plain read may give what the row
    /// was some seconds ago. **Not supported**; here to show that the simulation sees it.
    DynamoDbStale,
}

impl Behaviour {
    /// Those that the server supports.
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

    /// Whether an error inside a swap comes back as "the row was changed", so that a swap that is
    /// said to have failed may have written nothing although nobody else wrote.
    pub(crate) fn reports_errors_as_failed(self) -> bool {
        !matches!(self, Self::Contract | Self::SpinSqlite)
    }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Behaviour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = Self::SUPPORTED.into_iter().chain([Self::DynamoDbStale]);
        let names: Vec<&str> = all.clone().map(Self::as_str).collect();
        all.clone()
            .find(|behaviour| behaviour.as_str() == text)
            .ok_or_else(|| format!("the behaviours are {}", names.join(", ")))
    }
}
