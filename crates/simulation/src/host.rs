//! The simulated host: it performs the calls, with or without a fault, and keeps the writes whose
//! callers have stopped waiting.

use std::rc::Rc;

use anonymous_domains::store::rows::Limits;

use crate::{
    call::{Answer, Bytes, Call, Kind},
    random::{Digest, mix},
    store_model::StoreModel,
    store_state::{HostError, Seen, Stamp, StoreState},
};

/// The number of a request in its schedule.
pub type TaskId = usize;

/// When the simulated clock starts, in milliseconds since 1970.
pub const START_MS: i64 = 1_800_000_000_000;

/// A fault that is injected into a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// No fault.
    None,
    /// The call fails and has no effect.
    Refuse,
    /// The call takes effect, but its answer is lost.
    Lose,
    /// The call fails, and takes effect later or never.
    Delay,
    /// A swap has no effect, and reports that the row was changed.
    RefuseAsFailed,
    /// A swap writes, and reports that the row was changed.
    LoseAsFailed,
    /// A read returns the value before the last write.
    Stale,
}

impl Fault {
    /// The faults that a call may meet on a store, besides stale reads.
    pub fn possible(kind: Kind, store: StoreModel) -> &'static [Self] {
        match kind {
            Kind::Read => &[Self::Refuse],
            Kind::Write => &[Self::Refuse, Self::Lose],
            Kind::Swap if store.reports_errors_as_failed() => &[
                Self::Refuse,
                Self::Lose,
                Self::Delay,
                Self::RefuseAsFailed,
                Self::LoseAsFailed,
            ],
            Kind::Swap => &[Self::Refuse, Self::Lose, Self::Delay],
        }
    }
}

/// A swap that has not taken effect, and whose caller has stopped waiting.
#[derive(Debug, Clone)]
pub struct DelayedWrite {
    pub task: TaskId,
    pub key: Rc<str>,
    seen: Seen,
    value: Bytes,
    number: u64,
}

/// A key pair that was made, whether it was saved or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeKey {
    pub version: u32,
    /// Its unique name.
    pub name: Rc<str>,
}

/// Identifies a call: its request, and how many calls that made before.
#[derive(Debug, Clone, Copy)]
pub struct CallId {
    pub task: TaskId,
    pub calls: u32,
}

impl CallId {
    /// The call as one unique number.
    fn number(self) -> u64 {
        mix((self.task as u64) << 32 | u64::from(self.calls))
    }
}

/// A defect of a store that the server cannot tolerate. It shows that the simulation detects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Defect {
    /// Swaps always write, whatever the row holds.
    SwapAlwaysWrites,
    /// Plain writes take effect only after the next swap of the same request.
    LateWrites,
}

/// A host: its store, its clock, and the key pairs that its requests made.
#[derive(Debug, Clone)]
pub struct Host {
    /// The limits of the server that runs here: how large its rows grow.
    pub limits: Limits,
    pub defect: Option<Defect>,
    pub store: StoreState,
    pub delayed: Vec<DelayedWrite>,
    pub made_keys: Rc<Vec<MadeKey>>,
    pub now_ms: i64,
    /// Plain writes that wait for the next swap, with [`Defect::LateWrites`].
    late: Vec<(TaskId, Rc<str>, Bytes)>,
}

impl Host {
    pub fn new(store: StoreModel, limits: Limits, defect: Option<Defect>) -> Self {
        Self {
            limits,
            defect,
            store: StoreState::new(store),
            delayed: Vec::new(),
            made_keys: Rc::default(),
            now_ms: START_MS,
            late: Vec::new(),
        }
    }

    /// An unused host like this one, with the same time.
    pub fn unused(&self) -> Self {
        Self {
            now_ms: self.now_ms,
            ..Self::new(self.store_model(), self.limits, self.defect)
        }
    }

    pub fn store_model(&self) -> StoreModel {
        self.store.model()
    }

    /// Performs a call with a fault.
    pub fn perform(&mut self, id: CallId, call: &Call, fault: Fault) -> Answer {
        let Call::Swap(key, seen, value) = call else {
            let answer = match fault {
                Fault::Refuse => Err("refused before it took effect"),
                Fault::Lose => self
                    .serve(id, call, fault)
                    .and(Err("done, but the answer was lost")),
                _ => self.serve(id, call, fault),
            };
            return answer.unwrap_or_else(Answer::Error);
        };
        let swapped = match fault {
            Fault::Refuse => Err("refused before it took effect"),
            Fault::Delay => {
                self.delayed.push(DelayedWrite {
                    task: id.task,
                    key: key.clone(),
                    seen: seen.clone(),
                    value: value.clone(),
                    number: id.number(),
                });
                Err("no answer yet")
            }
            Fault::RefuseAsFailed => Ok(false),
            Fault::LoseAsFailed => self.swap(id, key, seen, value).map(|_| false),
            Fault::Lose => self
                .swap(id, key, seen, value)
                .and(Err("done, but the answer was lost")),
            Fault::None | Fault::Stale => self.swap(id, key, seen, value),
        };
        match swapped {
            Ok(won) => Answer::Swapped(won && self.store_model() != StoreModel::SpinRedis),
            Err(why) => Answer::Error(why),
        }
    }

