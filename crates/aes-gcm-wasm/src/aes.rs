//! AES-256 (FIPS 197) of eight blocks at once, which count (the counter mode of SP 800-38A).
//!
//! Bit k of byte i of block b is bit b of byte i of word k, as Käsper and Schwabe have it
//! (<https://eprint.iacr.org/2009/129>). So the S-box is a circuit, and the bytes of all blocks move
//! together, by one instruction a word.

use zeroize::Zeroizing;

use crate::{
    sbox::{Bits, LEFT_OUT, substitute},
    word::Word,
};

/// How many blocks are encrypted at once.
pub(crate) const BLOCKS: usize = 8;

const ROUNDS: usize = 14;

/// A key's round keys, for all blocks. They are wiped when dropped.
pub(crate) struct RoundKeys(Zeroizing<[Bits; ROUNDS + 1]>);

impl RoundKeys {
    /// FIPS 197 section 5.2.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let (halves, _) = key.as_chunks::<16>();
        // Four words of the schedule each.
        let (mut even, mut odd) = (Word::from_bytes(&halves[0]), Word::from_bytes(&halves[1]));
        // Not moved when it is returned: it is large.
        let mut all = Self(Zeroizing::new([Bits::default(); ROUNDS + 1]));
        let keys = &mut all.0;
        // The first round adds to a text from which nothing was left out.
        keys[0] = spread(even);
        for (round, constant) in (1..ROUNDS).step_by(2).zip(0..) {
            let odd_bits = spread(odd);
            keys[round] = spread(odd ^ Word::splat(LEFT_OUT));
            let rotated = gather(substitute(odd_bits))
                .shuffle::<13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12>(
                    Word::ZERO,
                );
            let constants = Word::from_bytes(&[1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0])
                .shl_bytes(constant);
            even = summed(even) ^ rotated ^ Word::splat(LEFT_OUT) ^ constants;
            keys[round + 1] = spread(even ^ Word::splat(LEFT_OUT));
            if round + 2 > ROUNDS {
                break;
            }
            let last = gather(substitute(spread(even)))
                .shuffle::<12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15>(
                    Word::ZERO,
                );
            odd = summed(odd) ^ last ^ Word::splat(LEFT_OUT);
        }
        all
    }

    /// Encrypts what has had the first round key added.
    #[inline(always)]
    fn encrypt(&self, mut bits: Bits) -> [Word; BLOCKS] {
        for key in &self.0[1..ROUNDS] {
            bits = added(mixed(substitute(bits)), key);
        }
        let bits = substitute(bits)
            .map(|word| word.shuffle::<0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11>(word));
        transposed(added(bits, &self.0[ROUNDS]))
    }
}

/// The blocks of a nonce and a number of 32 bits, encrypted.
pub(crate) struct Counters<'a> {
    keys: &'a RoundKeys,
    /// Those with the numbers 0 to 7, before the first round. It is wiped when dropped: with the nonce
    /// it is half of the key.
    start: Zeroizing<Bits>,
}

impl<'a> Counters<'a> {
    pub(crate) fn new(keys: &'a RoundKeys, nonce: &[u8; 12]) -> Self {
        let mut start = Zeroizing::new(added(spread(Word::padded(nonce)), &keys.0[0]));
        // Of block b, the number's last bits are b.
        for (word, bits) in start.iter_mut().zip([0xaa, 0xcc, 0xf0]) {
            let mut last = [0; 16];
            last[15] = bits;
            *word ^= Word::from_bytes(&last);
        }
        Self { keys, start }
    }

    /// The block of zeros, and those with the numbers 1 to 7.
    pub(crate) fn zeros_and_first(&self) -> Zeroizing<[Word; BLOCKS]> {
        let mut bits = *self.start;
        for (word, key) in bits.iter_mut().zip(&self.keys.0[0]) {
            // All of the key's bits are those of the block of zeros, which is in the lowest.
            *word = *word ^ ((*word ^ *key) & Word::splat(1));
        }
        Zeroizing::new(self.keys.encrypt(bits))
    }

    /// Those whose numbers over 8, rounded down, are this.
    #[inline(always)]
    pub(crate) fn blocks(&self, over_8: u32) -> Zeroizing<[Word; BLOCKS]> {
        let [b0, b1, b2, b3] = (over_8 << 3).to_be_bytes();
        let number = Word::from_bytes(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b0, b1, b2, b3]);
        Zeroizing::new(self.keys.encrypt(added(spread(number), &self.start)))
    }
}

#[inline(always)]
fn added(mut bits: Bits, others: &Bits) -> Bits {
    for (word, other) in bits.iter_mut().zip(others) {
        *word ^= *other;
    }
    bits
}

