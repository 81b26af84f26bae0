//! Numbers that limit clients, and networks, as flags have them.

use std::{fmt, net::IpAddr, num::NonZeroU32, str::FromStr};

/// How many requests a second are answered: a token bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RateLimit {
    /// Any number.
    Off,
    /// So many.
    Rate {
        /// On average.
        per_second: NonZeroU32,
        /// At once, after a pause.
        burst: NonZeroU32,
    },
}

/// `off`, `N/s` or `N/s:BURST`. Without a burst, N requests may come at once.
impl FromStr for RateLimit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let parse = || {
            let (rate, rest) = text.split_once("/s")?;
            let number = |text: &str| {
                let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse().ok().filter(|_| digits)
            };
            let per_second = number(rate)?;
            let burst = match rest {
                "" => per_second,
                rest => number(rest.strip_prefix(':')?)?,
            };
            Some(Self::Rate { per_second, burst })
        };
        parse().ok_or("write off, N/s or N/s:BURST, such as 100/s:1000")
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Rate { per_second, burst } => write!(f, "{per_second}/s:{burst}"),
        }
    }
}

/// The rates of requests that are answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rates {
    /// Of one client: an IPv4 address or a /64 IPv6 network.
    pub client: RateLimit,
    /// Of devices' requests to one domain.
    pub domain: RateLimit,
}

impl Rates {
    /// No limits.
    pub const OFF: Self = Self {
        client: RateLimit::Off,
        domain: RateLimit::Off,
    };
}

/// A network, or a single address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    /// Whether the address is in it. An IPv4 address written as an IPv6 address is an IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= self.prefix
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= self.prefix
            }
            _ => false,
        }
    }
}

/// `ADDRESS` or `ADDRESS/PREFIX`. Bits after the prefix must be zero, so that a typing error is
/// seen.
impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write an address or a network, such as 192.0.2.1 or 10.0.0.0/8";
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| FORM)?;
        let (length, bits) = match address {
            IpAddr::V4(address) => (32, u128::from(address.to_bits()) << 96),
            IpAddr::V6(address) => (128, address.to_bits()),
        };
        let prefix = match prefix {
            None => length,
            Some(text) => text.parse().map_err(|_| FORM)?,
        };
        if prefix > length {
            return Err("the prefix is longer than the address");
        }
        if bits.checked_shl(prefix).unwrap_or(0) != 0 {
            return Err("the address has bits after its prefix");
        }
        // As `contains` takes addresses.
        Ok(match address.to_canonical() {
            IpAddr::V4(address) if length == 128 && prefix >= 96 => Self {
                address: address.into(),
                prefix: prefix - 96,
            },
            _ => Self { address, prefix },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        let parsed = |text: &str| text.parse::<RateLimit>().map(|limit| limit.to_string());
        assert_eq!(parsed("off").unwrap(), "off");
        assert_eq!(parsed("5/s").unwrap(), "5/s:5");
        assert_eq!(parsed("100/s:1000").unwrap(), "100/s:1000");
        for text in [
            "",
            "5",
            "0/s",
            "5/s:0",
            "5/m",
            "/s",
            "5/s:",
            "-1/s",
            "+1/s",
            "5/s:+1",
            "5/s 7",
            "Off",
            "4294967296/s",
            "1.5/s",
            " 5/s",
        ] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn networks() {
        let contains = |network: &str, address: &str| {
            let network: Network = network.parse().unwrap();
            network.contains(address.parse().unwrap())
        };
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(contains("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(!contains("10.0.0.0/8", "11.0.0.0"));
        assert!(contains("192.0.2.1", "192.0.2.1"));
        assert!(!contains("192.0.2.1", "192.0.2.2"));
        assert!(contains("0.0.0.0/0", "203.0.113.9"));
        assert!(!contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!contains("2001:db8::/32", "2001:db9::"));
        assert!(contains("::/0", "2001:db8::"));
        assert!(contains("::1/128", "::1"));
        assert!(contains("::ffff:10.0.0.1", "10.0.0.1"));
        assert!(contains("::ffff:10.0.0.0/104", "10.255.0.1"));
        assert!(!contains("::ffff:10.0.0.0/104", "11.0.0.0"));
        for text in [
            "",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "localhost",
            "10.0.0/8",
            "2001:db8::1/64",
            "10.0.0.0/-1",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
