//! Steps of arithmetic with limbs of 64 bits.
//!
//! In terms of `u128`, which becomes the instructions for wide arithmetic where they exist. Not of
//! `borrowing_sub` or `overflowing_sub`: with wide arithmetic, rustc 1.95 (LLVM 22) compiled a chain
//! of them wrongly where it was inlined into a Montgomery multiplication.

/// `a + b c + carry`, which is below 2^128: the low and the high half.
#[inline(always)]
pub(crate) const fn multiply_add(a: u64, b: u64, c: u64, carry: u64) -> (u64, u64) {
    let sum = a as u128 + b as u128 * c as u128 + carry as u128;
    (sum as u64, (sum >> 64) as u64)
}

/// `a + b + carry`: the low half, and the carry.
#[inline(always)]
pub(crate) const fn add_carry(a: u64, b: u64, carry: u64) -> (u64, u64) {
    let sum = a as u128 + b as u128 + carry as u128;
    (sum as u64, (sum >> 64) as u64)
}

/// `a - b - borrow`: the low half, and the borrow, 0 or 1.
#[inline(always)]
pub(crate) const fn sub_borrow(a: u64, b: u64, borrow: u64) -> (u64, u64) {
    let difference = (a as u128)
        .wrapping_sub(b as u128)
        .wrapping_sub(borrow as u128);
    (difference as u64, (difference >> 64) as u64 & 1)
}

/// The difference, and 0 or 1 that it lacks at the top.
#[inline(always)]
pub(crate) const fn subtract(a: &[u64; 4], b: &[u64; 4]) -> ([u64; 4], u64) {
    let (d0, borrow) = sub_borrow(a[0], b[0], 0);
    let (d1, borrow) = sub_borrow(a[1], b[1], borrow);
    let (d2, borrow) = sub_borrow(a[2], b[2], borrow);
    let (d3, borrow) = sub_borrow(a[3], b[3], borrow);
    ([d0, d1, d2, d3], borrow)
}

/// The sum, and its fifth limb, 0 or 1.
#[inline(always)]
pub(crate) const fn add(a: &[u64; 4], b: &[u64; 4]) -> ([u64; 4], u64) {
    let (s0, carry) = add_carry(a[0], b[0], 0);
    let (s1, carry) = add_carry(a[1], b[1], carry);
    let (s2, carry) = add_carry(a[2], b[2], carry);
    let (s3, carry) = add_carry(a[3], b[3], carry);
    ([s0, s1, s2, s3], carry)
}

/// The limbs, where the mask is all ones; or 0.
#[inline(always)]
pub(crate) const fn masked(limbs: &[u64; 4], mask: u64) -> [u64; 4] {
    let [l0, l1, l2, l3] = *limbs;
    [l0 & mask, l1 & mask, l2 & mask, l3 & mask]
}

/// A number below twice the modulus, with its fifth limb, less the modulus where it is not below it.
#[inline(always)]
pub(crate) const fn below(modulus: &[u64; 4], limbs: &[u64; 4], high: u64) -> [u64; 4] {
    let (less, borrow) = subtract(limbs, modulus);
    // All ones where it was below the modulus.
    let keep = high.wrapping_sub(borrow);
    [
        less[0] ^ ((less[0] ^ limbs[0]) & keep),
        less[1] ^ ((less[1] ^ limbs[1]) & keep),
        less[2] ^ ((less[2] ^ limbs[2]) & keep),
        less[3] ^ ((less[3] ^ limbs[3]) & keep),
    ]
}

/// Half of an even number of five limbs.
#[inline(always)]
pub(crate) const fn half(limbs: &[u64; 4], high: u64) -> [u64; 4] {
    let [l0, l1, l2, l3] = *limbs;
    [
        l0 >> 1 | l1 << 63,
        l1 >> 1 | l2 << 63,
        l2 >> 1 | l3 << 63,
        l3 >> 1 | high << 63,
    ]
}

/// The number over 2^bits, rounded down; fewer than 64 bits.
pub(crate) const fn shifted_right(limbs: &[u64; 4], bits: u32) -> [u64; 4] {
    let [l0, l1, l2, l3] = *limbs;
    let rest = 63 - bits;
    [
        l0 >> bits | l1 << 1 << rest,
        l1 >> bits | l2 << 1 << rest,
        l2 >> bits | l3 << 1 << rest,
        l3 >> bits,
    ]
}

/// The number times 2^bits, which is below 2^256; fewer than 64 bits.
pub(crate) const fn shifted_left(limbs: &[u64; 4], bits: u32) -> [u64; 4] {
    let [l0, l1, l2, l3] = *limbs;
    let rest = 63 - bits;
    [
        l0 << bits,
        l1 << bits | l0 >> 1 >> rest,
        l2 << bits | l1 >> 1 >> rest,
        l3 << bits | l2 >> 1 >> rest,
    ]
}
