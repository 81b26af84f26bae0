//! Which guest computes next: a weighted fair queue of two classes.

use std::{collections::VecDeque, time::Duration};

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

/// The guests that wait for a core; each is a `T`.
pub(super) struct Queues<T> {
    /// Cores that nobody computes on. While there is one, nobody waits.
    pub free: usize,
    short: Queue<T>,
    long: Queue<T>,
}

struct Queue<T> {
    waiting: VecDeque<T>,
    /// The time that guests of this class had, divided by its weight. The queue with less is next.
    virtual_time: Duration,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            virtual_time: Duration::ZERO,
        }
    }
}

impl<T> Queues<T> {
    /// Empty queues for this many cores.
    pub fn new(free: usize) -> Self {
        Self {
            free,
            short: Queue::default(),
            long: Queue::default(),
        }
    }

    /// The queue of a class, and the other one.
    fn of(&mut self, class: Class) -> (&mut Queue<T>, &Queue<T>) {
        match class {
            Class::Short => (&mut self.short, &self.long),
            Class::Long => (&mut self.long, &self.short),
        }
    }

    /// Puts a guest at the end of a queue.
    pub fn push(&mut self, class: Class, guest: T) {
        let (queue, other) = self.of(class);
        if queue.waiting.is_empty() {
            // A queue earns nothing for the time when it was empty.
            queue.virtual_time = queue.virtual_time.max(other.virtual_time);
        }
        queue.waiting.push_back(guest);
    }

    /// Counts the time that a guest of a class has computed.
    pub fn charge(&mut self, class: Class, time: Duration) {
        let weight = match class {
            Class::Short => SHORT_WEIGHT,
            Class::Long => 1,
        };
        self.of(class).0.virtual_time += time / weight;
    }

    /// Takes out the guest that is next.
    pub fn pop(&mut self) -> Option<(Class, T)> {
        let class = match (self.short.waiting.is_empty(), self.long.waiting.is_empty()) {
            (false, false) if self.long.virtual_time < self.short.virtual_time => Class::Long,
            (true, _) => Class::Long,
            (false, _) => Class::Short,
        };
        let next = self.of(class).0.waiting.pop_front();
        next.map(|guest| (class, guest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: Duration = Duration::from_millis(6);

    fn push_many(queues: &mut Queues<()>, class: Class, number: usize) {
        for _ in 0..number {
            queues.push(class, ());
        }
    }

    /// The classes of the next guests, each of which computes for a slice.
    fn next(queues: &mut Queues<()>, number: usize) -> Vec<Class> {
        (0..number)
            .map(|_| {
                let (class, ()) = queues.pop().expect("a guest waits");
                queues.charge(class, SLICE);
                class
            })
            .collect()
    }

    #[test]
    fn both_classes_get_their_share() {
        let mut queues = Queues::new(0);
        push_many(&mut queues, Class::Long, 40);
        push_many(&mut queues, Class::Short, 40);
        let classes = next(&mut queues, 40);
        // Short guests come first, and three times as often.
        let first = [Class::Short, Class::Long, Class::Short, Class::Short];
        assert_eq!(classes[..4], first);
        let long = classes.iter().filter(|class| **class == Class::Long);
        assert_eq!(long.count(), 10);

        // If only one class waits it gets all the time, and the other one earns nothing meanwhile.
        while let Some((Class::Short, ())) = queues.pop() {}
        next(&mut queues, 20);
        push_many(&mut queues, Class::Short, 9);
        assert_eq!(next(&mut queues, 4), first);
    }
}
