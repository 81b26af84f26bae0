//! [`Store`] over the simulated cells: a switch point before every call, and the call's fault.

use std::rc::Rc;

use anonymous_domains::{
    knobs::{Mutation, broken},
    store::{Store, StoreError, Swapped},
};

use crate::{
    behaviour::Behaviour,
    cells::Seen,
    world::{Delayed, Fault, Kind, TaskId, World},
};

/// The store as one request sees it.
#[derive(Debug, Clone)]
pub struct SimStore {
    pub world: Rc<World>,
}

/// A compare-and-swap that has read its row.
#[derive(Debug)]
pub struct SimCas {
    key: String,
    seen: Seen,
}

/// How a value shows in a trace.
fn show(value: Option<&[u8]>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(bytes) if bytes.len() <= 8 => format!("{bytes:02x?}"),
        Some(bytes) => {
            let revisions = usize::from(bytes[1]);
            format!("{} bytes, {revisions} revisions", bytes.len())
        }
    }
}

/// Keys are long; their last digits tell them apart.
pub(crate) fn short(key: &str) -> String {
    let key = key.strip_prefix("anonymous-domains:").unwrap_or(key);
    match key.rsplit_once(':') {
        Some((table, id)) => format!("{table}:{}", &id[id.len().saturating_sub(4)..]),
        None => key.to_owned(),
    }
}

fn error(text: &str) -> StoreError {
    StoreError(text.to_owned())
}

impl SimStore {
    /// What a call gave, as the caller and the trace are told.
    fn answer<T>(
        &self,
        what: &str,
        key: &str,
        result: Result<T, &'static str>,
        show: impl FnOnce(&T) -> String,
        value: impl FnOnce(&T) -> Option<Rc<[u8]>>,
    ) -> Result<T, StoreError> {
        self.world.answered(|history| match &result {
            Ok(answer) => match value(answer) {
                Some(bytes) => history.bytes(&bytes),
                None => history.number(1),
            },
            Err(_) => history.number(2),
        });
        self.world.trace_call(|| match &result {
            Ok(answer) => format!("{what} {}: {}", short(key), show(answer)),
            Err(why) => format!("{what} {}: ERROR {why}", short(key)),
        });
        result.map_err(error)
    }

    /// A call that writes, with its fault: `Err` where the caller hears nothing good.
    fn write<T>(
        fault: Fault,
        effect: impl FnOnce() -> Result<T, &'static str>,
    ) -> Result<T, &'static str> {
        match fault {
            Fault::Refuse => Err("refused before it took effect"),
            Fault::Lose => effect().and(Err("done, but the answer was lost")),
            _ => effect(),
        }
    }

    async fn read_for_swap(
        &self,
        what: &'static str,
        key: &str,
    ) -> Result<(SimCas, Option<Vec<u8>>), StoreError> {
        let fault = self.world.call(Kind::Read, what, key).await;
        let read = Self::write(fault, || self.world.cells.borrow().begin(key));
        let (seen, value) = self.answer(
            what,
            key,
            read,
            |(_, value)| show(value.as_deref()),
            |(_, value)| value.clone(),
        )?;
        self.world.holds(key, &seen);
        let key = key.to_owned();
        Ok((SimCas { key, seen }, value.map(|bytes| bytes.to_vec())))
    }

    fn write_late(&self, key: &str, value: &[u8]) {
        let mut late = self.world.late.borrow_mut();
        late.push((self.world.current(), key.to_owned(), value.to_vec()));
    }

    fn take_late(&self) -> Vec<(TaskId, String, Vec<u8>)> {
        let mut late = self.world.late.borrow_mut();
        let current = self.world.current();
        late.extract_if(.., |(task, ..)| *task == current).collect()
    }

    fn delay(&self, key: &str, seen: Option<Seen>, value: &[u8]) {
        self.world.delayed.borrow_mut().push(Delayed {
            task: self.world.current(),
            key: key.into(),
            seen,
            value: value.into(),
        });
    }
}

