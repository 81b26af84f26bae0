//! The mask generation function MGF1 (RFC 8017 appendix B.2.1) with SHA-256.

use sha2::{Digest as _, Sha256};

/// Adds the mask of a seed to bytes, of which there are fewer than 2^32 x 32: XORs it.
pub(crate) fn mask(bytes: &mut [u8], seed: &[u8]) {
    let of_seed = Sha256::new_with_prefix(seed);
    for (counter, bytes) in (0_u32..).zip(bytes.chunks_mut(32)) {
        let mask = of_seed
            .clone()
            .chain_update(counter.to_be_bytes())
            .finalize();
        for (byte, mask) in bytes.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
}
