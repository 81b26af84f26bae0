//! What counts as one client, for limits and for fairness.

use std::net::{IpAddr, Ipv4Addr};

/// What the limits count as one client.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Client {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// A /64 IPv6 network, the smallest that a subscriber gets.
    V6(u64),
    /// The gateway itself.
    Gateway,
    /// One connection from this machine, by its number. It probably comes from a reverse proxy,
    /// whose connections together serve many clients.
    Local(u64),
}

impl Client {
    /// The client of a connection with this number.
    pub(crate) fn of_connection(address: IpAddr, number: u64) -> Self {
        if address.to_canonical().is_loopback() {
            Self::Local(number)
        } else {
            Self::of_address(address)
        }
    }

    /// The client at an address, also if that is this machine's.
    pub(crate) fn of_address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_is_an_address_or_a_network() {
        let of = |text| Client::of_connection(address(text), 7);
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }

    #[test]
    fn connections_from_this_machine_are_separate_clients() {
        for text in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"] {
            let address = address(text);
            assert_eq!(Client::of_connection(address, 7), Client::Local(7));
            assert_eq!(Client::of_address(address), Client::of_address(address));
        }
    }
}
