//! A Redis Cluster for a test, on ports of 127.0.0.1.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

use crate::{process::free_port, redis::RedisServer};

/// How long the nodes may take to agree.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How many slots a cluster has.
const SLOTS: usize = 16384;

/// Running nodes. They are killed when this is dropped.
#[derive(Debug)]
pub struct RedisCluster {
    /// The primaries, in the order of their slots, and then the replicas of the first one.
    pub nodes: Vec<RedisNode>,
}

/// A node of a cluster.
#[derive(Debug)]
pub struct RedisNode {
    /// Its process.
    pub server: RedisServer,
    /// Its port on 127.0.0.1.
    pub port: u16,
    bus_port: u16,
    /// Its name in the cluster.
    pub id: String,
}

impl RedisCluster {
    /// Starts a cluster with its data in `directory`: so many primaries, among which all slots are
    /// divided, and so many replicas of the first one, each with more options. Waits until it serves
    /// requests.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn start(
        directory: &Path,
        primaries: usize,
        replicas: usize,
        options: &[&str],
    ) -> anyhow::Result<Self> {
        let nodes = (0..primaries + replicas)
            .map(|number| node(&directory.join(format!("node-{number}")), options));
        let cluster = Self {
            nodes: nodes.collect::<anyhow::Result<_>>()?,
        };
        for (number, node) in cluster.nodes.iter().enumerate() {
            if number < primaries {
                let first = number * SLOTS / primaries;
                let last = (number + 1) * SLOTS / primaries - 1;
                node.ask(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"))?;
            }
            node.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1))?;
            if number > 0 {
                let (port, bus_port) = (node.port, node.bus_port);
                let meet = format!("CLUSTER MEET 127.0.0.1 {port} {bus_port}");
                cluster.nodes[0].ask(&meet)?;
            }
        }
        let count = format!("cluster_known_nodes:{}\r", cluster.nodes.len());
        cluster.wait(|node| Ok(node.ask("CLUSTER INFO")?.contains(&count)))?;
        for replica in &cluster.nodes[primaries..] {
            replica.ask(&format!("CLUSTER REPLICATE {}", cluster.nodes[0].id))?;
        }
        cluster.wait(|node| Ok(node.ask("CLUSTER INFO")?.contains("cluster_state:ok")))?;
        cluster.wait(|node| {
            let info = node.ask("INFO replication")?;
            Ok(info.contains("role:master") || info.contains("master_link_status:up"))
        })?;
        Ok(cluster)
    }

    /// Waits until something holds for each node.
    fn wait(&self, holds: impl Fn(&RedisNode) -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let start = Instant::now();
        for node in &self.nodes {
            while !holds(node)? {
                ensure!(
                    start.elapsed() < START_TIMEOUT,
                    "the Redis Cluster does not start"
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }
}

impl RedisNode {
    /// Its answer to a command, of which no part has a space.
    ///
    /// # Errors
    ///
    /// If it does not answer, or with an error.
    pub fn ask(&self, command: &str) -> anyhow::Result<String> {
        self.server.ask(command)
    }
}

fn node(directory: &Path, options: &[&str]) -> anyhow::Result<RedisNode> {
    fs::create_dir(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    // A port that was free a moment ago may be taken now.
    for _ in 0..10 {
        let (port, bus_port) = (free_port()?, free_port()?);
        let (port_text, bus_port_text) = (port.to_string(), bus_port.to_string());
        let cluster = [
            "--bind",
            "127.0.0.1",
            "--port",
            &port_text,
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            &bus_port_text,
            // A slow machine is no reason to call a node dead. Where one dies, an option says less.
            "--cluster-node-timeout",
            "60000",
            "--repl-diskless-sync-delay",
            "0",
        ];
        let options = [&cluster, options].concat();
        if let Some(server) = RedisServer::try_start(directory, &options)? {
            let id = server.ask("CLUSTER MYID")?;
            return Ok(RedisNode {
                server,
                port,
                bus_port,
                id,
            });
        }
    }
    bail!("the Redis server ends at its start")
}
