//! What a Redis says about itself.

use std::{collections::HashMap, fmt};

use redis::{RedisResult, Value, aio::MultiplexedConnection};

use super::{failure::reason, names};

/// A server's name and role.
pub(super) struct ServerInfo {
    name: String,
    version: String,
    role: String,
}

impl ServerInfo {
    /// Whether it is a replica of another server.
    pub fn is_replica(&self) -> bool {
        self.role == "replica" || self.role == "slave"
    }
}

impl fmt::Display for ServerInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// Asks for its name and role, and whether it serves keys: a server that is still loading its data
/// answers `HELLO`, but no `EXISTS`. `HELLO` needs no permission, and exists since Redis 6.
pub(super) async fn hello(connection: &mut MultiplexedConnection) -> RedisResult<ServerInfo> {
    let mut exists = redis::cmd("EXISTS");
    let _: bool = exists.arg(names::claim()).query_async(connection).await?;
    let mut fields: HashMap<String, Value> = redis::cmd("HELLO").query_async(connection).await?;
    let mut text = |name| {
        let value = fields.remove(name);
        value
            .and_then(|value| redis::from_redis_value(value).ok())
            .unwrap_or_default()
    };
    Ok(ServerInfo {
        name: text("server"),
        version: text("version"),
        role: text("role"),
    })
}

/// Warns of a configuration that may lose acknowledged writes. Does nothing for a user who may not
/// ask for it.
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

/// The warnings about an answer to `INFO`.
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
