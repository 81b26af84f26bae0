//! What a Redis says about itself.

use std::{collections::HashMap, fmt};

use redis::{RedisResult, Value, aio::MultiplexedConnection};

use super::{failure::reason, names};

/// A server's name, mode and role.
pub(super) struct ServerInfo {
    name: String,
    version: String,
    mode: String,
    role: String,
}

impl ServerInfo {
    /// Whether it is a replica of another server.
    pub fn is_replica(&self) -> bool {
        self.role == "replica" || self.role == "slave"
    }

    /// Whether it is a node of a cluster.
    pub fn is_in_cluster(&self) -> bool {
        self.mode == "cluster"
    }
}

impl fmt::Display for ServerInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// Asks for its name, mode and role, and whether it serves keys: a server that is still loading its
/// data answers `HELLO`, but no `EXISTS`. A node of a cluster may say that another one has the key.
/// `HELLO` needs no permission, and exists since Redis 6.
pub(super) async fn hello(connection: &mut MultiplexedConnection) -> RedisResult<ServerInfo> {
    let mut exists = redis::cmd("EXISTS");
    let exists: RedisResult<bool> = exists.arg(names::claim()).query_async(connection).await;
    exists.map(drop).or_else(|error| {
        if error.is_cluster_error() {
            Ok(())
        } else {
            Err(error)
        }
    })?;
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
        mode: text("mode"),
        role: text("role"),
    })
}

/// Warns of a configuration of the server at `address` that may lose acknowledged writes. Does
/// nothing for a user who may not ask for it.
pub(super) async fn warn_of_losses(address: &str, connection: &mut MultiplexedConnection) {
    let info: String = match redis::cmd("INFO").query_async(connection).await {
        Ok(info) => info,
        Err(error) => {
            let reason = reason(&error);
            tracing::info!(%reason, address, "the store does not say how it is configured");
            return;
        }
    };
    for warning in warnings(&info) {
        tracing::warn!(address, "{warning}");
    }
}

/// Warns of what every cluster may lose.
pub(super) fn warn_of_cluster() {
    tracing::warn!(
        "the store is a Redis Cluster: it acknowledges writes before its replicas have them, and so \
         a failover loses the last ones"
    );
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
    // Of a cluster this is said for all of its nodes.
    let has_replicas = field("connected_slaves").is_some_and(|replicas| replicas != "0");
    if has_replicas && field("cluster_enabled") != Some("1") {
        warnings.push(
            "the store has replicas: it acknowledges writes before they have them, and so a \
             failover to one loses the last ones"
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
        let safe = "maxmemory_policy:noeviction\r\naof_enabled:1\r\ncluster_enabled:0\r\n\
                    connected_slaves:0\r\n";
        assert_eq!(warnings(safe), Vec::<String>::new());
        let lossy = "maxmemory_policy:allkeys-lru\r\naof_enabled:0\r\ncluster_enabled:0\r\n\
                     connected_slaves:2\r\n";
        let found = warnings(lossy);
        for (warning, word) in found.iter().zip(["noeviction", "appendonly", "replicas"]) {
            assert!(warning.contains(word), "{warning}");
        }
        assert_eq!(found.len(), 3);
        let cluster = "cluster_enabled:1\r\nconnected_slaves:1\r\n";
        assert_eq!(warnings(cluster), Vec::<String>::new());
        assert_eq!(warnings(""), Vec::<String>::new());
    }
}