/// `ShiftRows` and `MixColumns` (sections 5.1.2 and 5.1.3).
#[inline(always)]
fn mixed(bits: Bits) -> Bits {
    // In each byte's place the one below it, and its sum with the byte itself; after ShiftRows.
    let below =
        bits.map(|word| word.shuffle::<5, 10, 15, 0, 9, 14, 3, 4, 13, 2, 7, 8, 1, 6, 11, 12>(word));
    let mut sums =
        bits.map(|word| word.shuffle::<0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11>(word));
    for (sum, below) in sums.iter_mut().zip(&below) {
        *sum ^= *below;
    }
    // Twice the sum.
    let [s0, s1, s2, s3, s4, s5, s6, s7] = sums;
    let mut mixed = [s7, s0 ^ s7, s1, s2 ^ s7, s3 ^ s7, s4, s5, s6];
    for ((word, sum), below) in mixed.iter_mut().zip(sums).zip(below) {
        let opposite = sum.shuffle::<2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13>(sum);
        *word = *word ^ below ^ opposite;
    }
    mixed
}

/// The same block eight times.
#[inline(always)]
fn spread(block: Word) -> Bits {
    [
        block.shl_halves(7).highest_bits(),
        block.shl_halves(6).highest_bits(),
        block.shl_halves(5).highest_bits(),
        block.shl_halves(4).highest_bits(),
        block.shl_halves(3).highest_bits(),
        block.shl_halves(2).highest_bits(),
        block.shl_halves(1).highest_bits(),
        block.highest_bits(),
    ]
}

/// The block that is there eight times.
#[inline(always)]
fn gather(bits: Bits) -> Word {
    let mut block = Word::ZERO;
    for (word, bit) in bits.into_iter().zip(0..) {
        block ^= word & Word::splat(1 << bit);
    }
    block
}

/// Each four bytes added to all after them.
#[inline(always)]
fn summed(words: Word) -> Word {
    let words = words
        ^ Word::ZERO.shuffle::<0, 1, 2, 3, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27>(words);
    words ^ Word::ZERO.shuffle::<0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23>(words)
}

/// From words of bits to blocks.
#[inline(always)]
fn transposed(bits: Bits) -> [Word; BLOCKS] {
    /// Swaps the bits of `a` at the mask, shifted, with those of `b` at the mask.
    #[inline(always)]
    fn swapped(a: Word, b: Word, shift: u32, mask: u8) -> (Word, Word) {
        let change = (a.shr_halves(shift) ^ b) & Word::splat(mask);
        (a ^ change.shl_halves(shift), b ^ change)
    }
    let [b0, b1, b2, b3, b4, b5, b6, b7] = bits;
    let (b0, b1) = swapped(b0, b1, 1, 0x55);
    let (b2, b3) = swapped(b2, b3, 1, 0x55);
    let (b4, b5) = swapped(b4, b5, 1, 0x55);
    let (b6, b7) = swapped(b6, b7, 1, 0x55);
    let (b0, b2) = swapped(b0, b2, 2, 0x33);
    let (b1, b3) = swapped(b1, b3, 2, 0x33);
    let (b4, b6) = swapped(b4, b6, 2, 0x33);
    let (b5, b7) = swapped(b5, b7, 2, 0x33);
    let (b0, b4) = swapped(b0, b4, 4, 0x0f);
    let (b1, b5) = swapped(b1, b5, 4, 0x0f);
    let (b2, b6) = swapped(b2, b6, 4, 0x0f);
    let (b3, b7) = swapped(b3, b7, 4, 0x0f);
    [b0, b1, b2, b3, b4, b5, b6, b7]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::hex;

    /// FIPS 197 appendix C.3.
    #[test]
    fn fips_197() {
        let key: [u8; 32] = core::array::from_fn(|at| at as u8);
        let keys = RoundKeys::new(&key);
        let block = hex("00112233445566778899aabbccddeeff");
        let bits = added(spread(Word::padded(&block)), &keys.0[0]);
        let expected = Word::padded(&hex("8ea2b7ca516745bfeafc49904b496089"));
        assert_eq!(keys.encrypt(bits), [expected; BLOCKS]);
    }

    /// With a nonce or a text, which others know, each tells a key or a text.
    #[test]
    fn what_is_computed_from_a_key_is_wiped() {
        fn is_wiped(_: &impl zeroize::ZeroizeOnDrop) {}
        let keys = RoundKeys::new(&[1; 32]);
        let counters = Counters::new(&keys, &[2; 12]);
        is_wiped(&keys.0);
        is_wiped(&counters.start);
        is_wiped(&counters.zeros_and_first());
        is_wiped(&counters.blocks(1));
    }

    #[test]
    fn bits_and_blocks() {
        let block = Word::padded(&hex("00112233445566778899aabbccddeeff"));
        assert_eq!(gather(spread(block)), block);
        assert_eq!(transposed(spread(block)), [block; BLOCKS]);
    }
}