impl Store for SimStore {
    type Cas = SimCas;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let fault = self.world.call(Kind::Read, "get", key).await;
        let value = Self::write(fault, || {
            let cells = self.world.cells.borrow();
            match cells.get_stale(key, self.world.now_ms()) {
                Some(former) if fault == Fault::Stale => Ok(former),
                _ => cells.get(key),
            }
        });
        let value = self.answer(
            "get",
            key,
            value,
            |value| show(value.as_deref()),
            |value| value.clone(),
        )?;
        Ok(value.map(|bytes| bytes.to_vec()))
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let fault = self.world.call(Kind::Write, "set", key).await;
        let now_ms = self.world.now_ms();
        let done = if fault == Fault::Delay {
            self.delay(key, None, value);
            Err("no answer yet")
        } else {
            Self::write(fault, || {
                if broken(Mutation::RowsWrittenLate) {
                    self.write_late(key, value);
                    return Ok(());
                }
                self.world.cells.borrow_mut().set(key, value, now_ms)
            })
        };
        self.answer("set", key, done, |()| show(Some(value)), |()| None)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let fault = self.world.call(Kind::Write, "delete", key).await;
        let done = Self::write(fault, || self.world.cells.borrow_mut().delete(key));
        self.answer("delete", key, done, |()| "done".to_owned(), |()| None)
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        let now_ms = self.world.now_ms();
        let fault = self.world.call(Kind::Write, "increment", key).await;
        let cells = &self.world.cells;
        let behaviour = cells.borrow().behaviour();
        let sum = match behaviour {
            // Its read and its write are two calls.
            Behaviour::DynamoDb | Behaviour::DynamoDbStale => {
                let read = cells.borrow_mut().begin_increment(key);
                let fault = self.world.call(Kind::Write, "increment", key).await;
                read.and_then(|read| {
                    let sum = read.unwrap_or(0) + delta;
                    let mut cells = cells.borrow_mut();
                    Self::write(fault, || cells.finish_increment(key, sum, read, now_ms))
                })
            }
            _ => Self::write(fault, || {
                let mut cells = cells.borrow_mut();
                let read = cells.begin_increment(key)?;
                cells.finish_increment(key, read.unwrap_or(0) + delta, read, now_ms)
            }),
        };
        let sum = match (behaviour, sum) {
            // It reads what it gives after it has written.
            (Behaviour::CosmosDb, Ok(sum)) => {
                self.world.call(Kind::Read, "increment", key).await;
                Ok(cells
                    .borrow_mut()
                    .begin_increment(key)
                    .ok()
                    .flatten()
                    .unwrap_or(sum))
            }
            (_, sum) => sum,
        };
        let bytes = |sum: &i64| Some(Rc::from(sum.to_le_bytes().as_slice()));
        self.answer("increment", key, sum, |sum| sum.to_string(), bytes)
    }

    async fn begin(&self, key: &str) -> Result<(Self::Cas, Option<Vec<u8>>), StoreError> {
        self.read_for_swap("begin", key).await
    }

    async fn swap(&self, cas: Self::Cas, value: &[u8]) -> Swapped<Self::Cas> {
        let SimCas { key, seen } = cas;
        let fault = self.world.call(Kind::Swap, "swap", &key).await;
        let effect = || {
            let now_ms = self.world.now_ms();
            let mut cells = self.world.cells.borrow_mut();
            if broken(Mutation::SwapAlwaysWrites) {
                return cells.set(&key, value, now_ms).map(|()| true);
            }
            let written = cells.swap(&key, &seen, value, now_ms);
            for (_, key, value) in self.take_late() {
                cells.set(&key, &value, now_ms)?;
            }
            written
        };
        let behaviour = self.world.cells.borrow().behaviour();
        let outcome = match fault {
            Fault::Delay => {
                self.delay(&key, Some(seen), value);
                Err("no answer yet")
            }
            Fault::RefuseAsFailed => Ok(false),
            Fault::LoseAsFailed => effect().map(|_| false),
            _ => {
                let written = Self::write(fault, effect);
                self.world.trace_call(|| match written {
                    Ok(true) => format!("swap {} writes {}", short(&key), show(Some(value))),
                    Ok(false) => format!("swap {} finds another row", short(&key)),
                    Err(why) => format!("swap {}: {why}", short(&key)),
                });
                written.map(|written| written && behaviour != Behaviour::SpinRedis)
            }
        };
        self.world.answered(|history| {
            history.number(match outcome {
                Ok(won) => u64::from(won),
                Err(_) => 2,
            });
        });
        match outcome {
            Ok(true) => Swapped::Won,
            Ok(false) => {
                self.world
                    .trace_call(|| format!("swap {}: says FAILED ({fault:?})", short(&key)));
                match self.read_for_swap("begin again", &key).await {
                    Ok((cas, value)) => Swapped::Failed(cas, value),
                    Err(error) => Swapped::Unknown(error),
                }
            }
            Err(why) => {
                self.world
                    .trace_call(|| format!("swap {}: ERROR {why} ({fault:?})", short(&key)));
                Swapped::Unknown(error(why))
            }
        }
    }
}
