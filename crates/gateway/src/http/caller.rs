//! Where a request comes from.

use std::net::SocketAddr;

use http::{HeaderMap, uri::Scheme};

use super::{connection::Connection, forwarded::client_address};
use crate::{client::Client, limits::Network};

/// Where a request comes from, and how it reached the server.
pub(super) struct Caller {
    /// The client, for limits of memory.
    pub(super) client: Client,
    /// The client, for the limit of its rate; `None` if another server accepted it.
    pub(super) counted: Option<Client>,
    /// The address that it reached, if that is known.
    pub(super) local: Option<SocketAddr>,
    /// The scheme of its URL.
    pub(super) scheme: Scheme,
}

impl Caller {
    /// At the other end of the connection, or behind the `trusted` proxy that is there.
    pub(super) fn of(connection: &Connection, trusted: &[Network], headers: &HeaderMap) -> Self {
        let address = client_address(connection.remote, trusted, headers);
        let is_behind_proxy = address != connection.remote.to_canonical();
        Self {
            client: match is_behind_proxy {
                true => Client::of_address(address),
                false => connection.client,
            },
            counted: Some(Client::of_address(address)),
            local: Some(connection.local),
            scheme: match connection.is_tls {
                true => Scheme::HTTPS,
                false => Scheme::HTTP,
            },
        }
    }

    /// Somewhere behind another server. The number tells it from other callers.
    pub(super) fn alone(number: u64) -> Self {
        Self {
            client: Client::Local(number),
            counted: None,
            local: None,
            scheme: Scheme::HTTP,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::connection::tests::connection;

    #[test]
    fn a_client_behind_a_trusted_proxy_is_not_the_proxy() {
        let local = "127.0.0.0/8".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "192.0.2.1".parse().unwrap());
        let of = |trusted: &[Network]| {
            let caller = Caller::of(&connection(), trusted, &headers);
            (caller.client, caller.counted.unwrap())
        };
        let proxy = Client::V4([127, 0, 0, 1].into());
        let client = Client::V4([192, 0, 2, 1].into());
        assert_eq!(of(&[]), (Client::Local(0), proxy));
        assert_eq!(of(&[local]), (client, client));
    }
}
