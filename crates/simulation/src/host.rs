//! The simulated host's side of a call: what it does, what it says, and what becomes of writes
//! whose callers have given up.

use std::rc::Rc;

use anonymous_domains::store::rows::Limits;

use crate::{
    behaviour::Behaviour,
    call::{Answer, Bytes, Call},
    cells::{Cells, HostError, Seen, Stamp},
    random::{Digest, mix},
};

/// A request's number in its schedule.
pub type TaskId = usize;

/// When the simulated clock starts, in milliseconds since 1970.
pub const START_MS: i64 = 1_800_000_000_000;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing bad.
    None,
    /// It does nothing and fails.
    Refuse,
    /// It does its work, but its answer is lost.
    Lose,
    /// It fails, and does its work later or never.
    Delay,
    /// A swap that does nothing and is said to have found the row changed.
    RefuseAsFailed,
    /// A swap that writes and is said to have found the row changed.
    LoseAsFailed,
    /// A read that gives what the row was before.
    Stale,
}

/// A swap whose caller has given up waiting.
#[derive(Debug, Clone)]
pub struct Delayed {
    pub task: TaskId,
    pub key: Rc<str>,
    seen: Seen,
    value: Bytes,
    number: u64,
}

/// A key pair that was made, saved or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub version: u32,
    /// Its name: no two key pairs have the same.
    pub identity: Rc<str>,
}

/// Which request calls, and how many calls it has made before.
#[derive(Debug, Clone, Copy)]
pub struct By {
    pub task: TaskId,
    pub calls: u32,
}

impl By {
    /// A number that no other call has.
    fn number(self) -> u64 {
        mix((self.task as u64) << 32 | u64::from(self.calls))
    }
}

/// A store that cannot be supported, to see that the simulation notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Defect {
    /// Swaps write whatever is there.
    SwapAlwaysWrites,
    /// Plain writes take effect only after the next swap of the same request.
    LateWrites,
}

/// A host's store, its clock, and the key pairs made by its requests.
#[derive(Debug, Clone)]
pub struct Host {
    /// How large the server that runs here makes its rows.
    pub limits: Limits,
    pub defect: Option<Defect>,
    pub cells: Cells,
    pub delayed: Vec<Delayed>,
    pub made: Rc<Vec<Made>>,
    pub now_ms: i64,
    /// Plain writes that wait for the next swap, on a store with [`Defect::LateWrites`].
    late: Vec<(TaskId, Rc<str>, Bytes)>,
}

impl Host {
    pub fn new(behaviour: Behaviour, limits: Limits, defect: Option<Defect>) -> Self {
        Self {
            limits,
            defect,
            cells: Cells::new(behaviour),
            delayed: Vec::new(),
            made: Rc::default(),
            now_ms: START_MS,
            late: Vec::new(),
        }
    }

    /// An unused one like this, at the same time.
    pub fn unused(&self) -> Self {
        Self {
            now_ms: self.now_ms,
            ..Self::new(self.behaviour(), self.limits, self.defect)
        }
    }

    pub fn behaviour(&self) -> Behaviour {
        self.cells.behaviour()
    }

    /// Does what a call asks for, or what its fault makes of it.
    pub fn perform(&mut self, by: By, call: &Call, fault: Fault) -> Answer {
        let Call::Swap(key, seen, value) = call else {
            let answer = match fault {
                Fault::Refuse => Err("refused before it took effect"),
                Fault::Lose => self
                    .serve(by, call, fault)
                    .and(Err("done, but the answer was lost")),
                _ => self.serve(by, call, fault),
            };
            return answer.unwrap_or_else(Answer::Error);
        };
        let swapped = match fault {
            Fault::Refuse => Err("refused before it took effect"),
            Fault::Delay => {
                self.delayed.push(Delayed {
                    task: by.task,
                    key: key.clone(),
                    seen: seen.clone(),
                    value: value.clone(),
                    number: by.number(),
                });
                Err("no answer yet")
            }
            Fault::RefuseAsFailed => Ok(false),
            Fault::LoseAsFailed => self.swap(by, key, seen, value).map(|_| false),
            Fault::Lose => self
                .swap(by, key, seen, value)
                .and(Err("done, but the answer was lost")),
            Fault::None | Fault::Stale => self.swap(by, key, seen, value),
        };
        match swapped {
            Ok(won) => Answer::Swapped(won && self.behaviour() != Behaviour::SpinRedis),
            Err(why) => Answer::Error(why),
        }
    }

