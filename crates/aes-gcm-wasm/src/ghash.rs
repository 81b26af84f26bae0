//! GHASH (SP 800-38D section 6.4): the value of a polynomial, whose coefficients are blocks, at a key.
//!
//! Bit 7 of byte 0 of a block is its constant term. Blocks are multiplied byte by byte: a byte of the
//! key and half a byte of the text have one of 16 products, of which a vector is the table. One
//! instruction looks all of a block's bytes up in it.

use zeroize::Zeroizing;

use crate::word::Word;

/// How many blocks are multiplied at once, each by its power of the key. Their products are added
/// before they are reduced.
const BLOCKS: usize = 4;

/// For each byte of a factor, the last one first, and for each power of the key, from that of
/// [`BLOCKS`] down to the key itself, its products with each half of a byte: tables of 16 products.
///
/// A product has 15 terms: 8 in the byte whose number is the sum of the factors' (near), and 7 in the
/// next one (far). So there are four tables: near ones and far ones of a byte's low half, and of its
/// high half. They are wiped when dropped.
pub(crate) struct Tables(Zeroizing<[[[Word; 4]; BLOCKS]; 16]>);

const NEAR_LOW: usize = 0;
const NEAR_HIGH: usize = 1;
const FAR_LOW: usize = 2;
const FAR_HIGH: usize = 3;

impl Tables {
    /// Of nothing yet.
    pub(crate) fn new() -> Self {
        Self(Zeroizing::new([[[Word::ZERO; 4]; BLOCKS]; 16]))
    }

    /// Makes those of a power of the key.
    fn fill(&mut self, power: usize, factor: Word) {
        let [r1, r2, r3, r4, r5, r6, r7] = [1, 2, 3, 4, 5, 6, 7].map(|bits| factor.shr_bytes(bits));
        let [l1, l2, l3, l4, l5, l6, l7] = [1, 2, 3, 4, 5, 6, 7].map(|bits| factor.shl_bytes(bits));
        self.fill_one(power, NEAR_LOW, [r7, r6, r5, r4]);
        self.fill_one(power, NEAR_HIGH, [r3, r2, r1, factor]);
        self.fill_one(power, FAR_LOW, [l1, l2, l3, l4]);
        self.fill_one(power, FAR_HIGH, [l5, l6, l7, Word::ZERO]);
    }

    /// Makes one table for each byte: the sums of the four words where the index has a bit, from the
    /// lowest.
    #[inline(never)]
    fn fill_one(&mut self, power: usize, which: usize, [a, b, c, d]: [Word; 4]) {
        let [ab, cd] = [a ^ b, c ^ d];
        #[rustfmt::skip]
        let rows = [
            Word::ZERO, a, b, ab, c, a ^ c, b ^ c, ab ^ c, d, a ^ d, b ^ d, ab ^ d, cd, a ^ cd, b ^ cd, ab ^ cd,
        ];
        // From a row for each index to a row for each byte.
        let rows = interleaved(interleaved(interleaved(interleaved(rows))));
        for (powers, row) in self.0.iter_mut().rev().zip(rows) {
            powers[BLOCKS - power][which] = row;
        }
    }

    /// The product with the key.
    #[inline(never)]
    fn multiply_one(&self, block: Word) -> Word {
        self.multiply([block])
    }

    /// The sum of the blocks' products with powers of the key, the last one with the key itself.
    #[inline(always)]
    fn multiply<const N: usize>(&self, blocks: [Word; N]) -> Word {
        let low_halves = blocks.map(|block| block & Word::splat(0x0f));
        let high_halves = blocks.map(|block| block.shr_bytes(4));
        // The 32 bytes of the sum so far times x^8, and a byte of the factors more.
        let step = |powers: &[[Word; 4]; BLOCKS], [first, second]: [Word; 2]| {
            let (mut near, mut far) = (Word::ZERO, first);
            let powers = &powers[BLOCKS - N..];
            for ((tables, low), high) in powers.iter().zip(low_halves).zip(high_halves) {
                near = near ^ tables[NEAR_LOW].look_up(low) ^ tables[NEAR_HIGH].look_up(high);
                far = far ^ tables[FAR_LOW].look_up(low) ^ tables[FAR_HIGH].look_up(high);
            }
            let second = far
                .shuffle::<15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30>(second);
            [next_byte(far) ^ near, second]
        };
        // No loop: the compiler would compute each address in three instructions.
        #[rustfmt::skip]
        let [b15, b14, b13, b12, b11, b10, b9, b8, b7, b6, b5, b4, b3, b2, b1, b0] = &*self.0;
        let sum = [Word::ZERO; 2];
        let sum = step(b15, sum);
        let sum = step(b14, sum);
        let sum = step(b13, sum);
        let sum = step(b12, sum);
        let sum = step(b11, sum);
        let sum = step(b10, sum);
        let sum = step(b9, sum);
        let sum = step(b8, sum);
        let sum = step(b7, sum);
        let sum = step(b6, sum);
        let sum = step(b5, sum);
        let sum = step(b4, sum);
        let sum = step(b3, sum);
        let sum = step(b2, sum);
        let sum = step(b1, sum);
        let [first, second] = step(b0, sum);
        reduced(first, second)
    }
}

