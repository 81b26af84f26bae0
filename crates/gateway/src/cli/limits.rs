//! The flags that limit clients, and say who they are.

use clap::Args;

use crate::limits::{Network, RateLimit, Rates};

/// How often clients may ask, and whom to believe about who they are.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub struct LimitArguments {
    /// Requests a second of one client, an IPv4 address or an IPv6 /64, and how many at once: N/s,
    /// N/s:BURST or off; more get 429
    #[arg(long, env = "ANONYMOUS_DOMAINS_RATE_LIMIT_CLIENT", value_name = "RATE")]
    #[arg(default_value = "100/s:1000")]
    rate_limit_client: RateLimit,

    /// Devices' requests a second to one domain, and how many at once; more get 429
    #[arg(long, env = "ANONYMOUS_DOMAINS_RATE_LIMIT_DOMAIN", value_name = "RATE")]
    #[arg(default_value = "500/s:5000")]
    rate_limit_domain: RateLimit,

    /// Address or network of a proxy whose Forwarded or X-Forwarded-For header says who the client
    /// is (repeatable; in the environment, with commas) [default: none]
    #[arg(long = "trusted-proxy", value_name = "CIDR", value_delimiter = ',')]
    #[arg(env = "ANONYMOUS_DOMAINS_TRUSTED_PROXY")]
    pub trusted_proxies: Vec<Network>,
}

impl LimitArguments {
    /// The limits of rates.
    pub fn rates(&self) -> Rates {
        Rates {
            client: self.rate_limit_client,
            domain: self.rate_limit_domain,
        }
    }
}