    fn stamp(&self, by: By) -> Stamp {
        Stamp {
            number: by.number(),
            now_ms: self.now_ms,
        }
    }

    fn swap(
        &mut self,
        by: By,
        key: &Rc<str>,
        seen: &Seen,
        value: &Bytes,
    ) -> Result<bool, HostError> {
        let stamp = self.stamp(by);
        if self.defect == Some(Defect::SwapAlwaysWrites) {
            return self.cells.set(key, value.clone(), stamp).map(|()| true);
        }
        let written = self.cells.swap(key, seen, value.clone(), stamp);
        let late = self.late.extract_if(.., |(task, ..)| *task == by.task);
        for (_, key, value) in late {
            self.cells.set(&key, value, stamp)?;
        }
        written
    }

    fn serve(&mut self, by: By, call: &Call, fault: Fault) -> Result<Answer, HostError> {
        let stamp = self.stamp(by);
        Ok(match call {
            Call::Get(key) => match self.cells.get_stale(key, self.now_ms) {
                Some(former) if fault == Fault::Stale => Answer::Value(former),
                _ => Answer::Value(self.cells.get(key)?),
            },
            Call::Begin(key) => {
                let (seen, value) = self.cells.begin(key)?;
                Answer::Begun(seen, value)
            }
            Call::Set(key, value) if self.defect == Some(Defect::LateWrites) => {
                self.late.push((by.task, key.clone(), value.clone()));
                Answer::Done
            }
            Call::Set(key, value) => {
                self.cells.set(key, value.clone(), stamp)?;
                Answer::Done
            }
            Call::Delete(key) => {
                self.cells.delete(key)?;
                Answer::Done
            }
            Call::Increment(key, delta) => {
                let read = self.cells.read_number(key)?;
                let sum = read.unwrap_or(0) + delta;
                self.cells.write_number(key, sum, read, stamp)?;
                Answer::Number(Some(sum))
            }
            Call::ReadNumber(key) => Answer::Number(self.cells.read_number(key)?),
            Call::WriteNumber { key, sum, read } => {
                self.cells.write_number(key, *sum, *read, stamp)?;
                Answer::Number(Some(*sum))
            }
            Call::Swap(..) => Answer::Done,
        })
    }

    /// Lets the effect of a delayed write come, or never come. Gives the write, and whether it wrote.
    pub fn settle(&mut self, nth: usize, applies: bool) -> (Delayed, bool) {
        let write = self.delayed.remove(nth);
        let stamp = Stamp {
            number: write.number,
            now_ms: self.now_ms,
        };
        let written = applies
            && self
                .cells
                .swap(&write.key, &write.seen, write.value.clone(), stamp)
                .unwrap_or(false);
        (write, written)
    }

    /// Whether somebody has begun to use the store.
    pub fn has_root(&self) -> bool {
        let cell = self.cells.get("anonymous-domains:root").ok().flatten();
        cell.is_some_and(|cell| cell.iter().any(|byte| *byte != 0))
    }

    /// Whether a write of a request may take effect yet.
    pub fn has_delayed(&self, task: TaskId) -> bool {
        self.delayed.iter().any(|write| write.task == task)
    }

    /// Whether no other request can notice or disturb a call: its key is known to its caller alone,
    /// or it reads the root cell, which never changes once it has a pointer.
    pub fn is_private(&self, call: &Call) -> bool {
        match call {
            Call::Set(..) | Call::Delete(_) => true,
            Call::Get(key) | Call::Begin(key) if key.ends_with(":root") => {
                let cell = self.cells.get(key).ok().flatten();
                cell.is_some_and(|cell| cell.iter().any(|byte| *byte != 0))
            }
            call => call.key().contains(":probe:"),
        }
    }

    /// A hash of all that later calls and the model could find out.
    pub fn digest(&self, digest: &mut Digest) {
        digest.number(self.cells.digest());
        digest.number(self.made.len() as u64);
        for key in self.made.iter() {
            digest.bytes(key.identity.as_bytes());
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
