//! What the hostile clients of an attack share: the server, the time that is left, and the record of
//! what happened.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};

use crate::{
    requests::Requests,
    wire::{Answer, Wire},
};

/// Where hostile clients connect from.
pub const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// How many different wrong answers are kept.
const MAX_WRONG: usize = 5;

/// How large an attack is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Size {
    /// As large as this machine and the gateway allow.
    Full,
    /// Enough to show that it is one.
    Small,
}

/// Where an attack takes place. Clones share it.
#[derive(Clone, Debug)]
pub struct Field {
    /// The server.
    pub server: SocketAddr,
    /// The hostile client's requests.
    pub requests: Requests,
    /// A domain that honest clients are members of.
    pub honest_domain: String,
    /// What names of this run's own begin with.
    pub prefix: String,
    /// How large the attack is.
    pub size: Size,
    /// When it ends.
    end: Rc<Cell<Instant>>,
    tally: Rc<RefCell<Tally>>,
}

/// What happened.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// How many of an attack's units (requests, connections, frames) there were.
    pub units: u64,
    /// How often each status was answered.
    pub answers: BTreeMap<u16, u64>,
    /// How many connections the gateway ended, or refused.
    pub closed: u64,
    /// What must not be.
    pub wrong: Vec<String>,
}

impl Tally {
    /// Counts all of another one too.
    pub fn add(&mut self, other: &Self) {
        self.units += other.units;
        self.closed += other.closed;
        for (status, number) in &other.answers {
            *self.answers.entry(*status).or_default() += number;
        }
        for wrong in &other.wrong {
            self.found_wrong(wrong.clone());
        }
    }

    fn found_wrong(&mut self, what: String) {
        if self.wrong.len() < MAX_WRONG && !self.wrong.contains(&what) {
            self.wrong.push(what);
        }
    }
}

impl Field {
    /// A field, with nothing counted. The attack is over until it begins.
    pub fn new(requests: Requests, honest_domain: String, prefix: String, size: Size) -> Self {
        Self {
            server: requests.server,
            requests,
            honest_domain,
            prefix,
            size,
            end: Rc::new(Cell::new(Instant::now())),
            tally: Rc::default(),
        }
    }

    /// Lets the attack begin, and end after this time.
    pub fn begin(&self, duration: Duration) {
        self.end.set(Instant::now() + duration);
    }

    /// What was counted.
    pub fn tally(&self) -> Tally {
        self.tally.borrow().clone()
    }

    /// One of two numbers.
    pub fn pick(&self, full: usize, small: usize) -> usize {
        match self.size {
            Size::Full => full,
            Size::Small => small,
        }
    }

    /// Whether the attack is over.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.end.get()
    }

    /// What a future yields, unless the attack is over before.
    pub async fn within<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.end.get(), future).await.ok()
    }

    /// Waits until the attack is over.
    pub async fn hold(&self) {
        tokio::time::sleep_until(self.end.get()).await;
    }

    /// Counts so many units.
    pub fn count(&self, units: u64) {
        self.tally.borrow_mut().units += units;
    }

    /// Counts a connection that was ended or refused.
    pub fn count_closed(&self) {
        self.tally.borrow_mut().closed += 1;
    }

    /// Counts an answer. No hostile request may make the server fail: 500, 502 and 504 are wrong.
    pub fn count_answer(&self, answer: &Answer) {
        let mut tally = self.tally.borrow_mut();
        *tally.answers.entry(answer.status).or_default() += 1;
        if answer.status >= 500 && answer.status != 503 {
            let body = String::from_utf8_lossy(&answer.body);
            tally.found_wrong(format!("HTTP {}: {body}", answer.status));
        }
    }

    /// Notes what must not be.
    pub fn found_wrong(&self, what: impl Into<String>) {
        self.tally.borrow_mut().found_wrong(what.into());
    }

    /// Connects; `None` if that fails or the attack is over.
    pub async fn connect(&self) -> Option<Wire> {
        self.connected(Wire::connect(SOURCE, self.server)).await
    }

    /// The connection that is being made; `None` if that fails or the attack is over.
    pub async fn connected(&self, wire: impl Future<Output = io::Result<Wire>>) -> Option<Wire> {
        match self.within(wire).await? {
            Ok(wire) => Some(wire),
            Err(_) => {
                self.count_closed();
                // Not in a tight circle.
                tokio::time::sleep(Duration::from_millis(5)).await;
                None
            }
        }
    }

    /// Runs so many clients at the same time until each has ended.
    pub async fn each<F>(&self, clients: usize, client: impl Fn(Field, usize) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        let mut all = JoinSet::new();
        for number in 0..clients {
            all.spawn_local(client(self.clone(), number));
        }
        while let Some(ended) = all.join_next().await {
            if let Err(error) = ended {
                self.found_wrong(format!("a client of the siege failed: {error}"));
            }
        }
    }

    /// Sends one request after another over so many kept connections, and counts answers, until the
    /// attack is over or there is no next request. `request` gets a number that no other gets.
    pub async fn flood(&self, clients: usize, request: impl Fn(&Field, u64) -> Option<Vec<u8>>) {
        let request = &request;
        let next = Cell::new(0);
        let next = &next;
        let client = async || {
            while !self.is_over() {
                let Some(mut wire) = self.connect().await else {
                    continue;
                };
                loop {
                    if self.is_over() {
                        return;
                    }
                    let number = next.get();
                    next.set(number + 1);
                    let Some(bytes) = request(self, number) else {
                        return;
                    };
                    self.count(1);
                    let exchange = async {
                        wire.send(&bytes).await?;
                        wire.answer().await
                    };
                    match self.within(exchange).await {
                        None => return,
                        Some(Ok(answer)) => {
                            self.count_answer(&answer);
                            if answer.closes {
                                break;
                            }
                        }
                        Some(Err(_)) => {
                            self.count_closed();
                            break;
                        }
                    }
                }
            }
        };
        together((0..clients).map(|_| client())).await;
    }
}

/// Runs futures that borrow what is here, on this task, until all have ended.
async fn together<F: Future<Output = ()>>(futures: impl Iterator<Item = F>) {
    let mut running: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        running.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        match running.is_empty() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_fails_is_wrong_and_one_that_refuses_is_not() {
        let requests = Requests {
            server: ([127, 0, 0, 1], 1).into(),
            client: "192.0.2.1".to_owned(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (domain, prefix) = ("d".to_owned(), "p".to_owned());
            let field = Field::new(requests, domain, prefix, Size::Small);
            for status in [200, 429, 503, 500, 500] {
                field.count_answer(&Answer {
                    status,
                    closes: false,
                    body: b"why".to_vec(),
                });
            }
            let mut sum = field.tally();
            assert_eq!(sum.wrong, ["HTTP 500: why"]);
            sum.add(&field.tally());
            assert_eq!((sum.answers[&500], sum.wrong.len()), (4, 1));
        });
    }
}