/// A hash in the making.
pub(crate) struct Ghash<'a> {
    tables: &'a Tables,
    sum: Word,
}

impl<'a> Ghash<'a> {
    /// Fills the tables. They are not its own, so that they are not moved: they are large.
    pub(crate) fn new(tables: &'a mut Tables, key: Word) -> Self {
        tables.fill(1, key);
        let mut factor = key;
        for power in 2..=BLOCKS {
            factor = tables.multiply_one(factor);
            tables.fill(power, factor);
        }
        Self {
            tables,
            sum: Word::ZERO,
        }
    }

    /// Adds bytes, and zeros to the end of the last block.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let (groups, rest) = bytes.as_chunks::<{ 16 * BLOCKS }>();
        for group in groups {
            let (blocks, _) = group.as_chunks();
            let mut blocks: [Word; BLOCKS] =
                core::array::from_fn(|at| Word::from_bytes(&blocks[at]));
            blocks[0] ^= self.sum;
            self.sum = self.tables.multiply(blocks);
        }
        let (blocks, rest) = rest.as_chunks();
        for block in blocks {
            self.add_block(Word::from_bytes(block));
        }
        if !rest.is_empty() {
            self.add_block(Word::padded(rest));
        }
    }

    /// The hash, of the numbers of bytes before it, too.
    #[inline(always)]
    pub(crate) fn finish(&mut self, associated: usize, text: usize) -> Word {
        let mut bits = [0; 16];
        let (first, second) = bits.split_at_mut(8);
        first.copy_from_slice(&(associated as u64 * 8).to_be_bytes());
        second.copy_from_slice(&(text as u64 * 8).to_be_bytes());
        self.add_block(Word::from_bytes(&bits));
        self.sum
    }

    fn add_block(&mut self, block: Word) {
        self.sum = self.tables.multiply_one(self.sum ^ block);
    }
}

/// The bytes of both halves of the rows, taking turns.
#[inline(always)]
fn interleaved(rows: [Word; 16]) -> [Word; 16] {
    #[rustfmt::skip]
    let [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12, r13, r14, r15] = rows;
    [
        r0.low_interleaved(r8),
        r0.high_interleaved(r8),
        r1.low_interleaved(r9),
        r1.high_interleaved(r9),
        r2.low_interleaved(r10),
        r2.high_interleaved(r10),
        r3.low_interleaved(r11),
        r3.high_interleaved(r11),
        r4.low_interleaved(r12),
        r4.high_interleaved(r12),
        r5.low_interleaved(r13),
        r5.high_interleaved(r13),
        r6.low_interleaved(r14),
        r6.high_interleaved(r14),
        r7.low_interleaved(r15),
        r7.high_interleaved(r15),
    ]
}

/// Each byte in the place of the next one.
#[inline(always)]
fn next_byte(bytes: Word) -> Word {
    Word::ZERO.shuffle::<0, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30>(bytes)
}

/// 32 bytes modulo x^128 + x^7 + x^2 + x + 1.
#[inline(always)]
fn reduced(first: Word, second: Word) -> Word {
    // The second half is to be multiplied by x^7 + x^2 + x + 1. What goes from a byte to the next one:
    let carry = |bytes: Word| bytes.shl_bytes(1) ^ bytes.shl_bytes(6) ^ bytes.shl_bytes(7);
    // Beyond the last byte, that is of the second half once more.
    let second = second
        ^ carry(second)
            .shuffle::<15, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16>(Word::ZERO);
    first
        ^ second
        ^ second.shr_bytes(1)
        ^ second.shr_bytes(2)
        ^ second.shr_bytes(7)
        ^ next_byte(carry(second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// SP 800-38D section 6.3, bit by bit.
    fn product(x: u128, y: u128) -> u128 {
        let (mut z, mut v) = (0, y);
        for bit in (0..128).rev() {
            if x >> bit & 1 == 1 {
                z ^= v;
            }
            v = v >> 1 ^ if v & 1 == 1 { 0xe1 << 120 } else { 0 };
        }
        z
    }

    #[test]
    fn products() {
        let mut random = Random::new();
        let mut numbers: std::vec::Vec<u128> = (0..128).map(|bit| 1 << bit).collect();
        numbers.extend([0, u128::MAX]);
        numbers.extend((0..100).map(|_| u128::from_be_bytes(random.bytes())));
        let word = |number: u128| Word::from_bytes(&number.to_be_bytes());
        for &x in &numbers {
            let mut tables = Tables::new();
            tables.fill(1, word(x));
            for &y in &numbers {
                assert_eq!(
                    tables.multiply_one(word(y)),
                    word(product(x, y)),
                    "{x:x} {y:x}"
                );
            }
        }
    }
}
