//! Clients, and how much of a limited resource each may use.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What the limits count as one client.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Client {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// A /64 IPv6 network, the smallest that a subscriber gets.
    V6(u64),
    /// One connection from this machine, by its number. It probably comes from a reverse proxy,
    /// whose connections together serve many clients.
    Local(u64),
}

impl Client {
    /// The client of a connection with this number.
    pub(super) fn of_connection(address: IpAddr, number: u64) -> Self {
        if address.to_canonical().is_loopback() {
            Self::Local(number)
        } else {
            Self::of_address(address)
        }
    }

    /// The client at an address, also if that is this machine's.
    pub(super) fn of_address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// How much of a pool one client may take.
#[derive(Clone, Copy, Debug)]
pub(super) enum Share {
    /// No more than remains free: half of the pool if there is one client, a third each if there
    /// are two. So something is always left for the next client.
    Remainder,
    /// A fixed amount.
    AtMost(usize),
}

/// A limited resource.
#[derive(Debug)]
pub(super) struct Pool {
    total: usize,
    share: Share,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_client: HashMap<Client, usize>,
}

/// The pool is exhausted, or the client's share of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Exhausted;

impl Pool {
    pub(super) fn new(total: usize, share: Share) -> Arc<Self> {
        Arc::new(Self {
            total,
            share,
            taken: Mutex::default(),
        })
    }

    /// A client's part of the pool. It is empty at first.
    pub(super) fn lease(self: &Arc<Self>, client: Client) -> Lease {
        Lease {
            pool: Arc::clone(self),
            client,
            amount: 0,
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much all clients have taken.
    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        self.taken().total
    }
}

/// A client's part of a pool. It is returned when this is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    pool: Arc<Pool>,
    client: Client,
    amount: usize,
}

impl Lease {
    /// Grows to `amount`. Does nothing if it is that large already.
    pub(super) fn grow_to(&mut self, amount: usize) -> Result<(), Exhausted> {
        let Some(more) = amount.checked_sub(self.amount).filter(|more| *more > 0) else {
            return Ok(());
        };
        let mut taken = self.pool.taken();
        let left = self.pool.total.saturating_sub(taken.total);
        let of_client = taken.by_client.get(&self.client).copied().unwrap_or(0) + more;
        let may_take = match self.pool.share {
            Share::Remainder => of_client <= left,
            Share::AtMost(share) => of_client <= share && more <= left,
        };
        if !may_take {
            return Err(Exhausted);
        }
        taken.total += more;
        taken.by_client.insert(self.client, of_client);
        self.amount = amount;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut taken = self.pool.taken();
        taken.total -= self.amount;
        if let Some(of_client) = taken.by_client.get_mut(&self.client) {
            *of_client -= self.amount;
            if *of_client == 0 {
                taken.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn client(number: u8) -> Client {
        Client::V4([192, 0, 2, number].into())
    }

    fn take(pool: &Arc<Pool>, client: Client, amount: usize) -> Result<Lease, Exhausted> {
        let mut lease = pool.lease(client);
        lease.grow_to(amount).map(|()| lease)
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

    #[test]
    fn one_client_gets_half_and_two_a_third_each() {
        let pool = Pool::new(100, Share::Remainder);
        let mut first = take(&pool, client(1), 50).unwrap();
        assert_eq!(first.grow_to(51), Err(Exhausted));
        drop(first);

        let mut leases = [pool.lease(client(1)), pool.lease(client(2))];
        for amount in 1..=50 {
            for lease in &mut leases {
                let _ = lease.grow_to(amount);
            }
        }
        assert_eq!([leases[0].amount, leases[1].amount], [34, 33]);
    }

    #[test]
    fn many_clients_leave_something_for_the_next() {
        let pool = Pool::new(1000, Share::Remainder);
        let mut leases: Vec<_> = (0..99).map(|number| pool.lease(client(number))).collect();
        for amount in 1..=1000 {
            for lease in &mut leases {
                let _ = lease.grow_to(amount);
            }
        }
        assert!(take(&pool, client(99), 5).is_ok());
    }

    #[test]
    fn the_last_piece_may_be_taken() {
        let pool = Pool::new(3, Share::Remainder);
        let leases = [1, 2, 3].map(|number| take(&pool, client(number), 1));
        assert!(leases.iter().all(Result::is_ok));
        assert_eq!(take(&pool, client(4), 1).err(), Some(Exhausted));
    }

    #[test]
    fn all_leases_of_a_client_count_together() {
        let pool = Pool::new(100, Share::AtMost(10));
        let first = take(&pool, client(1), 6).unwrap();
        assert_eq!(take(&pool, client(1), 5).err(), Some(Exhausted));
        let other = take(&pool, client(2), 10).unwrap();
        drop(first);
        let again = take(&pool, client(1), 10).unwrap();
        assert_eq!(pool.in_use(), 20);
        drop((other, again));
        assert_eq!(pool.in_use(), 0);
        assert!(pool.taken().by_client.is_empty(), "no client is remembered");
    }

    #[test]
    fn a_fixed_share_does_not_exceed_the_pool() {
        let pool = Pool::new(15, Share::AtMost(10));
        let _first = take(&pool, client(1), 10).unwrap();
        assert_eq!(take(&pool, client(2), 6).err(), Some(Exhausted));
        assert!(take(&pool, client(2), 5).is_ok());
    }
}
