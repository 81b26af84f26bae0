//! The server of a store, or the cluster.

use std::sync::Arc;

use redis::{ConnectionInfo, Value};

use super::{
    cluster::Cluster, connection::Connector, failure::Failure, node::Node, request::Request,
    server_info,
};

/// What a store is kept in.
pub(super) enum Servers {
    /// A server of its own.
    One(Arc<Node>),
    /// A cluster, which may have one node.
    Cluster(Box<Cluster>),
}

/// Finds out which.
pub(super) struct Search {
    infos: Vec<ConnectionInfo>,
    nodes: Vec<Arc<Node>>,
}

impl Search {
    /// A search at these addresses, of which there is one at least.
    pub fn new(infos: &[ConnectionInfo]) -> Self {
        Self {
            infos: infos.to_vec(),
            nodes: infos.iter().cloned().map(Node::new).map(Arc::new).collect(),
        }
    }

    /// Whether there is more than one address.
    pub fn has_several(&self) -> bool {
        self.nodes.len() > 1
    }

    /// Asks one after the other, until one answers.
    pub async fn ask(&self) -> Result<Servers, Failure> {
        let mut failure = Failure::Away("there is no address".into());
        for (node, info) in self.nodes.iter().zip(&self.infos) {
            match node.connector.connection().await {
                Ok(connection) if connection.in_cluster => {
                    let cluster = Cluster::new(self.nodes.clone(), info.clone());
                    cluster.refresh().await?;
                    return Ok(Servers::Cluster(Box::new(cluster)));
                }
                Ok(_) => return Ok(Servers::One(Arc::clone(node))),
                Err(other) => failure = other,
            }
        }
        Err(failure)
    }
}

impl Servers {
    /// Sends a request, once, to the server that has its key.
    pub async fn send(&self, request: &Request<'_>) -> Result<Value, Failure> {
        match self {
            Self::One(node) => node.connector.send(request).await,
            Self::Cluster(cluster) => cluster.send(request).await,
        }
    }

    /// Warns of what may lose acknowledged writes. Passes over what does not answer.
    pub async fn warn_of_losses(&self) {
        match self {
            Self::One(node) => warn(&node.connector).await,
            Self::Cluster(cluster) => {
                server_info::warn_of_cluster();
                for node in cluster.known_primaries().nodes {
                    warn(&node.connector).await;
                }
            }
        }
    }
}

async fn warn(connector: &Connector) {
    if let Ok(mut connection) = connector.connection().await {
        server_info::warn_of_losses(connector.name(), &mut connection.redis).await;
    }
}
