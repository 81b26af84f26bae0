//! The order in which guests compute.

use std::{
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use tokio::task::{JoinHandle, yield_now};

use super::{
    cores::Scheduler,
    queues::{Class, Rank},
};
use crate::client::Client;

/// A guest that has not computed for long.
const SHORT: Rank = Rank {
    class: Class::Short,
    client: Client::Gateway,
    number: 0,
};

/// Who computed, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn write(&self, who: &'static str) {
        self.0.lock().unwrap().push(who);
    }

    fn read(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }
}

/// A scheduler whose first slice never ends.
fn endless_slices(count: usize) -> Scheduler {
    Scheduler::with_first_slice(count, Duration::MAX)
}

/// A guest that computes in `steps`, and yields after each.
fn computes(scheduler: &Scheduler, log: &Log, who: &'static str, steps: usize) -> JoinHandle<()> {
    let (scheduler, log) = (scheduler.clone(), log.clone());
    tokio::spawn(async move {
        let guest = async {
            for _ in 0..steps {
                log.write(who);
                yields().await;
            }
        };
        scheduler
            .run(scheduler.acquire(Client::Gateway).await, guest)
            .await;
    })
}

/// Wakes itself and yields, as a guest does at the end of an epoch.
async fn yields() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[tokio::test]
async fn first_come_first_served() {
    let (scheduler, log) = (endless_slices(1), Log::default());
    for guest in ["a", "b", "c"].map(|who| computes(&scheduler, &log, who, 3)) {
        guest.await.unwrap();
    }
    assert_eq!(
        log.read(),
        ["a", "a", "a", "b", "b", "b", "c", "c", "c"],
        "they share the core"
    );
}

#[tokio::test]
async fn a_guest_that_waits_releases_its_core_and_then_queues_again() {
    let (scheduler, log) = (endless_slices(1), Log::default());
    let (answer, answered) = tokio::sync::oneshot::channel();
    let waits = {
        let (scheduler, log) = (scheduler.clone(), log.clone());
        tokio::spawn(async move {
            let guest = async {
                log.write("asks");
                let () = answered.await.unwrap();
                log.write("goes on");
            };
            scheduler
                .run(scheduler.acquire(Client::Gateway).await, guest)
                .await;
        })
    };
    computes(&scheduler, &log, "next", 1).await.unwrap();
    assert_eq!(log.read(), ["asks", "next"]);

    // It can go on, but the core is in use.
    let permit = scheduler.acquire(Client::Gateway).await;
    answer.send(()).unwrap();
    for _ in 0..10 {
        yield_now().await;
    }
    assert_eq!(log.read(), ["asks", "next"]);
    drop(permit);
    waits.await.unwrap();
    assert_eq!(log.read(), ["asks", "next", "goes on"]);
}

#[tokio::test]
async fn a_guest_that_computes_for_long_blocks_no_others() {
    // Every slice is too long, so guests move to the second queue at once.
    let scheduler = Scheduler::with_first_slice(1, Duration::ZERO);
    let log = Log::default();
    let guests = [("long", 100), ("a", 1), ("b", 2)];
    for guest in guests.map(|(who, steps)| computes(&scheduler, &log, who, steps)) {
        guest.await.unwrap();
    }
    let all = log.read();
    assert_eq!(all[..6], ["long", "a", "b", "long", "b", "long"]);
    assert_eq!(all.iter().filter(|who| **who == "long").count(), 100);
}

#[tokio::test]
async fn a_guest_that_does_not_wait_any_more_is_skipped() {
    let scheduler = endless_slices(1);
    let permit = scheduler.acquire(Client::Gateway).await;
    let gone = scheduler.request(SHORT).err().expect("there is no core");
    let gone_later = scheduler.request(SHORT).err().expect("there is no core");
    let waiting = scheduler.request(SHORT).err().expect("there is no core");
    drop(gone);
    drop(permit);
    // This one got the permit, and never received it.
    drop(gone_later);
    drop(waiting.await.expect("a core"));
    assert!(scheduler.request(SHORT).is_ok());
}

#[tokio::test]
async fn as_many_compute_at_a_time_as_there_are_cores() {
    let scheduler = endless_slices(2);
    let permits = [
        scheduler.acquire(Client::Gateway).await,
        scheduler.acquire(Client::Gateway).await,
    ];
    let third = tokio::time::timeout(Duration::ZERO, scheduler.acquire(Client::Gateway));
    assert!(third.await.is_err());
    drop(permits);
    drop(scheduler.acquire(Client::Gateway).await);
}

#[tokio::test]
async fn a_guest_that_is_cancelled_releases_its_core() {
    let scheduler = endless_slices(1);
    let guest = scheduler.run(scheduler.acquire(Client::Gateway).await, async {
        loop {
            yields().await;
        }
    });
    let cancelled = tokio::time::timeout(Duration::from_millis(1), guest);
    assert!(cancelled.await.is_err());
    drop(scheduler.acquire(Client::Gateway).await);
}
