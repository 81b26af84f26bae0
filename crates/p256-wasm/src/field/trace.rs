//! A representation that notes which operations are done, whatever the numbers are.

use std::{cell::RefCell, vec::Vec};

use super::{Field, Limbs64};
use crate::mask::Mask;

std::thread_local! {
    static OPERATIONS: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// What was done with numbers of this kind in this thread meanwhile.
pub(crate) fn operations<T>(run: impl FnOnce() -> T) -> (T, Vec<&'static str>) {
    OPERATIONS.take();
    let result = run();
    (result, OPERATIONS.take())
}

fn note(operation: &'static str) {
    OPERATIONS.with_borrow_mut(|operations| operations.push(operation));
}

#[derive(Clone, Copy)]
pub(crate) struct Traced(Limbs64);

impl Traced {
    pub(crate) const fn new(words: &[u32; 8]) -> Self {
        Self(Limbs64::new(words))
    }
}

impl Field for Traced {
    const ZERO: Self = Self(Limbs64::ZERO);
    const ONE: Self = Self(Limbs64::ONE);
    const B: Self = Self(Limbs64::B);

    fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        note("from_bytes");
        Limbs64::from_bytes(bytes).map(Self)
    }

    fn to_bytes(&self) -> [u8; 32] {
        note("to_bytes");
        self.0.to_bytes()
    }

    fn mul(&self, other: &Self) -> Self {
        note("mul");
        Self(self.0.mul(&other.0))
    }

    fn square(&self) -> Self {
        note("square");
        Self(self.0.square())
    }

    fn mul_sub(a: &Self, b: &Self, c: &Self, d: &Self) -> Self {
        note("mul_sub");
        Self(Limbs64::mul_sub(&a.0, &b.0, &c.0, &d.0))
    }

    fn add(&self, other: &Self) -> Self {
        note("add");
        Self(self.0.add(&other.0))
    }

    fn sub(&self, other: &Self) -> Self {
        note("sub");
        Self(self.0.sub(&other.0))
    }

    fn tight(&self) -> Self {
        note("tight");
        Self(self.0.tight())
    }

    fn half(&self) -> Self {
        note("half");
        Self(self.0.half())
    }

    fn is_zero(&self) -> Mask {
        note("is_zero");
        self.0.is_zero()
    }

    fn negate_if(&mut self, yes: Mask) {
        note("negate_if");
        self.0.negate_if(yes);
    }

    fn assign_if(&mut self, other: &Self, yes: Mask) {
        note("assign_if");
        self.0.assign_if(&other.0, yes);
    }

    fn pick<'a, const N: usize>(numbers: impl Fn(usize) -> &'a Self, this: &[Mask; N]) -> Self {
        note("pick");
        Self(Limbs64::pick(|at| &numbers(at).0, this))
    }
}
