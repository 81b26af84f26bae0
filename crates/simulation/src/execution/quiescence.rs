//! The checks when the system is quiescent: no request is in flight, and no more faults happen.

use std::rc::Rc;

use anonymous_domains_testkit::Guarantee;

use super::{Execution, Next, Task};
use crate::{
    host::Fault,
    issuer,
    operation::{Op, Outcome},
    snapshot,
    violation::Violation,
};

/// The most calls of a request that runs alone and meets no fault.
const MAX_CALLS_ALONE: u32 = 600;

/// The longest time that a request may take which runs alone and meets no fault, in milliseconds.
const MAX_ALONE_MS: i64 = 20_000;

/// A join that nothing is in the way of takes less time than the timeout for making a key, in
/// milliseconds. (With two entries in a leaf, splitting all the rows above it takes a while.)
const UNDISTURBED_MS: i64 = issuer::TAKEOVER_MS.cast_signed();

/// So long after a request has crashed, any request finishes what it had begun, in milliseconds.
const LONG_AFTER_MS: i64 = 200_000;

impl Execution {
    /// Runs a request from start to end alone. Time passes only while it sleeps.
    pub fn run_alone(&mut self, op: Op) -> Result<Rc<Outcome>, Violation> {
        let id = self.add(op);
        let started_ms = self.runtime.now_ms();
        loop {
            if let Next::Wake(until) = self.next(id) {
                self.runtime.advance_to(until);
            }
            if let Some(outcome) = self.step(id, Fault::None)? {
                return Ok(outcome);
            }
            if self.runtime.calls(id) > MAX_CALLS_ALONE
                || self.runtime.now_ms() - started_ms > MAX_ALONE_MS
            {
                return recovery(format!(
                    "{:?} runs alone and does not end",
                    self.tasks[id].op
                ));
            }
        }
    }

    /// Every machine registers again in each domain, and machine 0 twice more.
    ///
    /// With `undisturbed`, there was no crash or fault before, or it was long ago. Then no request
    /// may have to wait.
    pub fn register_all(
        &mut self,
        machines: u8,
        domains: u8,
        undisturbed: bool,
    ) -> Result<(), Violation> {
        use anonymous_domains_protocol::problem::ErrorName;

        self.runtime.trace(|| "the system is quiescent".to_owned());
        self.runtime.key_making_fails.set(false);
        self.instances.wrong_owner = 0;
        self.instances.stragglers = 0;
        for domain in 0..domains {
            for machine in 0..machines {
                let registers =
                    machine % domains == domain || self.model.is_member(machine, domain);
                if !registers {
                    continue;
                }
                let started_ms = self.runtime.now_ms();
                match &*self.run_alone(Op::Join { machine, domain })? {
                    Outcome::Joined(_) | Outcome::Refused(ErrorName::DomRegDenied) => {}
                    Outcome::Refused(ErrorName::DomLimitReached) => {
                        if !self.model.is_full(domain) {
                            return recovery("a place is lost");
                        }
                    }
                    outcome => return recovery(format!("a quiescent join: {}", outcome.show())),
                }
                if undisturbed && self.runtime.now_ms() - started_ms >= UNDISTURBED_MS {
                    return recovery("a join waited for a request that does not exist");
                }
            }
            // The last machine may have finished something that concerns the first.
            let mut quiescent = self.model.quiescent_state(domain);
            for _ in 0..2 {
                if self.model.is_member(0, domain) {
                    quiescent = self.model.quiescent_state(domain);
                    self.run_alone(Op::Join { machine: 0, domain })?;
                }
            }
            if self.model.quiescent_state(domain) != quiescent {
                let text = "a repeated join changed something";
                return Err(Violation::of(Guarantee::SingleFlight, text));
            }
            if let Outcome::Listed(listed) = &*self.run_alone(Op::List { domain, page: 3 })?
                && listed.len() as u64 != quiescent.1
            {
                return recovery("the list is not the roster");
            }
        }
        Ok(())
    }

    /// If a request has begun to reseal the keys, one does so to the end. From then on the old
    /// key-encryption key is gone.
    pub fn finish_rotation(&mut self) -> Result<(), Violation> {
        let begins = |task: &Task| matches!(task.op, Op::Reseal { .. });
        if !self.tasks.iter().any(begins) {
            return Ok(());
        }
        self.instances.wrong_owner = 0;
        let to_end = Op::Reseal {
            page: 2,
            to_end: true,
        };
        match &*self.run_alone(to_end)? {
            Outcome::Done => self.instances.rotate(),
            outcome => return recovery(format!("a quiescent reseal: {}", outcome.show())),
        }
        Ok(())
    }

    /// Nothing happens for a long time.
    pub fn wait_long(&mut self) {
        self.runtime
            .advance_to(self.runtime.now_ms() + LONG_AFTER_MS);
    }

    /// Every blocked machine is on the list of blocked machines. (When a block and an unblock of
    /// one machine both crash, it may be missing: docs/internals/store.md.)
    pub fn check_block_lists(&self, machines: u8, domains: u8) -> Result<(), Violation> {
        let host = self.runtime.host.borrow();
        for domain in 0..domains {
            for machine in 0..machines {
                if !snapshot::is_listed_if_blocked(&host, domain, machine)? {
                    return recovery("a blocked machine is not on the list");
                }
            }
        }
        Ok(())
    }

    /// The checks at the end. The last one is that every member can be removed.
    pub fn check_end(&mut self, machines: u8, domains: u8) -> Result<(), Violation> {
        self.model.check_quiescent(&self.runtime.host.borrow())?;
        for domain in 0..domains {
            for machine in 0..machines {
                if !self.model.is_member(machine, domain) {
                    continue;
                }
                let outcome = self.run_alone(Op::Remove { machine, domain })?;
                if !matches!(*outcome, Outcome::Done) {
                    return recovery(format!("a member stays: {}", outcome.show()));
                }
            }
        }
        self.model.check_quiescent(&self.runtime.host.borrow())
    }
}

fn recovery<T>(text: impl Into<String>) -> Result<T, Violation> {
    Err(Violation::of(Guarantee::Recovery, text))
}
