//! How many connections a client may have.

use std::{net::IpAddr, num::NonZeroU16, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::pool::{Lease, Pool, Share};
use crate::client::Client;

/// How often the log says at most that a connection was refused.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Limits how many connections each client has.
pub(super) struct Admission {
    pool: Arc<Pool>,
    /// Whether connections from this machine count as those of one client.
    limits_local: bool,
    last_logged: Option<Instant>,
}

impl Admission {
    /// Admits `max` connections at a time, and `max_per_client` from one client.
    pub(super) fn new(max: usize, max_per_client: Option<NonZeroU16>) -> Self {
        let share = match max_per_client {
            Some(max) => Share::AtMost(usize::from(max.get())),
            None => Share::Remainder,
        };
        Self {
            pool: Pool::new(max, share),
            limits_local: max_per_client.is_some(),
            last_logged: None,
        }
    }

    /// Counts a connection until the lease is dropped. `None` if its client may not have another
    /// one.
    pub(super) fn admit(&mut self, remote: IpAddr, number: u64) -> Option<Lease> {
        let client = if self.limits_local {
            Client::of_address(remote)
        } else {
            Client::of_connection(remote, number)
        };
        let mut lease = self.pool.lease(client);
        if lease.grow_to(1).is_ok() {
            return Some(lease);
        }
        let now = Instant::now();
        if self
            .last_logged
            .is_none_or(|last| now - last >= LOG_INTERVAL)
        {
            self.last_logged = Some(now);
            tracing::warn!(
                client = %remote,
                "a client has all connections that it may have (--max-connections-per-client)"
            );
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_of_one_client_are_limited() {
        let admission = |max_per_client| Admission::new(10, NonZeroU16::new(max_per_client));
        let admitted = |admission: &mut Admission, address: [u8; 4]| {
            let leases = (0..20).map_while(|number| admission.admit(address.into(), number));
            leases.collect::<Vec<_>>()
        };
        // By default a client gets at most as many as others leave free.
        let mut limits = admission(0);
        let first = admitted(&mut limits, [192, 0, 2, 1]);
        let second = admitted(&mut limits, [192, 0, 2, 2]);
        assert_eq!([first.len(), second.len()], [5, 3]);
        drop(first);
        assert_eq!(admitted(&mut limits, [192, 0, 2, 3]).len(), 4);

        // A proxy on this machine serves many clients.
        let mut limits = admission(0);
        assert_eq!(admitted(&mut limits, [127, 0, 0, 1]).len(), 10);

        // An operator's limit applies to all clients.
        let mut limits = admission(2);
        for address in [[127, 0, 0, 1], [192, 0, 2, 1]] {
            assert_eq!(admitted(&mut limits, address).len(), 2);
        }
    }
}