    fn stamp(&self, id: CallId) -> Stamp {
        Stamp {
            number: id.number(),
            now_ms: self.now_ms,
        }
    }

    fn swap(
        &mut self,
        id: CallId,
        key: &Rc<str>,
        seen: &Seen,
        value: &Bytes,
    ) -> Result<bool, HostError> {
        let stamp = self.stamp(id);
        if self.defect == Some(Defect::SwapAlwaysWrites) {
            return self.store.set(key, value.clone(), stamp).map(|()| true);
        }
        let written = self.store.swap(key, seen, value.clone(), stamp);
        let late = self.late.extract_if(.., |(task, ..)| *task == id.task);
        for (_, key, value) in late {
            self.store.set(&key, value, stamp)?;
        }
        written
    }

    fn serve(&mut self, id: CallId, call: &Call, fault: Fault) -> Result<Answer, HostError> {
        let stamp = self.stamp(id);
        Ok(match call {
            Call::Get(key) => match self.store.get_stale(key, self.now_ms) {
                Some(former) if fault == Fault::Stale => Answer::Value(former),
                _ => Answer::Value(self.store.get(key)?),
            },
            Call::Begin(key) => {
                let (seen, value) = self.store.begin(key)?;
                Answer::Begun(seen, value)
            }
            Call::Set(key, value) if self.defect == Some(Defect::LateWrites) => {
                self.late.push((id.task, key.clone(), value.clone()));
                Answer::Done
            }
            Call::Set(key, value) => {
                self.store.set(key, value.clone(), stamp)?;
                Answer::Done
            }
            Call::Delete(key) => {
                self.store.delete(key)?;
                Answer::Done
            }
            Call::Increment(key, delta) => {
                let read = self.store.read_number(key)?;
                let sum = read.unwrap_or(0) + delta;
                self.store.write_number(key, sum, read, stamp)?;
                Answer::Number(Some(sum))
            }
            Call::ReadNumber(key) => Answer::Number(self.store.read_number(key)?),
            Call::WriteNumber { key, sum, read } => {
                self.store.write_number(key, *sum, *read, stamp)?;
                Answer::Number(Some(*sum))
            }
            Call::Swap(..) => Answer::Done,
        })
    }

    /// Settles a delayed write: it takes effect now, or never will. Gives the write, and whether it
    /// wrote.
    pub fn settle(&mut self, nth: usize, applies: bool) -> (DelayedWrite, bool) {
        let write = self.delayed.remove(nth);
        let stamp = Stamp {
            number: write.number,
            now_ms: self.now_ms,
        };
        let written = applies
            && self
                .store
                .swap(&write.key, &write.seen, write.value.clone(), stamp)
                .unwrap_or(false);
        (write, written)
    }

    /// Whether the store has a root cell, that is, is in use.
    pub fn has_root(&self) -> bool {
        let cell = self.store.get("anonymous-domains:root").ok().flatten();
        cell.is_some_and(|cell| cell.iter().any(|byte| *byte != 0))
    }

    /// Whether a request has delayed writes.
    pub fn has_delayed(&self, task: TaskId) -> bool {
        self.delayed.iter().any(|write| write.task == task)
    }

    /// Whether a call is independent of all calls of other requests, so that their order makes no
    /// difference: only its caller knows its key, or it reads the root cell, which never changes
    /// once it is set.
    pub fn is_independent(&self, call: &Call) -> bool {
        match call {
            Call::Set(..) | Call::Delete(_) => true,
            Call::Get(key) | Call::Begin(key) if key.ends_with(":root") => {
                let cell = self.store.get(key).ok().flatten();
                cell.is_some_and(|cell| cell.iter().any(|byte| *byte != 0))
            }
            call => call.key().contains(":probe:"),
        }
    }

    /// A hash of all that later calls and the model can observe.
    pub fn digest(&self, digest: &mut Digest) {
        digest.number(self.store.digest());
        digest.number(self.made_keys.len() as u64);
        for key in self.made_keys.iter() {
            digest.bytes(key.name.as_bytes());
        }
        for write in &self.delayed {
            digest.number(write.number);
        }
        for (task, key, _) in &self.late {
            digest.number(*task as u64);
            digest.bytes(key.as_bytes());
        }
    }
}
