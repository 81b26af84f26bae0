//! What a Redis says of itself.

use std::collections::HashMap;
use std::fmt;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};

use super::claim;
use super::link::reason;

/// Who answered.
pub(super) struct Server {
    name: String,
    version: String,
    role: String,
}

impl Server {
    /// Whether it only copies another.
    pub fn is_replica(&self) -> bool {
        self.role == "replica" || self.role == "slave"
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// Asks who it is, and whether it serves: one that still loads its data says who it is, but gives
/// no keys. `HELLO` needs no permission, and is there since Redis 6.
pub(super) async fn hello(connection: &mut MultiplexedConnection) -> RedisResult<Server> {
    let mut exists = redis::cmd("EXISTS");
    let _: bool = exists.arg(claim::name()).query_async(connection).await?;
    let mut fields: HashMap<String, Value> = redis::cmd("HELLO").query_async(connection).await?;
    let mut text = |name| {
        let value = fields.remove(name);
        value
            .and_then(|value| redis::from_redis_value(value).ok())
            .unwrap_or_default()
    };
    Ok(Server {
        name: text("server"),
        version: text("version"),
        role: text("role"),
    })
}

/// Warns of a configuration that may lose what was answered. A user that may not ask learns
/// nothing, and needs not to.
pub(super) async fn warn_of_losses(connection: &mut MultiplexedConnection) {
    let info: String = match redis::cmd("INFO").query_async(connection).await {
        Ok(info) => info,
        Err(error) => {
            tracing::info!(reason = %reason(&error), "the store does not say how it is configured");
            return;
        }
    };
    for warning in warnings(&info) {
        tracing::warn!("{warning}");
    }
}

/// What is dangerous in the answer to `INFO`.
fn warnings(info: &str) -> Vec<String> {
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    };
    let mut warnings = Vec::new();
    if let Some(policy) = field("maxmemory_policy")
        && policy != "noeviction"
    {
        warnings.push(format!(
            "the store's maxmemory-policy is {policy}: short of memory it would throw members and \
             keys away; set it to noeviction"
        ));
    }
    if field("aof_enabled") == Some("0") {
        warnings.push(
            "the store's appendonly is no: a crash of the Redis loses what was written since its \
             last snapshot; set it to yes"
                .into(),
        );
    }
    if field("cluster_enabled") == Some("1") {
        warnings.push(
            "the store is a Redis Cluster: the gateway works on one only where a single node has \
             all slots"
                .into(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::warnings;

    #[test]
    fn dangerous_configurations_are_found() {
        let safe = "maxmemory_policy:noeviction\r\naof_enabled:1\r\ncluster_enabled:0\r\n";
        assert_eq!(warnings(safe), Vec::<String>::new());
        let lossy = "maxmemory_policy:allkeys-lru\r\naof_enabled:0\r\ncluster_enabled:1\r\n";
        let found = warnings(lossy);
        for (warning, word) in found.iter().zip(["noeviction", "appendonly", "Cluster"]) {
            assert!(warning.contains(word), "{warning}");
        }
        assert_eq!(found.len(), 3);
        assert_eq!(warnings(""), Vec::<String>::new());
    }
}
