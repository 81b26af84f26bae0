//! The instances of the server that serve requests, and which request goes to which.

use std::rc::Rc;

use crate::{
    issuer::Owner,
    operation::{Instance, Op},
    random::Random,
    runtime::Runtime,
};

/// The instances of one execution.
pub struct Instances {
    /// One slot for each instance that serves. Without slots, each request gets a new instance.
    pub serving: Vec<Option<Rc<Instance>>>,
    pub random: Random,
    /// Whether certificates expire within a schedule.
    pub short_lived_certificates: bool,
    /// How often a request goes to an instance with the wrong key-encryption key, in thousandths.
    pub wrong_owner: u32,
    /// How often a request goes to an instance without the new key-encryption key, in thousandths.
    pub stragglers: u32,
    /// Whether the new key-encryption key has replaced the old one.
    pub rotated: bool,
}

impl Instances {
    /// A new instance for each request.
    pub fn one_each() -> Self {
        Self {
            serving: Vec::new(),
            random: Random::new(0),
            short_lived_certificates: false,
            wrong_owner: 0,
            stragglers: 0,
            rotated: false,
        }
    }

    /// From now on all instances have the new key-encryption key alone.
    pub fn rotate(&mut self) {
        self.rotated = true;
        self.stragglers = 0;
        self.serving.fill(None);
    }

    /// The instance for the next request. Now and then a new one replaces an old one.
    pub fn next(&mut self, runtime: &Rc<Runtime>, op: &Op) -> Rc<Instance> {
        let new = |owner| Instance::new(runtime, owner, self.short_lived_certificates);
        if runtime.host.borrow().has_root() && self.random.chance(self.wrong_owner) {
            return new(Owner::Wrong);
        }
        if op.owner() != Owner::Right && !self.rotated {
            return new(op.owner());
        }
        if self.stragglers > 0 && self.random.chance(self.stragglers) {
            return new(Owner::Straggler);
        }
        let owner = match self.rotated {
            true => Owner::Rotated,
            false => Owner::Right,
        };
        let new = || new(owner);
        if self.serving.is_empty() {
            return new();
        }
        let nth = self.random.below(self.serving.len());
        let slot = &mut self.serving[nth];
        if self.random.chance(100) {
            *slot = None;
        }
        slot.get_or_insert_with(new).clone()
    }
}
