//! Numbers: limbs, the lowest first.

use alloc::{vec, vec::Vec};

use crate::limb::Limb;

/// A number in limbs, the lowest first.
pub(crate) type Number<L> = Vec<L>;

/// The number of big-endian bytes, which has room in so many limbs.
///
/// The time depends on the lengths alone.
pub(crate) fn from_bytes<L: Limb>(bytes: &[u8], limbs: usize) -> Number<L> {
    let mut number = vec![L::default(); limbs];
    let mut bytes = bytes.iter().rev();
    let (mut bits, mut length) = (0_u128, 0);
    for limb in &mut number {
        while length < L::BITS {
            // In words, of which the last may not be whole.
            let mut word = [0; 4];
            for (to, from) in word.iter_mut().zip(&mut bytes) {
                *to = *from;
            }
            bits |= u128::from(u32::from_le_bytes(word)) << length;
            length += 32;
        }
        *limb = L::new(bits as u64 & ((1 << L::BITS) - 1));
        bits >>= L::BITS;
        length -= L::BITS;
    }
    debug_assert!(bits == 0 && bytes.len() == 0, "it fits");
    number
}

/// Writes a number that has room there as big-endian bytes.
///
/// The time depends on the lengths alone.
pub(crate) fn to_bytes<L: Limb>(number: &[L], bytes: &mut [u8]) {
    let mut limbs = number.iter();
    let (mut bits, mut length) = (0_u128, 0);
    for byte in bytes.iter_mut().rev() {
        if length < 8 {
            let limb = limbs.next().map_or(0, |limb| limb.get());
            bits |= u128::from(limb) << length;
            length += L::BITS;
        }
        *byte = bits as u8;
        bits >>= 8;
        length -= 8;
    }
}

/// The number over 2^`bits`, rounded down, which is of at most 64 bits.
pub(crate) fn shifted<L: Limb>(number: &[L], bits: usize) -> u64 {
    let limb_bits = L::BITS as usize;
    let limbs = number[bits / limb_bits..].iter().map(|limb| limb.get());
    let mut shifted = 0;
    for (limb, at) in limbs.zip((0..).step_by(limb_bits)) {
        let at = at - (bits % limb_bits) as i32;
        shifted |= match at {
            ..=0 => limb >> -at,
            1..64 => limb << at,
            // It is 0, as the result has not that many bits.
            64.. => break,
        };
    }
    shifted
}
