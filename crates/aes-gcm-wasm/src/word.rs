//! 128 bits, as 16 bytes, and what WebAssembly does with them in one instruction.

#[cfg(not(target_family = "wasm"))]
mod portable;
#[cfg(target_family = "wasm")]
mod simd;

#[cfg(not(target_family = "wasm"))]
pub(crate) use portable::Word;
#[cfg(target_family = "wasm")]
pub(crate) use simd::Word;
use zeroize::DefaultIsZeroes;

impl DefaultIsZeroes for Word {}

impl Word {
    /// Of up to 16 bytes, with zeros after them.
    pub(crate) fn padded(bytes: &[u8]) -> Self {
        let mut block = [0; 16];
        block[..bytes.len()].copy_from_slice(bytes);
        Self::from_bytes(&block)
    }

    /// The first 8 bytes of both, taking turns.
    #[inline(always)]
    pub(crate) fn low_interleaved(self, other: Self) -> Self {
        self.shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(other)
    }

    /// The last 8 bytes of both, taking turns.
    #[inline(always)]
    pub(crate) fn high_interleaved(self, other: Self) -> Self {
        self.shuffle::<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>(other)
    }
}
