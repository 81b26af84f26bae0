//! How much of a limited resource each client may use.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::client::Client;

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
    /// Those that wait for one unit.
    waiting: VecDeque<(Client, oneshot::Sender<Lease>)>,
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

    /// Waits until the client's share has room for one unit. The one that came first is served
    /// first, unless its share has none.
    pub(super) async fn wait(self: &Arc<Self>, client: Client) -> Lease {
        let mut lease = self.lease(client);
        if lease.grow_to(1).is_ok() {
            return lease;
        }
        let (sender, receiver) = oneshot::channel();
        self.taken().waiting.push_back((client, sender));
        // Something may have been returned in between.
        self.hand_out();
        receiver.await.expect("everybody in the queue is served")
    }

    /// Gives what is free to those that wait.
    fn hand_out(self: &Arc<Self>) {
        loop {
            let mut taken = self.taken();
            taken.waiting.retain(|(_, sender)| !sender.is_closed());
            let mut clients = taken.waiting.iter().map(|(client, _)| *client);
            let Some(place) = clients.position(|client| self.may_take(&taken, client, 1)) else {
                return;
            };
            let Some((client, sender)) = taken.waiting.remove(place) else {
                return;
            };
            taken.add(client, 1);
            drop(taken);
            // If it does not wait any more, this returns what it got, and calls this function.
            let _ = sender.send(Lease {
                pool: Arc::clone(self),
                client,
                amount: 1,
            });
        }
    }

    /// Whether a client's share, and the pool, have so much more.
    fn may_take(&self, taken: &Taken, client: Client, more: usize) -> bool {
        let left = self.total.saturating_sub(taken.total);
        let of_client = taken.by_client.get(&client).copied().unwrap_or(0) + more;
        match self.share {
            Share::Remainder => of_client <= left,
            Share::AtMost(share) => of_client <= share && more <= left,
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

impl Taken {
    fn add(&mut self, client: Client, more: usize) {
        self.total += more;
        *self.by_client.entry(client).or_default() += more;
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
        if !self.pool.may_take(&taken, self.client, more) {
            return Err(Exhausted);
        }
        taken.add(self.client, more);
        self.amount = amount;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.amount == 0 {
            return;
        }
        let mut taken = self.pool.taken();
        taken.total -= self.amount;
        if let Some(of_client) = taken.by_client.get_mut(&self.client) {
            *of_client -= self.amount;
            if *of_client == 0 {
                taken.by_client.remove(&self.client);
            }
        }
        let is_waited_for = !taken.waiting.is_empty();
        drop(taken);
        if is_waited_for {
            self.pool.hand_out();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> Client {
        Client::V4([192, 0, 2, number].into())
    }

    fn take(pool: &Arc<Pool>, client: Client, amount: usize) -> Result<Lease, Exhausted> {
        let mut lease = pool.lease(client);
        lease.grow_to(amount).map(|()| lease)
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
    /// Tasks that wait, one for each of these.
    fn wait_many(pool: &Arc<Pool>, clients: &[Client]) -> Vec<tokio::task::JoinHandle<Lease>> {
        let wait = |client: &Client| {
            let (pool, client) = (Arc::clone(pool), *client);
            tokio::spawn(async move { pool.wait(client).await })
        };
        clients.iter().map(wait).collect()
    }

    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_client_that_waits_for_much_does_not_hold_up_the_next() {
        let pool = Pool::new(4, Share::Remainder);
        let mut greedy = wait_many(&pool, &[client(1); 6]);
        settle().await;
        let served = |tasks: &[tokio::task::JoinHandle<Lease>]| {
            tasks
                .iter()
                .map(|task| task.is_finished())
                .collect::<Vec<_>>()
        };
        assert_eq!(served(&greedy), [true, true, false, false, false, false]);

        let modest = wait_many(&pool, &[client(2)]);
        settle().await;
        assert_eq!(served(&modest), [true]);

        // What is returned goes to the one that has waited for longest.
        drop(greedy.remove(0).await.unwrap());
        settle().await;
        assert_eq!(served(&greedy), [true, true, false, false, false]);
    }

    #[tokio::test]
    async fn one_that_does_not_wait_any_more_is_skipped() {
        let pool = Pool::new(1, Share::Remainder);
        let held = pool.wait(client(1)).await;
        let gone = wait_many(&pool, &[client(2)]);
        let waiting = wait_many(&pool, &[client(3)]);
        settle().await;
        for gone in gone {
            gone.abort();
        }
        settle().await;
        drop(held);
        for waiting in waiting {
            drop(waiting.await.unwrap());
        }
        assert_eq!(pool.in_use(), 0);
        assert!(pool.taken().waiting.is_empty());
    }
}
