//! A node of a cluster, and what it says about the cluster.

use std::{collections::HashMap, ops::RangeInclusive, sync::Arc};

use redis::{ConnectionAddr, ConnectionInfo, FromRedisValue, Value};

use super::{
    connection::{Connection, Connector},
    failure::Failure,
    request::Request,
    slot::Slot,
};

/// A node, with the connection to it.
pub(super) struct Node {
    /// `None`: it is behind a Unix socket.
    pub endpoint: Option<Endpoint>,
    pub connector: Connector,
}

/// A host and a port.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Endpoint {
    /// Empty: the host of the node that named it.
    pub host: String,
    pub port: u16,
}

impl Endpoint {
    /// A node says so where it does not know its own address, or shall not tell it.
    fn new(host: &str, port: u16) -> Self {
        let host = if host == "?" { "" } else { host }.to_owned();
        Self { host, port }
    }

    /// Where a `MOVED` or `ASK` leads.
    pub fn of_redirection(error: &redis::RedisError) -> Option<Self> {
        let (address, _) = error.redirect_node()?;
        // An IPv6 address has no brackets there.
        let (host, port) = address.rsplit_once(':')?;
        Some(Self::new(host, port.parse().ok()?))
    }
}

/// A view of the cluster: the one of a node.
pub(super) struct View {
    /// The higher, the newer.
    pub epoch: u64,
    /// Whether the cluster serves requests.
    pub is_up: bool,
    pub ranges: Vec<Range>,
    /// Whose view it is.
    pub node: Arc<Node>,
}

/// Slots, and the nodes that have them.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Range {
    pub first: Slot,
    pub last: Slot,
    pub primary: Endpoint,
    pub replicas: Vec<Endpoint>,
}

impl Node {
    /// The node at this address.
    pub fn new(info: ConnectionInfo) -> Self {
        let endpoint = match info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Some(Endpoint::new(host, *port))
            }
            _ => None,
        };
        Self {
            endpoint,
            connector: Connector::new(info),
        }
    }

    /// Its address.
    pub fn name(&self) -> &str {
        self.connector.name()
    }

    /// A connection to it.
    pub async fn connection(&self) -> Result<Connection, Failure> {
        let connection = self.connector.connection().await?;
        if connection.in_cluster {
            Ok(connection)
        } else {
            // Another server has its address now.
            Err(Failure::Away("it is no node of a cluster".into()))
        }
    }

    /// Sends a request, once.
    pub async fn send(&self, request: &Request<'_>, asking: bool) -> Result<Value, Failure> {
        let connection = self.connection().await?;
        self.connector.send_on(connection, request, asking).await
    }

    /// Asks it for its view.
    pub async fn view(self: Arc<Self>) -> Result<View, Failure> {
        let info: String = self.ask("INFO").await?;
        let ranges: Vec<Vec<Value>> = self.ask("SLOTS").await?;
        let fields: HashMap<_, _> = info
            .lines()
            .filter_map(|line| line.split_once(':'))
            .collect();
        let field = |name| {
            fields
                .get(name)
                .map(|value| value.trim())
                .unwrap_or_default()
        };
        Ok(View {
            epoch: field("cluster_current_epoch").parse().unwrap_or(0),
            is_up: field("cluster_state") == "ok",
            ranges: ranges.into_iter().filter_map(range).collect(),
            node: self,
        })
    }

    /// Its slots according to itself; `None` if one is on the way to it or away from it.
    pub async fn settled_slots(&self) -> Result<Option<Vec<RangeInclusive<Slot>>>, Failure> {
        let nodes: String = self.ask("NODES").await?;
        Ok(settled(&nodes))
    }

    async fn ask<T: FromRedisValue>(&self, what: &str) -> Result<T, Failure> {
        let mut connection = self.connection().await?;
        let mut command = redis::cmd("CLUSTER");
        let answer = command.arg(what).query_async(&mut connection.redis).await;
        match self.connector.judge(&connection, answer).await {
            Err(Failure::Refused(error)) => Err(Failure::of_connect(&error)),
            answer => answer,
        }
    }
}

/// The slots in the line of the answer to `CLUSTER NODES` that is about the node itself:
/// `ID ADDRESS FLAGS PRIMARY PING PONG EPOCH LINK SLOTS...`, where `[SLOT->-ID]` and `[SLOT-<-ID]` are
/// slots on the way.
fn settled(nodes: &str) -> Option<Vec<RangeInclusive<Slot>>> {
    let own = nodes.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let flags = fields.nth(2)?;
        flags
            .split(',')
            .any(|flag| flag == "myself")
            .then_some(fields)
    });
    let slots = own?.skip(5).map(|slots| {
        let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    slots.collect()
}

/// An entry of the answer to `CLUSTER SLOTS`.
fn range(entry: Vec<Value>) -> Option<Range> {
    fn number(value: Value) -> Option<u16> {
        redis::from_redis_value(value).ok()
    }
    let mut entry = entry.into_iter();
    let (first, last) = (number(entry.next()?)?, number(entry.next()?)?);
    let mut nodes = entry.filter_map(|node| {
        let node: Vec<Value> = redis::from_redis_value(node).ok()?;
        let mut node = node.into_iter();
        let host: Option<String> = redis::from_redis_value(node.next()?).ok()?;
        Some(Endpoint::new(
            &host.unwrap_or_default(),
            number(node.next()?)?,
        ))
    });
    let primary = nodes.next()?;
    Some(Range {
        first,
        last,
        primary,
        replicas: nodes.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str, port: u16) -> Endpoint {
        Endpoint::new(host, port)
    }

    #[test]
    fn a_nodes_view_is_understood() {
        let text = |text: &str| Value::BulkString(text.into());
        let node = |host: Value, port| Value::Array(vec![host, Value::Int(port), text("id")]);
        let entry = vec![
            Value::Int(0),
            Value::Int(5460),
            node(text("a"), 1),
            node(Value::Nil, 2),
            node(text("?"), 3),
        ];
        let expected = Range {
            first: 0,
            last: 5460,
            primary: endpoint("a", 1),
            replicas: vec![endpoint("", 2), endpoint("", 3)],
        };
        assert_eq!(range(entry), Some(expected));
        assert_eq!(range(vec![Value::Int(0), Value::Int(1)]), None);
        assert_eq!(range(vec![Value::Int(0), Value::Int(70_000)]), None);
    }

    #[test]
    fn slots_on_the_way_are_seen() {
        let other = "b 127.0.0.1:2@12 master - 0 1 2 connected 8192-16383 [1->-a]\n";
        let own =
            |slots: &str| format!("a 127.0.0.1:1@11 myself,master - 0 1 3 connected{slots}\n");
        let of = |slots: &str| settled(&(other.to_owned() + &own(slots)));
        assert_eq!(of(" 0-8191 9000"), Some(vec![0..=8191, 9000..=9000]));
        assert_eq!(of(""), Some(Vec::new()));
        assert_eq!(of(" 0-8191 [93->-b]"), None);
        assert_eq!(of(" [93-<-b]"), None);
        assert_eq!(settled(other), None);
    }
}
