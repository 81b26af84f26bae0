//! Which guest computes next: a weighted fair queue of two classes.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::usage::Usage;
use crate::client::Client;

/// How many times as much time guests of the short class get as those of the long class, while both
/// wait.
const SHORT_WEIGHT: u32 = 3;

/// What a guest counts as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Class {
    /// It has not computed for long yet.
    Short,
    /// It computes for long.
    Long,
}

/// What a guest's place in the queues depends on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Rank {
    pub class: Class,
    /// Who caused the request.
    pub client: Client,
    /// The request's number, in order of arrival.
    pub number: u64,
}

/// The guests that wait for a core; each is a `T`.
pub(super) struct Queues<T> {
    /// Cores that nobody computes on. While there is one, nobody waits.
    pub free: usize,
    short: VecDeque<(Rank, T)>,
    long: Vec<(Rank, T)>,
    /// The time that guests of the class had, divided by its weight. The class with less is next.
    short_time: Duration,
    long_time: Duration,
    /// The time that guests of the long class had lately.
    usage: Usage,
}

impl<T> Queues<T> {
    /// Empty queues for this many cores.
    pub fn new(free: usize) -> Self {
        Self {
            free,
            short: VecDeque::new(),
            long: Vec::new(),
            short_time: Duration::ZERO,
            long_time: Duration::ZERO,
            usage: Usage::default(),
        }
    }

    /// Puts a guest into its queue.
    pub fn push(&mut self, rank: Rank, guest: T) {
        // A queue earns nothing for the time when it was empty.
        match rank.class {
            Class::Short => {
                if self.short.is_empty() {
                    self.short_time = self.short_time.max(self.long_time);
                }
                self.short.push_back((rank, guest));
            }
            Class::Long => {
                if self.long.is_empty() {
                    self.long_time = self.long_time.max(self.short_time);
                }
                self.long.push((rank, guest));
            }
        }
    }

    /// Counts the time that a guest has computed until `now`.
    pub fn charge(&mut self, rank: Rank, time: Duration, now: Instant) {
        match rank.class {
            Class::Short => self.short_time += time / SHORT_WEIGHT,
            Class::Long => {
                self.long_time += time;
                self.usage.add(rank.client, time, now);
            }
        }
    }

    /// Takes out the guest that is next.
    pub fn pop(&mut self, now: Instant) -> Option<(Rank, T)> {
        let is_long = match (self.short.is_empty(), self.long.is_empty()) {
            (false, false) => self.long_time < self.short_time,
            (is_long, _) => is_long,
        };
        if is_long {
            self.pop_long(now)
        } else {
            self.short.pop_front()
        }
    }

    /// Of the client that had least time lately, the guest whose request came first: one of many is
    /// finished before the next begins, and does not share the time with it.
    fn pop_long(&mut self, now: Instant) -> Option<(Rank, T)> {
        let had_least =
            |(_, (rank, _)): &(usize, &(Rank, T))| (self.usage.of(rank.client, now), rank.number);
        let next = self.long.iter().enumerate().min_by_key(had_least);
        let place = next.map(|(place, _)| place)?;
        Some(self.long.swap_remove(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: Duration = Duration::from_millis(6);

    fn client(number: u8) -> Client {
        Client::V4([192, 0, 2, number].into())
    }

    fn push_many(queues: &mut Queues<()>, class: Class, of: u8, number: u64) {
        for number in 0..number {
            let rank = Rank {
                class,
                client: client(of),
                number,
            };
            queues.push(rank, ());
        }
    }

    /// The next guests, each of which computes for a slice.
    fn next(queues: &mut Queues<()>, number: usize) -> Vec<Rank> {
        let now = Instant::now();
        (0..number)
            .map(|_| {
                let (rank, ()) = queues.pop(now).expect("a guest waits");
                queues.charge(rank, SLICE, now);
                rank
            })
            .collect()
    }

    fn classes(queues: &mut Queues<()>, number: usize) -> Vec<Class> {
        let next = next(queues, number);
        next.into_iter().map(|rank| rank.class).collect()
    }

    #[test]
    fn both_classes_get_their_share() {
        let mut queues = Queues::new(0);
        push_many(&mut queues, Class::Long, 1, 40);
        push_many(&mut queues, Class::Short, 1, 40);
        let got = classes(&mut queues, 40);
        // Short guests come first, and three times as often.
        let first = [Class::Short, Class::Long, Class::Short, Class::Short];
        assert_eq!(got[..4], first);
        let long = got.iter().filter(|class| **class == Class::Long);
        assert_eq!(long.count(), 10);

        // If only one class waits it gets all the time, and the other one earns nothing meanwhile.
        while !queues.short.is_empty() {
            next(&mut queues, 1);
        }
        next(&mut queues, 20);
        push_many(&mut queues, Class::Short, 1, 9);
        assert_eq!(classes(&mut queues, 4), first);
    }

    #[test]
    fn a_client_that_computes_much_waits_for_one_that_computes_little() {
        let mut queues = Queues::new(0);
        push_many(&mut queues, Class::Long, 1, 200);
        let first = next(&mut queues, 50);
        let numbers: Vec<_> = first.iter().map(|rank| rank.number).collect();
        assert_eq!(
            numbers,
            (0..50).collect::<Vec<_>>(),
            "first come, first served"
        );

        push_many(&mut queues, Class::Long, 2, 10);
        let modest = next(&mut queues, 10);
        assert!(modest.iter().all(|rank| rank.client == client(2)));
        // From now on the third client has had less than both.
        push_many(&mut queues, Class::Long, 2, 10);
        push_many(&mut queues, Class::Long, 3, 20);
        let both = next(&mut queues, 20);
        let third = both.iter().filter(|rank| rank.client == client(3));
        assert_eq!(third.count(), 15);
    }
}
